//! The rules of Daybook, and nothing else: values, commands, and the pure function that decides
//! them. This crate does no I/O, never awaits, and reads neither clock nor randomness; time and
//! ids arrive in the command. That is what makes every rule testable in a millisecond and every
//! retry safe.

pub mod account;
pub mod canonical;
pub mod command;
pub mod cursor;
pub mod decide;
pub mod display;
pub mod event;
pub mod id;
mod input;
pub mod json;
pub mod key;
pub mod kind;
pub mod limits;
pub mod money;
mod named;
pub mod note;
pub mod owner;
pub mod query;
pub mod record;
mod rejection;
pub mod sample;
pub mod search;
pub mod secrets;
pub mod stats;
pub mod time;
pub mod transaction;
pub mod transfer;
pub mod write_set;

pub use account::{Account, AccountPatch, AccountStatus, Holding, NewAccount};
pub use command::{Action, IdempotencyKey, Submission};
pub use decide::decide;
pub use event::{Event, EventType, Subject};
pub use id::{AccountId, EventSeq, KeyId, TransactionId, TransferId, UserId};
pub use json::Json;
pub use key::{ApiKey, NewKey};
pub use money::{Amount, Balance, Currencies, Currency};
pub use note::{Note, Refusals};
pub use owner::{Listed, Owner};
pub use query::Query;
pub use rejection::{FieldError, Rejection};
pub use secrets::Secrets;
pub use time::Timestamp;
pub use transaction::{NewTransaction, Patch, Side, Status, Transaction, TransactionType};
pub use transfer::{NewTransfer, Transfer, TransferStatus};
pub use write_set::{Outcome, Reply, Snapshot, Verdict, WriteSet};
