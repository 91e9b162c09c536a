//! Damage to any column of any table is noticed: the schema is walked, and in a few rows of each
//! column the value is changed to another one. What cannot be known from anything else stands in
//! [`UNKNOWN`], each with its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Books, Fallible, On};
use daybook_core::command::Action;
use daybook_core::transfer::{Failure, FailureKind};
use daybook_core::{KeyId, NewKey};
use daybook_store::{Claim, WorkLease};

/// A table, a column, the rows of which it is true, and why nothing tells that it was changed.
type Unknown = (&'static str, &'static str, &'static str, &'static str);

const ALL: &str = "1 = 1";
/// Transfers of which an attempt failed and that wait for another.
const TRIED: &str = "status = 'pending' and retry_count > 0";

const UNKNOWN: &[Unknown] = &[
    ("api_keys", "hash", ALL, "what is published of a key says nothing of its secret"),
    ("api_keys", "previous", ALL, "as the hash of the secret that it has now"),
    ("api_keys", "previous_until", ALL, "how long an old secret opens is not published"),
    ("api_keys", "used_at", ALL, "to use a key is no change of the books"),
    ("followers", "name", ALL, "followers are no part of the books"),
    ("followers", "position", ALL, "a follower alone knows how far it is"),
    ("followers", "owner", ALL, "whoever has a lease takes it without a trace"),
    ("followers", "lease_until", ALL, "as whose lease it is"),
    ("leases", "name", ALL, "work is no part of the books"),
    ("leases", "owner", ALL, "as the owner of a follower"),
    ("leases", "lease_until", ALL, "as the owner of a follower"),
    ("leases", "note", ALL, "what processes tell each other is no part of the books"),
    ("replies", "reply", ALL, "the number says in which order answers go that are too old"),
    ("replies", "scope", ALL, "a digest of a key that only its client knows"),
    ("transfers", "retry_count", TRIED, "an attempt that will be repeated is no event"),
    ("transfers", "last_attempt", TRIED, "as how many attempts there were"),
    ("transfers", "last_error", TRIED, "as how many attempts there were"),
];

/// Tables that have no rows in the books of this test.
const EMPTY: &[&str] = &["sealing"];

/// The database past all rules.
enum Raw {
    File(rusqlite::Connection),
    Server(tokio_postgres::Client),
}

type Rows = Vec<Vec<Option<String>>>;

impl Raw {
    async fn open(books: &Books) -> Fallible<Self> {
        Ok(match books.on {
            On::Sqlite => {
                let file = books.file()?;
                file.busy_timeout(std::time::Duration::from_secs(5))?;
                file.pragma_update(None, "synchronous", "off")?;
                Self::File(file)
            }
            On::Postgres | On::Pgbouncer => Self::Server(books.past().await?),
        })
    }

    async fn rows(&self, sql: &str) -> Fallible<Rows> {
        match self {
            Self::File(file) => {
                let mut select = file.prepare(sql)?;
                let columns = select.column_count();
                let text = |row: &rusqlite::Row, at| -> rusqlite::Result<Option<String>> {
                    Ok(match row.get_ref(at)? {
                        rusqlite::types::ValueRef::Integer(number) => Some(number.to_string()),
                        value => value.as_str_or_null()?.map(str::to_owned),
                    })
                };
                let row = |row: &rusqlite::Row| (0..columns).map(|at| text(row, at)).collect();
                Ok(select.query_map([], row)?.collect::<Result<_, _>>()?)
            }
            Self::Server(client) => {
                let mut rows = Rows::new();
                for message in client.simple_query(sql).await? {
                    if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                        let value = |at| row.get(at).map(str::to_owned);
                        rows.push((0..row.len()).map(value).collect());
                    }
                }
                Ok(rows)
            }
        }
    }

    /// Runs statements; `None` when the database refuses one.
    async fn run(&self, sql: &str) -> Option<()> {
        match self {
            Self::File(file) => file.execute_batch(sql).ok(),
            Self::Server(client) => client.batch_execute(sql).await.ok(),
        }
    }

    fn quote(&self) -> &'static str {
        match self {
            Self::File(_) => "quote",
            Self::Server(_) => "quote_nullable",
        }
    }
}

