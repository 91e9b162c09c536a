//! Everything else: fees, adjustments, and what has no type of its own yet.

use super::Kind;
use super::check::Check;
use super::label::Label;
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct Other;

const TITLE: &[&str] = &["title", "description", "merchant_name", "name", "reason"];
const NOTE: &[&str] = &["note", "memo", "reference"];
const CATEGORY: &[&str] = &["category", "merchant_category"];

impl Kind for Other {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::Other
    }

    fn product(&self) -> &'static str {
        "Account"
    }

    /// Nothing is known about these, so nothing can be wrong with them.
    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata).finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let merchant = metadata.text("merchant_name").map(display::merchant);
        let title = display::first(metadata, TITLE).unwrap_or("Transaction");
        let text = display::first(metadata, CATEGORY);
        let category = text
            .and_then(Category::of_text)
            .filter(|category| *category != Category::Other)
            .or_else(|| Category::of_merchant(merchant.as_deref()?))
            .or_else(|| Category::of_text(title))
            .unwrap_or(Category::Other);
        let title = match &merchant {
            Some(merchant) if metadata.text("merchant_name") == Some(title) => merchant.clone(),
            Some(_) | None => title.to_owned(),
        };
        let text = text.map(display::humanized);
        Display {
            subtitle: display::join(&[text.as_deref(), display::first(metadata, NOTE)]),
            merchant,
            ..Display::titled(title, category)
        }
    }

    fn labels(&self) -> Vec<Label> {
        vec![Label::new("Other transaction")]
    }

    fn side(&self, metadata: &Json) -> Side {
        let incoming = ["in", "incoming", "received", "credit"];
        let direction = metadata.text("direction").or_else(|| metadata.text("side"));
        match direction {
            Some(text) if incoming.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
                Side::Credit
            }
            Some(_) | None => Side::Debit,
        }
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["account_number", "iban", "email", "phone"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"other","amount":3.00,"currency":"USD","#,
            r#""metadata":{"description":"Monthly account fee","category":"fees","#,
            r#""note":"January 2024"}}"#,
        )
    }
}
