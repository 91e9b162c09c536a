//! Reads the ledger of a database from end to end, and proves it.

use std::collections::HashMap;

use daybook_core::write_set::Order;
use daybook_core::{AccountId, EventSeq, Holding, Side, Transaction, Transfer, TransferId, UserId};
use uuid::Uuid;

use super::{Conn, PAGE, count};
use crate::codec::ledger::{HOLDING, HOLDINGS, TRANSFER, holding, transfer};
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::verify::ledger::{MarkRows, Proof, Walk, known};
use crate::{LedgerVerified, Progress, Result};

/// The columns of [`HOLDING`] and of [`TRANSFER`].
const HOLDING_COLUMNS: usize = 20;
const TRANSFER_COLUMNS: usize = 32;
/// How many accounts are walked through at the same time.
const WALKS: i64 = 64;
/// How many links of a chain are followed in one question.
const LINKS: i64 = 1_000;

struct Verify<'a> {
    conn: &'a Conn,
    proof: Proof,
}

/// Looks at the whole ledger in the connection's one snapshot.
pub async fn verify(conn: &Conn, progress: Progress<'_>) -> Result<LedgerVerified> {
    let mut verify = Verify { conn, proof: Proof::default() };
    let all =
        count(conn, "select (select count(*) from transfers) + (select count(*) from accounts)")
            .await?;
    verify.parties().await?;
    verify.transfers(all, progress).await?;
    verify.accounts(all, progress).await?;
    verify.items().await?;
    verify.marks().await?;
    Ok(verify.proof.finish())
}

