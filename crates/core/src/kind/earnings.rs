//! Money that was earned: salary, interest, cashback, referrals, dividends.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct Earnings;

/// What was earned, by the names that systems give it.
const WHAT: &[&str] = &["earnings_type", "earning_type", "source", "income_type"];
const PAYER: &[&str] = &["payer", "employer", "company", "payer_name"];

impl Kind for Earnings {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::Earnings
    }

    fn product(&self) -> &'static str {
        "Earnings"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .texts(WHAT)
            .texts(PAYER)
            .references(&["period", "reference"])
            .dates(&["period_start", "period_end"])
            .decimals(&["rate", "interest_rate", "apy", "apr", "gross_amount", "tax"])
            .coins(&["asset"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let what = display::first(metadata, WHAT).map(display::humanized);
        let title = match (what, display::first(metadata, PAYER)) {
            (Some(what), Some(payer)) => format!("{what} from {payer}"),
            (Some(what), None) => what,
            (None, Some(payer)) => format!("Earnings from {payer}"),
            (None, None) => "Earnings".to_owned(),
        };
        let rate = display::first(metadata, &["rate", "interest_rate", "apy"]);
        let rate = rate.map(|rate| format!("{}%", rate.trim_end_matches('%')));
        Display {
            subtitle: display::join(&[display::first(metadata, &["period"]), rate.as_deref()]),
            ..Display::titled(title, Category::Income)
        }
    }

    fn labels(&self) -> Vec<Label> {
        let from_payer = Label::new("Earnings from …").when(Condition::Has(PAYER));
        let unnamed =
            WHAT.iter().fold(from_payer, |label, what| label.when(Condition::HasNot(what)));
        let from = Label::new("… from …").when(Condition::Has(PAYER));
        vec![Label::new("Earnings"), unnamed, from]
    }

    fn side(&self, _metadata: &Json) -> Side {
        Side::Credit
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["gross_amount", "tax"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"earnings","amount":12.37,"currency":"USD","#,
            r#""metadata":{"earnings_type":"interest","period":"2024-01","#,
            r#""rate":"4.25"}}"#,
        )
    }
}
