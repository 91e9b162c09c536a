//! Money that left the account: to a bank account, or as cash from a machine.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct Withdrawal;

/// How the money went.
const METHOD: &[&str] = &["method", "withdrawal_method", "destination"];
/// Where the machine stands.
const PLACE: &[&str] = &["atm_location", "location"];

impl Kind for Withdrawal {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::Withdrawal
    }

    fn product(&self) -> &'static str {
        "Account"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .texts(METHOD)
            .texts(&["bank_name", "account_holder", "note"])
            .last_four(&["account_last_four", "card_last_four", "last_four"])
            .account_numbers(&["account_number"])
            .iban("iban")
            .places(PLACE)
            .references(&["atm_id", "reference"])
            .decimals(&["fee"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let method = display::first(metadata, METHOD);
        let is = |name| method.is_some_and(|method| method.eq_ignore_ascii_case(name));
        let place = display::first(metadata, PLACE);
        let machine = is("atm") || metadata.get("atm_location").is_some();
        let cash = machine || is("cash");
        let bank = metadata.text("bank_name");
        let title = match bank {
            _ if machine => "ATM withdrawal".to_owned(),
            _ if cash => "Cash withdrawal".to_owned(),
            Some(bank) => format!("Withdrawal to {bank}"),
            None => "Withdrawal".to_owned(),
        };
        let card = metadata.text("card_last_four").map(display::masked_card);
        let account = display::first(metadata, &["account_last_four", "last_four"]);
        let account = account.or_else(|| iban_end(metadata)).map(display::masked_card);
        let method = method.filter(|_| !cash).map(display::humanized);
        let where_to = if cash { place.or(bank) } else { method.as_deref() };
        let masked = card.as_deref().or(account.as_deref());
        Display {
            subtitle: display::join(&[where_to, masked]),
            card: card.clone(),
            ..Display::titled(title, if cash { Category::Cash } else { Category::Transfers })
        }
    }

    fn labels(&self) -> Vec<Label> {
        vec![
            Label::new("Withdrawal"),
            Label::new("Withdrawal to …").when(Condition::Has(&["bank_name"])),
            Label::new("ATM withdrawal").when(Condition::Is("method", "atm")),
            Label::new("ATM withdrawal").when(Condition::Has(&["atm_location"])),
            Label::new("Cash withdrawal").when(Condition::Is("method", "cash")),
        ]
    }

    fn side(&self, _metadata: &Json) -> Side {
        Side::Debit
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["account_last_four", "card_last_four", "last_four", "account_number", "iban"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"withdrawal","amount":200.00,"currency":"EUR","#,
            r#""metadata":{"method":"bank_transfer","bank_name":"Deutsche Bank","#,
            r#""iban":"DE89370400440532013000","reference":"Savings"}}"#,
        )
    }
}

/// The last four characters of the IBAN.
fn iban_end(metadata: &Json) -> Option<&str> {
    let iban = metadata.text("iban")?;
    iban.get(iban.len().checked_sub(4)?..)
}
