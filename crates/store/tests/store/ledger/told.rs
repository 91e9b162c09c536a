//! What a ledger should say, told the long way: all transfers, read one by one.

use crate::support::{Books, Fallible};
use daybook_core::{AccountId, Amount, EventSeq, Side, Timestamp, Transfer};

/// All transfers in both orders, newest first.
pub struct Told {
    pub listed: Vec<Transfer>,
    pub posted: Vec<Transfer>,
}

/// A row of a statement as it should be.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub number: EventSeq,
    pub posted_at: Timestamp,
    pub direction: Side,
    pub counterparty: AccountId,
    pub amount: Amount,
    /// In 10^-18 units.
    pub balance: i128,
}

impl Told {
    pub async fn read(books: &Books) -> Fallible<Self> {
        let listed = [
            "select id from transfers order by number desc",
            "select uuid_send(id) from transfers order by number desc",
        ];
        // Money moves once, and the log says when.
        let posted = [
            "select transaction_id from events \
             where event_type = 'transaction.completed' order by seq desc",
            "select subject from events \
             where event_type = 'transaction.completed' order by seq desc",
        ];
        Ok(Self { listed: read(books, listed).await?, posted: read(books, posted).await? })
    }

    /// The statement of an account, newest first.
    pub fn statement(&self, account: AccountId) -> Vec<Line> {
        let (mut balance, mut lines) = (0, Vec::new());
        for transfer in self.posted.iter().rev() {
            let (direction, counterparty) = if transfer.source == account {
                balance -= transfer.amount.atto();
                (Side::Debit, transfer.destination)
            } else if transfer.destination == account {
                balance += transfer.amount.atto();
                (Side::Credit, transfer.source)
            } else {
                continue;
            };
            let posted_at = transfer.posting.expect("it was posted").at;
            let (number, amount) = (transfer.number, transfer.amount);
            lines.push(Line { number, posted_at, direction, counterparty, amount, balance });
        }
        lines.reverse();
        lines
    }
}

async fn read(books: &Books, [sqlite, postgres]: [&str; 2]) -> Fallible<Vec<Transfer>> {
    let mut transfers = Vec::new();
    for id in books.select_ids(sqlite, postgres).await? {
        transfers.push(books.moved(id).await?);
    }
    Ok(transfers)
}
