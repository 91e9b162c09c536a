//! What a commit reads: the rows that submissions touch, in one round trip where that is enough.

use std::collections::HashSet;

use daybook_core::command::{ExternalKey, ReadSet};
use daybook_core::write_set::{Snapshot, StoredReply};
use daybook_core::{
    AccountId, Event, EventSeq, Submission, Transaction, TransactionId, Transfer, UserId,
};
use futures_util::future::{try_join, try_join3};
use uuid::Uuid;

use super::buckets::{Buckets, Numbers};
use super::chain::{self, Newest};
use super::connect::Conn;
use super::keys;
use crate::Result;
use crate::codec::ledger::{HOLDING, HOLDINGS, TRANSFER, holding, transfer};
use crate::codec::postgres::EVENT;
use crate::codec::{self, Columns, EVENT_COLUMNS, ITEM, ITEM_COLUMNS, corrupt};

/// Loads what submissions touch, in a transaction that `begin` begins and that takes the lock of
/// commits: it goes to the server together with the questions, which run after it.
pub async fn load(
    conn: &Conn,
    begin: &str,
    submissions: &[Submission],
    numbers: Numbers<'_>,
) -> Result<(Snapshot, Buckets, Newest)> {
    let mut set = ReadSet::of(submissions);
    let asked = async {
        let rows = tokio::try_join!(
            chain::newest(conn),
            transactions(conn, &set),
            external(conn, &set),
            deleted(conn, &set),
            replies(conn, &set),
            transfers(conn, &set),
            references(conn, &set),
            openers(conn, &set),
            last_account(conn, &set),
            keys::get(conn, set.api_keys.iter().map(|id| id.0).collect()),
        )?;
        Ok(rows)
    };
    let accounts = accounts(conn, set.accounts.iter().map(|id| id.0).collect());
    let buckets = Buckets::foresee(conn, submissions, numbers);
    let asked = try_join3(asked, accounts, buckets);
    let (_, (found, accounts, buckets)) = try_join(conn.batch(begin), asked).await?;
    let (newest, items, external, deleted, replies, transfers, references, openers, last, keys) =
        found;
    let next_seq = EventSeq(newest.seq.0 + 1);
    let mut snapshot = Snapshot { next_seq, last_account: last, ..Snapshot::default() };
    for (key, item) in external {
        snapshot.external.insert(key, item.id);
        snapshot.transactions.insert(item.id, item);
    }
    snapshot.transactions.extend(items.into_iter().map(|item| (item.id, item)));
    snapshot.deleted.extend(deleted);
    for found in references {
        let Some(reference) = found.reference.clone() else { continue };
        snapshot.references.insert((found.source, reference), found.id);
        snapshot.transfers.insert(found.id, found);
    }
    snapshot.transfers.extend(transfers.into_iter().map(|found| (found.id, found)));
    snapshot.accounts.extend(accounts.into_iter().map(|found| (found.account.id, found)));
    snapshot.keys.extend(keys.into_iter().map(|key| (key.id, key)));
    snapshot.owned.extend(openers);
    snapshot.replies.extend(replies);
    follow(conn, &mut set, &mut snapshot).await?;
    Ok((snapshot, buckets, newest))
}

/// Loads what only the loaded rows name: a second round trip, for few submissions.
async fn follow(conn: &Conn, set: &mut ReadSet, snapshot: &mut Snapshot) -> Result<()> {
    let seqs = snapshot.replies.values().flat_map(StoredReply::events).map(|seq| seq.0);
    let seqs: Vec<i64> = seqs.collect::<HashSet<_>>().into_iter().collect();
    let known = set.clone();
    for found in snapshot.transfers.values() {
        set.follow(found);
    }
    set.sort();
    set.transactions.retain(|id| known.transactions.binary_search(id).is_err());
    set.accounts.retain(|id| known.accounts.binary_search(id).is_err());
    let more = set.accounts.iter().map(|id| id.0).collect();
    let (events, items, accounts) =
        tokio::try_join!(events(conn, seqs), transactions(conn, set), accounts(conn, more))?;
    snapshot.events.extend(events.into_iter().map(|event| (event.seq, event)));
    snapshot.transactions.extend(items.into_iter().map(|item| (item.id, item)));
    snapshot.accounts.extend(accounts.into_iter().map(|found| (found.account.id, found)));
    Ok(())
}

async fn transactions(conn: &Conn, set: &ReadSet) -> Result<Vec<Transaction>> {
    if set.transactions.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = set.transactions.iter().map(|id| id.0).collect();
    let sql = format!(
        "select {ITEM}, u.name from transactions t join users u on u.user = t.user \
         where t.id = any($1)"
    );
    let rows = conn.query(&sql, &[&ids]).await?;
    rows.iter().map(|row| codec::item(row, &codec::user(row, ITEM_COLUMNS)?)).collect()
}

