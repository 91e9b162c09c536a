//! All that differs between transaction types, in one place per type. A new type is one file
//! under `kind/`, one variant of [`TransactionType`] and one line in [`KINDS`].

pub(crate) mod check;
pub mod label;

mod bill_payment;
mod card;
mod crypto;
mod earnings;
mod other;
pub(crate) mod p2p;
mod top_up;
mod withdrawal;

use self::label::Label;
use crate::display::Display;
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

/// The rules of one transaction type.
pub trait Kind: Sync {
    fn transaction_type(&self) -> TransactionType;

    /// The product that items of this type belong to when none is given.
    fn product(&self) -> &'static str;

    /// Checks the type's well-known metadata fields; what it does not know passes.
    fn check(&self, metadata: &Json) -> Vec<FieldError>;

    /// What people read: computed for every answer, never stored as the truth.
    fn display(&self, item: &Transaction) -> Display;

    /// The words that titles and subtitles of its items have beside values; searches find the items
    /// by them. They begin with those that every item of the type is found by.
    fn labels(&self) -> Vec<Label>;

    /// Which way the money goes when the request does not say.
    fn side(&self, metadata: &Json) -> Side;

    /// The metadata fields that are sensitive.
    fn secrets(&self) -> &'static [&'static str];

    /// A body as a client would send it, for documentation and tests; it names no user.
    fn example(&self) -> &'static str;
}

/// Every kind, in the order of [`TransactionType::ALL`].
pub const KINDS: &[&dyn Kind] = &[
    &card::Card,
    &p2p::P2p,
    &crypto::Crypto,
    &top_up::TopUp,
    &withdrawal::Withdrawal,
    &bill_payment::BillPayment,
    &earnings::Earnings,
    &other::Other,
];

/// The rules of a type.
#[must_use]
pub fn of(transaction_type: TransactionType) -> &'static dyn Kind {
    match transaction_type {
        TransactionType::Card => &card::Card,
        TransactionType::P2p => &p2p::P2p,
        TransactionType::Crypto => &crypto::Crypto,
        TransactionType::TopUp => &top_up::TopUp,
        TransactionType::Withdrawal => &withdrawal::Withdrawal,
        TransactionType::BillPayment => &bill_payment::BillPayment,
        TransactionType::Earnings => &earnings::Earnings,
        TransactionType::Other => &other::Other,
    }
}

#[cfg(test)]
mod tests;
