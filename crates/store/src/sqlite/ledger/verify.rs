//! Reads the ledger of a file from end to end, and proves it.

use daybook_core::write_set::Order;
use daybook_core::{AccountId, Holding, Side, Transfer, TransferId};
use rusqlite::Connection;

use super::read;
use crate::codec::currency;
use crate::codec::ledger::{HOLDING, HOLDINGS, TRANSFER, holding, transfer};
use crate::verify::ledger::{MarkRows, Proof, Walk, known};
use crate::{LedgerVerified, Progress, Result};

struct Verify<'a> {
    conn: &'a Connection,
    proof: Proof,
}

/// Looks at the whole ledger inside the caller's transaction.
pub fn verify(conn: &Connection, progress: Progress<'_>) -> Result<LedgerVerified> {
    let mut verify = Verify { conn, proof: Proof::default() };
    let all: u64 = conn.query_row(
        "select (select count(*) from transfers) + (select count(*) from accounts)",
        [],
        |row| row.get(0),
    )?;
    verify.parties()?;
    verify.transfers(all, progress)?;
    verify.accounts(all, progress)?;
    verify.items()?;
    verify.marks()?;
    Ok(verify.proof.finish())
}

impl Verify<'_> {
    fn parties(&mut self) -> Result<()> {
        let mut select = self
            .conn
            .prepare("select account, currency, digits, user is not null from accounts")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            // An account that cannot be read is named where its own turn comes.
            if let Ok(currency) = currency(row, 1) {
                self.proof.party(AccountId(row.get(0)?), currency, row.get(3)?);
            }
        }
        Ok(())
    }

    fn transfers(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let sql = format!("select {TRANSFER}, due from transfers order by number");
        let mut select = self.conn.prepare(&sql)?;
        let mut rows = select.query([])?;
        let mut find = self.conn.prepare("select body from events where seq = ?1")?;
        while let Some(row) = rows.next()? {
            let due: Option<i64> = row.get("due")?;
            let Some(transfer) = self.proof.readable(transfer(row))? else { continue };
            let event: Option<String> =
                find.query_map([transfer.seq.0], |row| row.get(0))?.next().transpose()?;
            if self.proof.transfer(&transfer, due, event.as_deref()) {
                self.shown(&transfer)?;
            }
            let other = |id: Option<TransferId>| match id {
                Some(id) => known(read::transfer(self.conn, id)),
                None => Ok(None),
            };
            let (undone, by) = (other(transfer.rolls_back)?, other(transfer.rolled_back_by)?);
            self.proof.undoing(&transfer, undone.as_ref(), by.as_ref());
            if self.proof.transfers.is_multiple_of(1_000) {
                progress(self.proof.transfers, all);
            }
        }
        Ok(())
    }

    fn shown(&mut self, transfer: &Transfer) -> Result<()> {
        for (side, account) in
            [(Side::Debit, transfer.source), (Side::Credit, transfer.destination)]
        {
            let item = transfer.id.item(side);
            let item = known(crate::sqlite::read::transaction(self.conn, item))?;
            let owner =
                known(read::account(self.conn, account))?.and_then(|a| a.account.user_id.clone());
            self.proof.shown(transfer, side, item.as_ref(), owner.as_ref());
        }
        Ok(())
    }

    fn accounts(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let sql = format!("select {HOLDING} from {HOLDINGS} order by a.account");
        let mut select = self.conn.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let holding = holding(row);
            if let Some(holding) = self.proof.readable(holding)? {
                self.account(&holding)?;
            }
            progress(self.proof.transfers + self.proof.accounts, all);
        }
        self.proof.balances();
        let orphans: u64 = self.conn.query_row(
            "select count(*) from funds where account not in (select account from accounts)",
            [],
            |row| row.get(0),
        )?;
        self.proof.orphans(orphans);
        Ok(())
    }

    fn account(&mut self, holding: &Holding) -> Result<()> {
        let mut event = self.conn.prepare_cached(
            "select body from events where seq = ?1 and event_type like 'account.%'",
        )?;
        let body: Option<String> =
            event.query_map([holding.account.seq.0], |row| row.get(0))?.next().transpose()?;
        self.proof.account(holding, body.as_deref());
        for order in [Order::Posted, Order::Listed] {
            let mut walk = Walk::new(holding.account.id, &holding.funds, order);
            if let Err(what) = self.walk(&mut walk)? {
                self.proof.differs(what);
            }
            self.proof.marks_of(&mut walk);
        }
        Ok(())
    }

    fn walk(&self, walk: &mut Walk) -> Result<std::result::Result<(), String>> {
        while let Some(number) = walk.next() {
            let found = known(read::numbered(self.conn, number))?;
            if let Err(what) = walk.step(number, found.as_ref()) {
                return Ok(Err(what));
            }
        }
        Ok(walk.end())
    }

    /// No item shows a transfer that is not there.
    fn items(&mut self) -> Result<()> {
        let mut select = self.conn.prepare(
            "select i.transfer from transactions i left join transfers t \
             on t.id = i.transfer and t.is_shown where i.transfer is not null and t.id is null",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            self.proof.shows_nothing(TransferId(uuid::Uuid::from_bytes(row.get(0)?)));
        }
        Ok(())
    }

    fn marks(&mut self) -> Result<()> {
        let mut select = self.conn.prepare("select account, sequence, key, number from marks")?;
        let (mut rows, mut kept) = (select.query([])?, MarkRows::default());
        while let Some(row) = rows.next()? {
            kept.row(row);
        }
        self.proof.marks(&kept);
        Ok(())
    }
}