struct Column {
    name: String,
    kind: String,
    is_key: bool,
    may_be_null: bool,
}

/// All tables and columns that there are.
async fn schema(raw: &Raw) -> Fallible<BTreeMap<String, Vec<Column>>> {
    let columns = match raw {
        Raw::File(_) => {
            "select t.name, c.name, c.type, c.pk > 0, not c.\"notnull\" and c.pk = 0 \
             from pragma_table_list t, pragma_table_xinfo(t.name) c \
             where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite_%'"
        }
        Raw::Server(_) => {
            "select c.table_name, c.column_name, c.data_type, case when exists \
                 (select 1 from pg_index i join pg_attribute a \
                  on a.attrelid = i.indrelid and a.attnum = any(i.indkey) \
                  where i.indisprimary and i.indrelid = c.table_name::regclass \
                  and a.attname = c.column_name) then 1 else 0 end, \
             case c.is_nullable when 'YES' then 1 else 0 end \
             from information_schema.columns c where c.table_schema = 'public'"
        }
    };
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in raw.rows(columns).await? {
        let [Some(table), Some(name), Some(kind), Some(is_key), Some(may_be_null)] = &row[..]
        else {
            return Err("a column without a name".into());
        };
        if table == "refinery_schema_history" {
            continue;
        }
        tables.entry(table.clone()).or_default().push(Column {
            name: name.clone(),
            kind: kind.to_lowercase(),
            is_key: is_key == "1",
            may_be_null: may_be_null == "1",
        });
    }
    Ok(tables)
}

/// Books with something of everything.
async fn scene(on: On) -> Fallible<Books> {
    let books = super::ledger::three(on).await?;
    for user in ["ana", "zoe"] {
        items(&books, user).await?;
    }
    transfers(&books).await?;
    let body = r#"{"name":"till","scopes":["read"]}"#;
    for key in [3, 4] {
        let id = KeyId(key);
        let new = NewKey::parse(body, (id, [key as u8; 32]), &["read"], books.now())?;
        books.act(Action::Issue(new)).await?;
        let until = Some(daybook_core::Timestamp::from_micros(1_900_000_000_000_000));
        books.act(Action::Renew { id, hash: [9; 32], until }).await?;
    }
    books.act(Action::Revoke { id: KeyId(4) }).await?;
    books.store.api_keys_used(vec![(KeyId(3), books.now())]).await?;
    let claim = Claim {
        follower: "search".to_owned(),
        owner: "somebody".to_owned(),
        lease: std::time::Duration::from_secs(3600),
        from: daybook_core::EventSeq(3),
        done: None,
    };
    books.store.follow(claim).await?;
    let (name, owner) = ("sweeping".to_owned(), "somebody".to_owned());
    let (lease, note) = (std::time::Duration::from_secs(3600), Some("done".to_owned()));
    books.store.lease(WorkLease { name, owner, lease, note }).await?;
    Ok(books)
}

