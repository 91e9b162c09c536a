//! Questions about the ledger.

use crate::account::AccountStatus;
use crate::id::{AccountId, EventSeq, UserId};
use crate::time::Timestamp;
use crate::transfer::TransferStatus;

/// Asks for accounts, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsQuery {
    pub user_id: Option<UserId>,
    /// A currency's code.
    pub currency: Option<String>,
    pub status: Option<AccountStatus>,
    /// Only accounts with a higher number; the equity accounts' are negative.
    pub after: Option<AccountId>,
    pub limit: u32,
}

/// Asks for entries of an account's statement, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntriesQuery {
    pub account: AccountId,
    /// Posted in the range, with `from` and without `to`.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Only entries before the one of this transfer.
    pub before: Option<EventSeq>,
    pub limit: u32,
}

/// Whose transfers are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    All,
    Account(AccountId),
    /// Of all accounts of the user.
    User(UserId),
}

/// Asks for transfers, last submitted first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransfersQuery {
    pub whose: Whose,
    pub status: Option<TransferStatus>,
    pub reference: Option<String>,
    /// Only transfers that were submitted before this one.
    pub before: Option<EventSeq>,
    pub limit: u32,
}
