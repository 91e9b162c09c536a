//! Bills: electricity, rent, insurance, the telephone.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct BillPayment;

const BILLER: &[&str] = &["biller_name", "biller", "payee", "provider"];
const CATEGORY: &[&str] = &["bill_category", "bill_type", "category", "biller_category"];

impl Kind for BillPayment {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::BillPayment
    }

    fn product(&self) -> &'static str {
        "Account"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .texts(BILLER)
            .texts(CATEGORY)
            .texts(&["note"])
            .account_numbers(&["account_number"])
            .dates(&["due_date", "period_start", "period_end"])
            .references(&["reference", "invoice_number", "bill_number"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let biller = display::first(metadata, BILLER).map(display::merchant);
        let text = display::first(metadata, CATEGORY);
        let category = text
            .and_then(Category::of_text)
            .filter(|category| *category != Category::Other)
            .or_else(|| Category::of_merchant(biller.as_deref()?))
            .unwrap_or(Category::Bills);
        let title = match (&biller, text) {
            (Some(biller), _) => biller.clone(),
            (None, Some(text)) => format!("{} bill", display::humanized(text)),
            (None, None) => "Bill payment".to_owned(),
        };
        let due = metadata.text("due_date").map(|date| {
            let day = date.get(..10).unwrap_or(date);
            format!("due {day}")
        });
        let text = text.filter(|_| biller.is_some()).map(display::humanized);
        Display {
            subtitle: display::join(&[text.as_deref(), due.as_deref()]),
            merchant: biller,
            ..Display::titled(title, category)
        }
    }

    fn labels(&self) -> Vec<Label> {
        vec![
            Label::new("Bill payment"),
            Label::new("… bill"),
            Label::new("due …").when(Condition::Has(&["due_date"])),
        ]
    }

    fn side(&self, _metadata: &Json) -> Side {
        Side::Debit
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["account_number", "invoice_number"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"bill_payment","amount":89.40,"currency":"USD","#,
            r#""metadata":{"biller_name":"Con Edison","bill_category":"electricity","#,
            r#""account_number":"4401-2238-91","due_date":"2024-02-01","#,
            r#""reference":"JAN-2024"}}"#,
        )
    }
}
