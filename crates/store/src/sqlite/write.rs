//! What a commit reads and writes: rows in, rows out, no rule.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use daybook_core::command::ReadSet;
use daybook_core::id::fnv128;
use daybook_core::search::{Document, in_dictionary};
use daybook_core::write_set::{RowChange, Snapshot, StoredReply, WriteSet};
use daybook_core::{
    Event, EventSeq, Subject, Submission, Timestamp, Transaction, TransactionId, UserId,
};
use lru::LruCache;
use rusqlite::{Connection, OptionalExtension, Statement, named_params};

use super::{keys, ledger, read};
use crate::chain::Link;
use crate::codec::sqlite::{EVENT, amount_bytes};
use crate::codec::{self, Columns, ITEM};
use crate::dictionary::Remembered;
use crate::fold::{self, Found, Part};
use crate::seal::Documents;
use crate::{Error, Result, postings};

/// Users whose numbers the writer remembers; about 10 MB.
const USERS_MAX: usize = 100_000;
/// The number of no user: events of accounts that belong to nobody.
const NOBODY: i64 = 0;
/// Old replies that go at once, so that nobody waits long.
const SWEEP_MAX: i64 = 10_000;

/// Notes an event of an item under its user.
pub const POST_EVENT: &str = "insert into events_user (rowid, user) values (?1, ?2)";
/// Notes the words and terms of an item.
pub const POST_ITEM: &str = "insert into search (rowid, body) values (?1, ?2)";

/// What the writer knows to be in the database, so as not to look again.
pub struct Interned {
    users: RefCell<LruCache<UserId, i64>>,
    pub words: Remembered,
}

impl Default for Interned {
    fn default() -> Self {
        let room = NonZeroUsize::new(USERS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self { users: RefCell::new(LruCache::new(room)), words: Remembered::default() }
    }
}

impl Interned {
    /// The number of a user, who gets one when new.
    fn user(&self, conn: &Connection, user: &UserId) -> Result<i64> {
        if let Some(number) = self.users.borrow_mut().get(user) {
            return Ok(*number);
        }
        let number = match read::user_number(conn, user)? {
            Some(number) => number,
            None => conn
                .prepare_cached("insert into users (name) values (?1)")?
                .insert([user.as_str()])?,
        };
        self.users.borrow_mut().put(user.clone(), number);
        Ok(number)
    }

