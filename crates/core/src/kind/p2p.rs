//! Money from one person to another.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct P2p;

/// Who is at the other end, the best name first.
pub(crate) const PEER: &[&str] =
    &["peer_name", "peer_email", "peer_phone", "peer_username", "peer_id"];

impl Kind for P2p {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::P2p
    }

    fn product(&self) -> &'static str {
        "P2P"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .one_of("direction", ["sent", "received"])
            .texts(&["peer_name", "peer_username", "note", "message"])
            .references(&["peer_id", "reference"])
            .emails(&["peer_email"])
            .phones(&["peer_phone"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let side = direction(metadata).unwrap_or(item.side);
        let title = match (display::first(metadata, PEER), side) {
            (Some(peer), Side::Debit) => format!("To {peer}"),
            (Some(peer), Side::Credit) => format!("From {peer}"),
            (None, Side::Debit) => "Money sent".to_owned(),
            (None, Side::Credit) => "Money received".to_owned(),
        };
        let note = display::first(metadata, &["note", "message", "reference"]);
        Display { subtitle: display::join(&[note]), ..Display::titled(title, Category::Transfers) }
    }

    fn labels(&self) -> Vec<Label> {
        let mut labels = vec![Label::new("P2P transfer"), Label::new("Money")];
        let ways = [
            (Side::Debit, "sent", "received", ["Money sent", "To …"]),
            (Side::Credit, "received", "sent", ["Money received", "From …"]),
        ];
        for (side, direction, other, texts) in ways {
            for text in texts {
                let label = Label::new(text);
                labels.push(label.clone().when(Condition::Is("direction", direction)));
                let follows = label.when(Condition::Side(side));
                labels.push(follows.when(Condition::IsNot("direction", other)));
            }
        }
        labels
    }

    fn side(&self, metadata: &Json) -> Side {
        direction(metadata).unwrap_or(Side::Debit)
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["peer_email", "peer_phone", "peer_account", "note", "message"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"p2p","amount":42.50,"currency":"EUR","metadata":{"#,
            r#""direction":"sent","peer_name":"Alice Doe","#,
            r#""peer_email":"alice.doe@example.com","note":"Dinner on Friday"}}"#,
        )
    }
}

fn direction(metadata: &Json) -> Option<Side> {
    match metadata.text("direction")? {
        text if text.eq_ignore_ascii_case("sent") => Some(Side::Debit),
        text if text.eq_ignore_ascii_case("received") => Some(Side::Credit),
        _ => None,
    }
}