async fn external(conn: &Conn, set: &ReadSet) -> Result<Vec<(ExternalKey, Transaction)>> {
    if set.external.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<&str> = set.external.iter().map(|key| key.user_id.as_str()).collect();
    let sources: Vec<&str> = set.external.iter().map(|key| key.source.as_str()).collect();
    let ids: Vec<&str> = set.external.iter().map(|key| key.external_id.as_str()).collect();
    let sql = format!(
        "select {ITEM}, k.place from unnest($1, $2, $3) with ordinality k (name, source, id, place) \
         join users u on u.name = k.name \
         join transactions t on t.user = u.user and t.source = k.source and t.external_id = k.id"
    );
    let rows = conn.query(&sql, &[&users, &sources, &ids]).await?;
    let read = |row| {
        let place: usize = Columns::small(row, ITEM_COLUMNS, "place")?;
        let key = place.checked_sub(1).and_then(|place| set.external.get(place));
        let key = key.ok_or_else(|| corrupt("place"))?;
        Ok((key.clone(), codec::item(row, &key.user_id)?))
    };
    rows.iter().map(read).collect()
}

/// Whose the items were that had chosen ids and are gone.
async fn deleted(conn: &Conn, set: &ReadSet) -> Result<Vec<(TransactionId, UserId)>> {
    if set.chosen.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Vec<u8>> = set.chosen.iter().map(|id| id.0.as_bytes().to_vec()).collect();
    let sql = "select e.subject, u.name from events e join users u on u.user = e.user \
         where e.subject = any($1) and e.event_type = 'transaction.deleted'";
    let rows = conn.query(sql, &[&ids]).await?;
    let read = |row: &tokio_postgres::Row| {
        let id = Uuid::from_slice(row.bytes(0, "id")?).map_err(|_| corrupt("id"))?;
        Ok((TransactionId(id), codec::user(row, 1)?))
    };
    rows.iter().map(read).collect()
}

async fn replies(conn: &Conn, set: &ReadSet) -> Result<Vec<(u128, StoredReply)>> {
    if set.keys.is_empty() {
        return Ok(Vec::new());
    }
    let scopes: Vec<Vec<u8>> =
        set.keys.iter().map(|key| key.scope.to_be_bytes().to_vec()).collect();
    let sql = "select scope, body from replies where scope = any($1)";
    let rows = conn.query(sql, &[&scopes]).await?;
    let read = |row: &tokio_postgres::Row| {
        let scope = row.bytes(0, "scope")?.try_into().map_err(|_| corrupt("scope"))?;
        let body = serde_json::from_str(row.text(1, "reply")?).map_err(|_| corrupt("reply"))?;
        Ok((u128::from_be_bytes(scope), body))
    };
    rows.iter().map(read).collect()
}

async fn events(conn: &Conn, seqs: Vec<i64>) -> Result<Vec<Event>> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select {EVENT}, u.name from events e left join users u on u.user = e.user \
         where e.seq = any($1)"
    );
    let rows = conn.query(&sql, &[&seqs]).await?;
    let read = |row| codec::event(row, codec::maybe_user(row, EVENT_COLUMNS)?);
    rows.iter().map(read).collect()
}

async fn transfers(conn: &Conn, set: &ReadSet) -> Result<Vec<Transfer>> {
    if set.transfers.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = set.transfers.iter().map(|id| id.0).collect();
    let sql = format!("select {TRANSFER} from transfers where id = any($1)");
    conn.query(&sql, &[&ids]).await?.iter().map(transfer).collect()
}

async fn references(conn: &Conn, set: &ReadSet) -> Result<Vec<Transfer>> {
    if set.references.is_empty() {
        return Ok(Vec::new());
    }
    let sources: Vec<i64> = set.references.iter().map(|(source, _)| source.0).collect();
    let texts: Vec<&str> = set.references.iter().map(|(_, text)| text.as_str()).collect();
    let sql = format!(
        "select {TRANSFER} from unnest($1, $2) k (payer, text) \
         join transfers on reference = k.text and source = k.payer"
    );
    conn.query(&sql, &[&sources, &texts]).await?.iter().map(transfer).collect()
}

async fn accounts(conn: &Conn, ids: Vec<i64>) -> Result<Vec<daybook_core::Holding>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("select {HOLDING} from {HOLDINGS} where a.account = any($1)");
    conn.query(&sql, &[&ids]).await?.iter().map(holding).collect()
}

async fn openers(conn: &Conn, set: &ReadSet) -> Result<Vec<(UserId, usize)>> {
    if set.openers.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = set.openers.iter().map(UserId::as_str).collect();
    let count = "select k.place, count(a.account) \
         from unnest($1) with ordinality k (name, place) join users u on u.name = k.name \
         left join accounts a on a.user = u.user group by k.place";
    let rows = conn.query(count, &[&names]).await?;
    let mut owned: Vec<_> = set.openers.iter().map(|user| (user.clone(), 0)).collect();
    for row in &rows {
        let place: usize = row.small(0, "place")?;
        let entry = place.checked_sub(1).and_then(|place| owned.get_mut(place));
        entry.ok_or_else(|| corrupt("place"))?.1 = row.small(1, "count")?;
    }
    Ok(owned)
}

async fn last_account(conn: &Conn, set: &ReadSet) -> Result<AccountId> {
    if !set.next_account {
        return Ok(AccountId::default());
    }
    let last = "select greatest(max(account), 0) from accounts where account < $1";
    let row = conn.query_opt(last, &[&AccountId::GIVEN_END.0]).await?;
    let last = row.map_or(Ok(None), |row| row.maybe_number(0, "account"))?;
    Ok(AccountId(last.unwrap_or(0)))
}
