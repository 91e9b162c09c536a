//! Card payments: a merchant was paid, or paid back.

use super::Kind;
use crate::display::{self, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct Card;

impl Kind for Card {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::Card
    }

    fn product(&self) -> &'static str {
        "Card"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        let mut errors = Vec::new();
        display::check_text(metadata, &["merchant_name", "merchant_category", "location"], &mut errors);
        display::check_last_four(metadata, "card_last_four", &mut errors);
        display::check_one_of(metadata, "operation", &["purchase", "refund"], &mut errors);
        errors
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let merchant = metadata.text("merchant_name").map(display::merchant);
        let category = display::category(metadata.text("merchant_category"), merchant.as_deref());
        let card = metadata.text("card_last_four").map(display::masked_card);
        let place = metadata.text("merchant_category").or(metadata.text("location"));
        Display {
            title: merchant.clone().unwrap_or_else(|| "Card payment".to_owned()),
            subtitle: display::join(&[place, card.as_deref()]),
            category,
            merchant,
            card,
        }
    }

    fn side(&self, metadata: &Json) -> Side {
        match metadata.text("operation") {
            Some("refund") => Side::Credit,
            _ => Side::Debit,
        }
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["card_last_four"]
    }

    fn example(&self) -> &'static str {
        r#"{"transaction_type":"card","amount":150.00,"currency":"USD","metadata":{"merchant_name":"Starbucks","merchant_category":"Food & Beverage","card_last_four":"5678","location":"San Francisco, CA"}}"#
    }
}
