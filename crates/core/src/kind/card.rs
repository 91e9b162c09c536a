//! Card payments: a merchant was paid, or paid back.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
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
        Check::of(metadata)
            .texts(&["merchant_name", "merchant_category", "merchant_city", "merchant_country"])
            .texts(&["card_network", "description"])
            .places(&["location"])
            .last_four(&["card_last_four"])
            .one_of("operation", ["purchase", "refund"])
            .merchant_code("mcc")
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let merchant = metadata.text("merchant_name").map(display::merchant);
        let category_text = metadata.text("merchant_category");
        let category = category_text
            .and_then(Category::of_text)
            .filter(|category| *category != Category::Other)
            .or_else(|| Category::of_code(display::first(metadata, &["mcc"])?))
            .or_else(|| Category::of_merchant(merchant.as_deref()?))
            .unwrap_or(Category::Other);
        let card = metadata.text("card_last_four").map(display::masked_card);
        let refund = is_refund(metadata);
        let place = category_text.or_else(|| location(metadata));
        let title = match &merchant {
            Some(merchant) => merchant.clone(),
            None if refund => "Card refund".to_owned(),
            None => "Card payment".to_owned(),
        };
        Display {
            subtitle: display::join(&[refund.then_some("Refund"), place, card.as_deref()]),
            merchant,
            card,
            ..Display::titled(title, category)
        }
    }

    fn labels(&self) -> Vec<Label> {
        vec![
            Label::new("Card payment"),
            Label::new("Card refund").when(Condition::Is("operation", "refund")),
        ]
    }

    fn side(&self, metadata: &Json) -> Side {
        if is_refund(metadata) { Side::Credit } else { Side::Debit }
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["card_last_four", "card_number", "cardholder_name"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"card","amount":150.00,"currency":"USD","#,
            r#""metadata":{"merchant_name":"Starbucks","#,
            r#""merchant_category":"Food & Beverage","card_last_four":"5678","#,
            r#""location":"San Francisco, CA"}}"#,
        )
    }
}

fn is_refund(metadata: &Json) -> bool {
    metadata.text("operation").is_some_and(|text| text.eq_ignore_ascii_case("refund"))
}

fn location(metadata: &Json) -> Option<&str> {
    metadata
        .text("location")
        .or_else(|| metadata.get("location")?.text("city"))
        .or_else(|| metadata.text("merchant_city"))
}