    /// Forgets numbers that a failed commit may have given.
    pub fn forget_users(&self) {
        self.users.borrow_mut().clear();
    }
}

/// What is known to be in the database, and the words that a commit adds to it.
pub type Known<'a> = (&'a Interned, &'a mut HashSet<u64>);

/// Loads the rows that submissions touch.
pub fn load(conn: &Connection, submissions: &[Submission], next_seq: EventSeq) -> Result<Snapshot> {
    let mut set = ReadSet::of(submissions);
    let mut snapshot = Snapshot { next_seq, ..Snapshot::default() };
    ledger::load(conn, &mut set, &mut snapshot)?;
    for id in &set.transactions {
        if let Some(item) = read::transaction(conn, *id)? {
            snapshot.transactions.insert(*id, item);
        }
    }
    let sql = format!(
        "select {ITEM} from transactions t join users u on u.user = t.user \
         where u.name = ?1 and t.source = ?2 and t.external_id = ?3"
    );
    for key in set.external {
        let mut find = conn.prepare_cached(&sql)?;
        let mut rows = find.query((key.user_id.as_str(), &key.source, &key.external_id))?;
        if let Some(row) = rows.next()? {
            let item = codec::item(row, &key.user_id)?;
            snapshot.external.insert(key, item.id);
            snapshot.transactions.insert(item.id, item);
        }
    }
    for id in &set.chosen {
        if let Some(user) = deleted(conn, *id)? {
            snapshot.deleted.insert(*id, user);
        }
    }
    for id in &set.api_keys {
        if let Some(key) = keys::get(conn, *id)? {
            snapshot.keys.insert(*id, key);
        }
    }
    for key in &set.keys {
        if let Some(reply) = reply(conn, key.scope)? {
            for seq in reply.events() {
                if let Some(event) = event(conn, seq)? {
                    snapshot.events.insert(seq, event);
                }
            }
            snapshot.replies.insert(key.scope, reply);
        }
    }
    Ok(snapshot)
}

/// Whose an item was that is gone.
fn deleted(conn: &Connection, id: TransactionId) -> Result<Option<UserId>> {
    let mut find = conn.prepare_cached(
        "select u.name from events e join users u on u.user = e.user \
         where e.transaction_id = ?1 and e.event_type = 'transaction.deleted'",
    )?;
    let mut rows = find.query([id.0.as_bytes().as_slice()])?;
    rows.next()?.map(|row| codec::user(row, 0)).transpose()
}

fn reply(conn: &Connection, scope: u128) -> Result<Option<StoredReply>> {
    let mut find = conn.prepare_cached("select body from replies where scope = ?1")?;
    let scope = scope.to_be_bytes();
    let body: Option<String> = find.query_row([scope.as_slice()], |row| row.get(0)).optional()?;
    let unreadable = |_| Error::Corrupt { what: "a stored reply is unreadable".to_owned() };
    body.map(|body| serde_json::from_str(&body).map_err(unreadable)).transpose()
}

fn event(conn: &Connection, seq: EventSeq) -> Result<Option<Event>> {
    let sql = format!(
        "select {EVENT}, u.name from events e left join users u on u.user = e.user \
         where e.seq = ?1"
    );
    let mut find = conn.prepare_cached(&sql)?;
    let mut rows = find.query([seq.0])?;
    match rows.next()? {
        Some(row) => Ok(Some(codec::event(row, codec::maybe_user(row, 7)?)?)),
        None => Ok(None),
    }
}

/// Writes a write set, whose first event follows a link that becomes the last one's. Answers by how
/// many items each user's feed changed.
pub fn write(
    conn: &Connection,
    write: &WriteSet,
    documents: &Documents,
    known: &mut Known<'_>,
    link: &mut Link,
) -> Result<Vec<(UserId, i64)>> {
    let (interned, _) = known;
    let mut numbers: HashMap<&UserId, i64> = HashMap::new();
    for user in write.events.iter().filter_map(|event| event.user_id.as_ref()) {
        if !numbers.contains_key(user) {
            numbers.insert(user, interned.user(conn, user)?);
        }
    }
    let number = |user: &UserId| {
        let missing = || Error::Corrupt { what: format!("user {user} has no event") };
        numbers.get(user).copied().ok_or_else(missing)
    };
    let mut insert = conn.prepare_cached(
        "insert into events (seq, event_type, at, user, transaction_id, version, previous, body, \
         link) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut post = conn.prepare_cached(POST_EVENT)?;
    for event in &write.events {
        let user = event.user_id.as_ref().map_or(Ok(NOBODY), number)?;
        insert_event(&mut insert, event, user, link)?;
        // `sync` is about items.
        if let Subject::Item(_) = event.subject {
            post.execute((event.seq.0, codec::prefix(user)))?;
        }
    }
    drop((insert, post));
    let changed = rows(conn, &write.rows, &number, documents, known)?;
    let changes = fold::sorted(&write.statistics);
    for part in fold::parts(&changes) {
        count(conn, number(part.user())?, &part)?;
    }
    ledger::write(conn, write, &number)?;
    keys::write(conn, &write.keys)?;
    for (scope, reply) in &write.replies {
        insert_reply(conn, *scope, reply)?;
    }
    Ok(changed)
}

fn insert_event(insert: &mut Statement, event: &Event, user: i64, link: &mut Link) -> Result<()> {
    let subject = codec::subject_bytes(event.subject);
    let linked = codec::linked(event, user, &subject);
    *link = linked.follow(link);
    insert.execute((
        linked.seq,
        linked.event_type,
        linked.at,
        linked.user,
        linked.subject,
        linked.version,
        linked.previous,
        linked.body,
        link.as_slice(),
    ))?;
    Ok(())
}

/// One step on the tables of items and of postings, at one row number.
enum Step<'a> {
    Remove,
    Insert(&'a Transaction),
    Replace(&'a Transaction),
}

fn rows(
    conn: &Connection,
    changes: &[RowChange],
    number: &impl Fn(&UserId) -> Result<i64>,
    documents: &Documents,
    known: &mut Known<'_>,
) -> Result<Vec<(UserId, i64)>> {
    let mut changed: BTreeMap<&UserId, i64> = BTreeMap::new();
    let mut steps: Vec<(i64, Step)> = Vec::with_capacity(changes.len());
    for change in changes {
        let old = change.old.as_ref().map(|old| position(conn, old)).transpose()?;
        match (old, change.old.as_ref(), &change.new) {
            (Some(at), Some(old), Some(new))
                if old.created_at.seconds() == new.created_at.seconds() =>
            {
                steps.push((at, Step::Replace(new)));
            }
            (Some(at), Some(_), Some(new)) => {
                steps.push((at, Step::Remove));
                steps.push((codec::pos(new.created_at, new.seq), Step::Insert(new)));
            }
            (Some(at), Some(old), None) => {
                steps.push((at, Step::Remove));
                *changed.entry(&old.user_id).or_default() -= 1;
            }
            (_, _, Some(new)) => {
                steps.push((codec::pos(new.created_at, new.seq), Step::Insert(new)));
                *changed.entry(&new.user_id).or_default() += 1;
            }
            (_, _, None) => {}
        }
    }
    // An item that moves leaves its old place before it takes the new one, whose id is the same.
    for (at, step) in &steps {
        if let Step::Remove = step {
            conn.prepare_cached("delete from transactions where pos = ?1")?.execute([at])?;
        }
    }
    // The index writes one piece per commit as long as row numbers rise.
    steps.sort_unstable_by_key(|(at, _)| *at);
    for (at, step) in steps {
        let item = match step {
            Step::Remove => {
                conn.prepare_cached("delete from search where rowid = ?1")?.execute([at])?;
                continue;
            }
            Step::Replace(item) => {
                conn.prepare_cached("delete from transactions where pos = ?1")?.execute([at])?;
                conn.prepare_cached("delete from search where rowid = ?1")?.execute([at])?;
                item
            }
            Step::Insert(item) => item,
        };
        let user = number(&item.user_id)?;
        insert_item(conn, at, user, item)?;
        index(conn, (at, user), &documents.of(item), known)?;
    }
    Ok(changed.into_iter().map(|(user, change)| (user.clone(), change)).collect())
}

fn position(conn: &Connection, item: &Transaction) -> Result<i64> {
    let mut find = conn.prepare_cached("select pos from transactions where id = ?1")?;
    Ok(find.query_row([item.id.0.as_bytes().as_slice()], |row| row.get(0))?)
}

fn insert_item(conn: &Connection, pos: i64, user: i64, item: &Transaction) -> Result<()> {
    let mut insert = conn.prepare_cached(
        "insert into transactions (pos, id, user, type, product, status, side, currency, digits, \
         amount, metadata, source, external_id, version, created_at, recorded_at, updated_at, seq, \
         transfer, side_given, source_version, source_updated_at) \
         values (:pos, :id, :user, :type, :product, :status, :side, :currency, :digits, :amount, \
         :metadata, :source, :external_id, :version, :created_at, :recorded_at, :updated_at, :seq, \
         :transfer, :side_given, :source_version, :source_updated_at)",
    )?;
    insert.execute(named_params! {
        ":pos": pos,
        ":id": item.id.0.as_bytes().as_slice(),
        ":user": user,
        ":type": item.transaction_type.name(),
        ":product": item.product,
        ":status": item.status.name(),
        ":side": item.side.name(),
        ":currency": item.currency.code(),
        ":digits": item.currency.digits(),
        ":amount": amount_bytes(item.amount).as_slice(),
        ":metadata": item.metadata.to_string(),
        ":source": item.source,
        ":external_id": item.external_id,
        ":version": item.version,
        ":created_at": item.created_at.micros(),
        ":recorded_at": item.recorded_at.micros(),
        ":updated_at": item.updated_at.map(Timestamp::micros),
        ":seq": item.seq.0,
        ":transfer": item.transfer_id.map(|id| id.0.into_bytes()),
        ":side_given": item.side_given,
        ":source_version": item.revision.version,
        ":source_updated_at": item.revision.updated_at.map(Timestamp::micros),
    })?;
    Ok(())
}

fn index(
    conn: &Connection,
    (pos, user): (i64, i64),
    document: &Document,
    (interned, fresh): &mut Known<'_>,
) -> Result<()> {
    conn.prepare_cached(POST_ITEM)?.execute((pos, postings::fts(user, document)))?;
    let mut insert =
        conn.prepare_cached("insert or ignore into words (user, word) values (?1, ?2)")?;
    for word in document.fields.iter().flatten().filter(|word| in_dictionary(word)) {
        let hash = fnv128(&[&user.to_le_bytes(), word.as_bytes()]) as u64;
        if !interned.words.contains(hash) && fresh.insert(hash) {
            insert.execute((user, word))?;
        }
    }
    Ok(())
}

/// Brings the changes of a day or of a month into its row.
fn count(conn: &Connection, user: i64, part: &Part) -> Result<()> {
    let place = &part.place;
    let key = (user, &place.code, place.digits, place.month, place.day);
    let mut find = conn.prepare_cached(
        "select sums, counts, slots, updated_at from statistics \
         where user = ?1 and currency = ?2 and digits = ?3 and month = ?4 and day = ?5",
    )?;
    let mut rows = find.query(key)?;
    let found = match rows.next()? {
        Some(row) => Some(Found {
            updated_at: row.time(3, "time")?,
            sums: row.bytes(0, "sums")?,
            counts: row.bytes(1, "counts")?,
            slots: row.maybe_bytes(2, "slots")?,
        }),
        None => None,
    };
    let kept = part.fold(found)?;
    drop(rows);
    let Some(kept) = kept else {
        conn.prepare_cached(
            "delete from statistics \
             where user = ?1 and currency = ?2 and digits = ?3 and month = ?4 and day = ?5",
        )?
        .execute(key)?;
        return Ok(());
    };
    conn.prepare_cached(
        "insert or replace into statistics \
         (user, currency, digits, month, day, updated_at, sums, counts, slots) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        user,
        &place.code,
        place.digits,
        place.month,
        place.day,
        kept.updated_at.micros(),
        kept.sums,
        kept.counts,
        kept.slots,
    ))?;
    Ok(())
}

fn insert_reply(conn: &Connection, scope: u128, reply: &StoredReply) -> Result<()> {
    let body = serde_json::to_string(reply).map_err(|error| Error::Driver(Box::new(error)))?;
    conn.prepare_cached("insert into replies (scope, at, body) values (?1, ?2, ?3)")?.execute((
        scope.to_be_bytes().as_slice(),
        reply.at.micros(),
        body,
    ))?;
    Ok(())
}

/// Deletes replies that are older than they are kept, measured from the newest one.
pub fn sweep(conn: &Connection, kept: Duration) -> Result<()> {
    let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
    conn.prepare_cached(
        "delete from replies where reply in (select reply from replies \
         where at < (select at from replies order by reply desc limit 1) - ?1 \
         order by reply limit ?2)",
    )?
    .execute((kept, SWEEP_MAX))?;
    Ok(())
}

/// Merges up to so many pages of the indexes; false when there was nothing left to merge.
pub fn merge(conn: &mut Connection, pages: i64) -> Result<bool> {
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let before = transaction.total_changes();
    for sql in [
        "insert into search (search, rank) values ('merge', ?1)",
        "insert into events_user (events_user, rank) values ('merge', ?1)",
    ] {
        transaction.prepare_cached(sql)?.execute([pages])?;
    }
    // Each command is a change itself; what it merged are changes of the tables behind it.
    let merged = transaction.total_changes() > before + 2;
    transaction.commit()?;
    Ok(merged)
}