/// Items of several days, types and statuses; some moved, changed or were deleted.
async fn items(books: &Books, user: &str) -> Fallible<()> {
    let item = |amount: &str, day: u32, more: &str| {
        format!(
            r#"{{"user_id":"{user}","transaction_type":"card","amount":{amount},
            "created_at":"2024-05-{day:02}T10:00:00Z"{more}}}"#
        )
    };
    let merchant = r#","metadata":{"merchant_name":"Blue Bottle"}"#;
    let first = books.record(&item("10", 1, merchant)).await?;
    books.record(&item("12", 1, r#","status":"failed","product":"Account""#)).await?;
    let external = r#","source":"bank","external_id":"X-1","status":"pending""#;
    let pending = books.record(&item("7.5", 2, external)).await?;
    books.record(&item("3", 20, r#","side":"credit""#)).await?;
    books.patch(first, r#"{"metadata":{"note":"espresso"}}"#).await?;
    books.patch(pending, r#"{"status":"completed"}"#).await?;
    // The largest leaves, and its word with it.
    let largest = books.record(&item("99", 1, r#","metadata":{"note":"gone"}"#)).await?;
    books.erase(largest).await?;
    for key in [1, 2] {
        let scope = u128::from(user.as_bytes()[0]) << 8 | key;
        books.with_key(&item("1", 3, merchant), scope).await?;
    }
    Ok(())
}

/// Transfers of every status, more than lie between two marks.
async fn transfers(books: &Books) -> Fallible<()> {
    let account = r#"{"account_id":4,"user_id":"ana","overdraft_limit":"10.00","name":"Savings"}"#;
    books.account(account).await?;
    books.account(r#"{"account_id":5,"user_id":"zoe","overdraft_limit":"unlimited"}"#).await?;
    books.account(r#"{"account_id":6,"currency":"EUR","metadata":{"branch":"north"}}"#).await?;
    books.reform(4, r#"{"name":"Holiday"}"#).await?;
    for round in 0..70 {
        books.pay(5, 4, "0.10", &format!(r#","reference":"R-{round}""#)).await?;
    }
    let undone = books.pay(5, 4, "2.00", "").await?;
    books.act(Action::Rollback { id: undone, owner: None, by: books.transfer_id() }).await?;
    books.pay(5, 4, "3.00", r#","pending":true,"expires_in":60"#).await?;
    let posted = books.pay(5, 4, "4.00", r#","pending":true,"expires_in":60"#).await?;
    books.act(Action::Post { id: posted, owner: None, amount: None }).await?;
    let voided = books.pay(5, 4, "5.00", r#","pending":true"#).await?;
    books.act(Action::Void { id: voided, owner: None }).await?;
    let later = r#","execute_at":"2024-07-03T09:47:00Z""#;
    books.pay(5, 4, "1.00", r#","execute_at":"2030-01-01","pending":true,"expires_in":9"#).await?;
    let [retried, held] = [
        books.pay(4, 5, "500.00", later).await?,
        books.pay(5, 4, "6.00", &format!(r#"{later},"pending":true,"expires_in":60"#)).await?,
    ];
    books.pass(60_000_000);
    let retry = super::ledger::RETRY;
    for id in [retried, held] {
        books.act(Action::Attempt { id, retry, failure: None }).await?;
    }
    let failed = books.pay(5, 4, "1.00", later).await?;
    let failure = Failure {
        kind: FailureKind::Permanent,
        code: "BROKEN".to_owned(),
        detail: "it is broken".to_owned(),
    };
    books.act(Action::Attempt { id: failed, retry, failure: Some(failure) }).await?;
    Ok(())
}

/// Other values for a column, as SQL expressions, the plainest first.
fn others(raw: &Raw, table: &str, column: &Column, old: &str) -> Vec<String> {
    let name = format!("\"{}\"", column.name);
    let mut others: Vec<String> = Vec::new();
    let is_null = old.eq_ignore_ascii_case("null");
    if column.may_be_null && !is_null {
        others.push("null".to_owned());
    }
    let one = |kind: &str| match kind {
        "text" => "'x'",
        "json" => r#"'{"x":1}'"#,
        "blob" => "x'00000000000000000000000000000001'",
        "bytea" => r"'\x00000000000000000000000000000001'",
        "uuid" => "'00000000-0000-0000-ffff-000000000001'",
        _ => "1",
    };
    match column.kind.as_str() {
        kind if is_null => others.push(one(kind).to_owned()),
        "integer" | "bigint" | "smallint" => {
            // The second where the first is taken; no time of the test is so far from another.
            others.extend([format!("{name} + 1"), format!("{name} + 1000003")]);
            if (table, column.name.as_str()) == ("users", "user") {
                // The database itself gives these numbers.
                others.push("default".to_owned());
            }
        }
        "boolean" => others.push(format!("not {name}")),
        "numeric" => {
            others.extend(["0.01", "0.000000000000000001"].map(|d| format!("{name} + {d}")));
        }
        "uuid" => others.push(one("uuid").to_owned()),
        "json" => others.push(one("json").to_owned()),
        "tsvector" => others.push("''".to_owned()),
        "timestamp with time zone" => others.push(format!("{name} + interval '1 hour'")),
        "bytea" => {
            let length = old.len().saturating_sub(5) / 2;
            let flip = |at| format!("set_byte({name}, {at}, get_byte({name}, {at}) # 1)");
            // What bytes mean is the same in both stores, and the other one is asked much faster.
            let ends = [0, length.saturating_sub(1)].into_iter();
            others.extend(ends.filter(|at| *at < length).map(flip));
        }
        "blob" => {
            let bytes = hex(old);
            for at in places(table, bytes.len()) {
                let mut other = bytes.clone();
                other[at] ^= 1;
                others.push(literal(&other));
            }
        }
        "text" => {
            let known: &[&str] = match column.name.as_str() {
                "status" => &["'completed'", "'complete'", "'failed'", "'open'", "'frozen'"],
                "side" => &["'credit'", "'debit'"],
                "type" => &["'card'", "'crypto'"],
                "currency" => &["'EUR'", "'USD'"],
                "metadata" => &[r#"'{"x":1}'"#],
                "last_error" => &[r#"'{"kind":"unknown","code":"X","detail":"x"}'"#],
                _ => &[],
            };
            others.extend(known.iter().filter(|other| **other != old).map(|o| (*o).to_owned()));
            match column.name.as_str() {
                // Another event than the one that the answer is made of.
                "body" if table == "replies" => {
                    others.push(format!(r#"replace({name}, '"c":', '"c":1')"#));
                    others.push(format!(r#"replace({name}, '"at":', '"at":1')"#));
                }
                "body" => others.push(format!(r#"replace({name}, ':', ': ')"#)),
                _ => others.push(format!("{name} || 'x'")),
            }
        }
        other => {
            panic!("{table}.{} is of a type that the test does not know: {other}", column.name)
        }
    }
    if let (Raw::File(_), "is_shown") = (raw, column.name.as_str()) {
        others.push(format!("1 - {name}"));
    }
    others
}

/// The bytes that are changed one at a time: all of statistics, which hold many values each.
fn places(table: &str, length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| table == "statistics" || *at + 1 == length)
}

fn hex(literal: &str) -> Vec<u8> {
    let digits = literal.trim_start_matches("X'").trim_end_matches('\'').as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn literal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

/// The first and the last row with a value and without one, of those with a condition and of the
/// others: how to find it, its value, and whether the condition holds.
async fn picks(
    raw: &Raw,
    table: &str,
    columns: &[Column],
    column: &Column,
    condition: &str,
) -> Fallible<Vec<(String, String, bool)>> {
    let keys: Vec<&Column> = columns.iter().filter(|column| column.is_key).collect();
    let quote = raw.quote();
    let keys_quoted: String =
        keys.iter().map(|key| format!(", {quote}(\"{}\")", key.name)).collect();
    let order = if keys.is_empty() {
        String::new()
    } else {
        let names: Vec<_> = keys.iter().map(|key| format!("\"{}\"", key.name)).collect();
        format!("order by {}", names.join(", "))
    };
    let sql = format!(
        "select {quote}(\"{}\"), case when {condition} then 1 else 0 end{keys_quoted} \
         from {table} {order}",
        column.name
    );
    let rows = raw.rows(&sql).await?;
    let mut picked: BTreeMap<(bool, bool), Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let is_null = row[0].as_deref().is_none_or(|old| old.eq_ignore_ascii_case("null"));
        let holds = row[1].as_deref() == Some("1");
        let found = picked.entry((is_null, holds)).or_default();
        let enough = if matches!(raw, Raw::File(_)) { 2 } else { 1 };
        if found.len() == enough {
            found.pop();
        }
        found.push(at);
    }
    let pick = |at: usize| {
        let row = &rows[at];
        let key = |(key, value): (&&Column, &Option<String>)| {
            format!("\"{}\" = {}", key.name, value.as_deref().unwrap_or("null"))
        };
        let found: Vec<String> = keys.iter().zip(&row[2..]).map(key).collect();
        let found = if found.is_empty() { ALL.to_owned() } else { found.join(" and ") };
        let old = row[0].clone().unwrap_or_else(|| "null".to_owned());
        (found, old, row[1].as_deref() == Some("1"))
    };
    Ok(picked.into_values().flatten().map(pick).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_any_column_of_a_file_is_noticed() -> Fallible<()> {
    every_damage_is_noticed(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_any_column_of_a_database_is_noticed() -> Fallible<()> {
    match crate::database::server() {
        Some(_) => every_damage_is_noticed(On::Postgres).await,
        None => Ok(()),
    }
}

async fn every_damage_is_noticed(on: On) -> Fallible<()> {
    let books = scene(on).await?;
    books.verified().await?;
    let raw = Raw::open(&books).await?;
    let tables = schema(&raw).await?;
    let (mut unseen, mut not_found) = (BTreeSet::new(), Vec::new());
    for (table, columns) in &tables {
        let rows = raw.rows(&format!("select count(*) from {table}")).await?;
        let is_empty = rows[0][0].as_deref() == Some("0");
        assert_eq!(is_empty, EMPTY.contains(&table.as_str()), "{table} has rows or has none");
        let keep = format!("create temporary table kept_{table} as select * from {table}");
        raw.run(&keep).await.ok_or("no table to keep rows in")?;
        let system = if on == On::Sqlite { "" } else { "overriding system value" };
        let restore = format!(
            "begin; delete from {table}; \
             insert into {table} {system} select * from kept_{table}; commit"
        );
        for column in columns.iter().filter(|_| !is_empty) {
            let name = column.name.as_str();
            let unknown = UNKNOWN.iter().find(|(t, c, ..)| (*t, *c) == (table, name));
            let condition = unknown.map_or("1 = 0", |(_, _, condition, _)| condition);
            let mut changed = 0;
            for (row, old, is_unknown) in picks(&raw, table, columns, column, condition).await? {
                for other in others(&raw, table, column, &old) {
                    let damage = format!("update {table} set \"{name}\" = {other} where {row}");
                    if raw.run(&damage).await.is_none() {
                        continue;
                    }
                    changed += 1;
                    let found = books.differences().await;
                    let is_noticed = found.as_ref().is_ok_and(|found| !found.is_empty());
                    if !is_noticed && is_unknown {
                        unseen.insert((table.clone(), name.to_owned()));
                    } else if !is_noticed {
                        not_found.push(format!("{damage} (was {old}): {found:?}"));
                    }
                    raw.run(&restore).await.ok_or("the rows do not come back")?;
                }
            }
            assert!(changed > 0, "{table}.{name} was not changed");
        }
        books.verified().await?;
    }
    assert!(not_found.is_empty(), "not noticed:\n{}", not_found.join("\n"));
    let is_here = |(table, column): (&str, &str)| {
        tables.get(table).is_some_and(|all| all.iter().any(|known| known.name == column))
    };
    let listed =
        UNKNOWN.iter().map(|(table, column, ..)| (*table, *column)).filter(|c| is_here(*c));
    let listed: BTreeSet<_> = listed.map(|(t, c)| (t.to_owned(), c.to_owned())).collect();
    assert_eq!(unseen, listed, "what is not noticed is listed, and nothing else is");
    Ok(())
}