impl Verify<'_> {
    async fn parties(&mut self) -> Result<()> {
        let page = "select account, currency, digits, \"user\" is not null from accounts \
            where account > $1 order by account limit $2";
        let mut last = i64::MIN;
        loop {
            let rows = self.conn.query(page, &[&last, &PAGE]).await?;
            for row in &rows {
                last = row.number(0, "account")?;
                let is_owned = row.flag(3, "owner")?;
                // An account that cannot be read is named where its own turn comes.
                if let Ok(currency) = codec::currency(row, 1) {
                    self.proof.party(AccountId(last), currency, is_owned);
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn transfers(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let page = format!(
            "select {TRANSFER}, due, (select e.body from events e where e.seq = transfers.seq) \
             from transfers where number > $1 order by number limit $2"
        );
        let mut last = i64::MIN;
        loop {
            let rows = self.conn.query(&page, &[&last, &PAGE]).await?;
            let (mut shown, mut undoing) = (Vec::new(), Vec::new());
            for row in &rows {
                last = row.number(0, "number")?;
                let Some(transfer) = self.proof.readable(transfer(row))? else { continue };
                let due = row.maybe_number(TRANSFER_COLUMNS, "time")?;
                let event = row.maybe_text(TRANSFER_COLUMNS + 1, "event")?;
                if transfer.rolls_back.is_some() || transfer.rolled_back_by.is_some() {
                    undoing.push(transfer.clone());
                }
                if self.proof.transfer(&transfer, due, event) {
                    shown.push(transfer);
                }
            }
            self.shown(&shown).await?;
            self.undoing(&undoing).await?;
            progress(self.proof.transfers, all);
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Looks at the transfers that these undo, and that undo these.
    async fn undoing(&mut self, transfers: &[Transfer]) -> Result<()> {
        if transfers.is_empty() {
            return Ok(());
        }
        let named = transfers.iter().flat_map(|t| [t.rolls_back, t.rolled_back_by]);
        let ids: Vec<Uuid> = named.flatten().map(|id| id.0).collect();
        let find = format!("select {TRANSFER} from transfers where id = any($1)");
        let rows = self.conn.query(&find, &[&ids]).await?;
        // What cannot be read is named where its own turn comes.
        let read = |row: &tokio_postgres::Row| transfer(row).ok().map(|found| (found.id, found));
        let others: HashMap<TransferId, Transfer> = rows.iter().filter_map(read).collect();
        for transfer in transfers {
            let other = |id: Option<TransferId>| id.and_then(|id| others.get(&id));
            let (undone, by) = (other(transfer.rolls_back), other(transfer.rolled_back_by));
            self.proof.undoing(transfer, undone, by);
        }
        Ok(())
    }

    /// Looks at the feed items of transfers.
    async fn shown(&mut self, transfers: &[Transfer]) -> Result<()> {
        if transfers.is_empty() {
            return Ok(());
        }
        let sides = |transfer: &Transfer| {
            [(Side::Debit, transfer.source), (Side::Credit, transfer.destination)]
        };
        let all =
            || transfers.iter().flat_map(|t| sides(t).map(|(side, account)| (t, side, account)));
        let items: Vec<Uuid> = all().map(|(t, side, _)| t.id.item(side).0).collect();
        let accounts: Vec<i64> = all().map(|(_, _, account)| account.0).collect();
        let items = self.items_of(items).await?;
        let owners = self.owners(accounts).await?;
        for (transfer, side, account) in all() {
            let item = items.get(&transfer.id.item(side).0);
            self.proof.shown(transfer, side, item, owners.get(&account));
        }
        Ok(())
    }

    async fn items_of(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Transaction>> {
        let find = format!(
            "select {ITEM}, u.name from transactions t join users u on u.\"user\" = t.\"user\" \
             where t.id = any($1)"
        );
        let rows = self.conn.query(&find, &[&ids]).await?;
        let read = |row: &tokio_postgres::Row| {
            let item = codec::item(row, &codec::user(row, ITEM_COLUMNS).ok()?).ok()?;
            Some((item.id.0, item))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    async fn owners(&self, accounts: Vec<i64>) -> Result<HashMap<AccountId, UserId>> {
        let find = "select a.account, u.name from accounts a \
            join users u on u.\"user\" = a.\"user\" where a.account = any($1)";
        let rows = self.conn.query(find, &[&accounts]).await?;
        let read = |row: &tokio_postgres::Row| {
            Ok((AccountId(row.number(0, "account")?), codec::user(row, 1)?))
        };
        rows.iter().map(read).collect()
    }

    async fn accounts(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let page = format!(
            "select {HOLDING}, (select e.body from events e where e.seq = a.seq \
             and e.event_type like 'account.%') from {HOLDINGS} \
             where a.account > $1 order by a.account limit $2"
        );
        let mut last = i64::MIN;
        loop {
            let rows = self.conn.query(&page, &[&last, &WALKS]).await?;
            let mut walks = Vec::new();
            for row in &rows {
                last = row.number(0, "account")?;
                let Some(holding) = self.proof.readable(holding(row))? else { continue };
                self.proof.account(&holding, row.maybe_text(HOLDING_COLUMNS, "event")?);
                walks.push(walks_through(self.conn, holding));
            }
            // All at once, so that they share round trips.
            let walked = futures_util::future::join_all(walks).await;
            for walks in walked {
                for (mut walk, result) in walks? {
                    result.unwrap_or_else(|what| self.proof.differs(what));
                    self.proof.marks_of(&mut walk);
                }
            }
            progress(self.proof.transfers + self.proof.accounts, all);
            if rows.is_empty() {
                break;
            }
        }
        self.proof.balances();
        let orphans = "select count(*) from funds f \
            where not exists (select 1 from accounts a where a.account = f.account)";
        self.proof.orphans(count(self.conn, orphans).await?);
        Ok(())
    }

    /// No item shows a transfer that is not there.
    async fn items(&mut self) -> Result<()> {
        let lost = "select i.transfer from transactions i left join transfers t \
            on t.id = i.transfer and t.is_shown \
            where i.transfer is not null and t.id is null limit $1";
        for row in self.conn.query(lost, &[&PAGE]).await? {
            self.proof.shows_nothing(TransferId(row.uuid(0, "transfer id")?));
        }
        Ok(())
    }

    async fn marks(&mut self) -> Result<()> {
        let page = "select account, sequence, key, number from marks \
            where (account, sequence, key, number) > ($1, $2::bigint, $3, $4) \
            order by account, sequence, key, number limit $5";
        let (mut kept, mut last) = (MarkRows::default(), [i64::MIN; 4]);
        loop {
            let [account, sequence, key, number] = &last;
            let rows = self.conn.query(page, &[account, sequence, key, number, &PAGE]).await?;
            for row in &rows {
                for (at, value) in last.iter_mut().enumerate() {
                    *value = row.number(at, "mark")?;
                }
                kept.row(row);
            }
            if rows.is_empty() {
                self.proof.marks(&kept);
                return Ok(());
            }
        }
    }
}

type Walked = std::result::Result<(), String>;

/// Walks through an account's transfers in both orders; answers what is wrong with them.
async fn walks_through(conn: &Conn, holding: Holding) -> Result<Vec<(Walk, Walked)>> {
    let mut walks = Vec::new();
    for order in [Order::Posted, Order::Listed] {
        let mut walk = Walk::new(holding.account.id, &holding.funds, order);
        let walked = follow(conn, holding.account.id, order, &mut walk).await?;
        walks.push((walk, walked));
    }
    Ok(walks)
}

/// Follows the links of an account, many in one question.
async fn follow(conn: &Conn, account: AccountId, order: Order, walk: &mut Walk) -> Result<Walked> {
    let link = match order {
        Order::Posted => "previous",
        Order::Listed => "earlier",
    };
    let chain = format!(
        "with recursive chain (number, step) as (select $1::bigint, 1::bigint union all \
         select case when t.source = $2 then t.source_{link} else t.destination_{link} end, \
         chain.step + 1 from chain join transfers t on t.number = chain.number \
         where chain.step < $3) \
         select {TRANSFER} from chain join transfers using (number) order by chain.step"
    );
    while let Some(first) = walk.next() {
        let rows = conn.query(&chain, &[&first.0, &account.0, &LINKS]).await?;
        if rows.is_empty() {
            return Ok(walk.step(first, None));
        }
        for row in &rows {
            let number = EventSeq(row.number(0, "number")?);
            // The walk may end before the chain does.
            if walk.next() != Some(number) {
                break;
            }
            let found = known(transfer(row).map(Some))?;
            if let Err(what) = walk.step(number, found.as_ref()) {
                return Ok(Err(what));
            }
        }
    }
    Ok(walk.end())
}
