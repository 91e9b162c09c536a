//! Money that came into the account: a transfer, a card, cash over the counter.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct TopUp;

/// How the money came.
const METHOD: &[&str] = &["method", "source", "funding_source", "payment_method"];

impl Kind for TopUp {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::TopUp
    }

    fn product(&self) -> &'static str {
        "Account"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .texts(METHOD)
            .texts(&["bank_name", "card_network", "note"])
            .last_four(&["card_last_four", "account_last_four", "last_four"])
            .account_numbers(&["account_number"])
            .iban("iban")
            .places(&["location"])
            .references(&["reference"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let bank = metadata.text("bank_name");
        let title = bank.map_or("Top-up".to_owned(), |bank| format!("Top-up from {bank}"));
        let method = display::first(metadata, METHOD);
        let cash = method.is_some_and(|method| method.eq_ignore_ascii_case("cash"));
        let category = if cash { Category::Cash } else { Category::Transfers };
        let last_four = display::first(metadata, &["account_last_four", "last_four"]);
        let card = metadata.text("card_last_four").map(display::masked_card);
        let masked = card.clone().or_else(|| last_four.map(display::masked_card));
        let method = method.map(display::humanized);
        Display {
            subtitle: display::join(&[method.as_deref(), masked.as_deref()]),
            card,
            ..Display::titled(title, category)
        }
    }

    fn labels(&self) -> Vec<Label> {
        vec![Label::new("Top-up"), Label::new("Top-up from …").when(Condition::Has(&["bank_name"]))]
    }

    fn side(&self, _metadata: &Json) -> Side {
        Side::Credit
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["card_last_four", "account_last_four", "last_four", "account_number", "iban"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"top_up","amount":500.00,"currency":"GBP","#,
            r#""metadata":{"method":"bank_transfer","bank_name":"Barclays","#,
            r#""account_last_four":"4321","reference":"TOPUP-2024-01"}}"#,
        )
    }
}
