//! Every kind of damage to a database has a name.

use crate::database::{self, Database, connect};
use crate::ledger::statement::busy;
use crate::support::{Books, Fallible, On};
use daybook_core::{AccountId, EventSeq, Side, TransactionId, TransferId};

const ITEM: &str = r#"{"user_id":"zoe","transaction_type":"card","amount":10,
    "created_at":"2024-05-01T10:00:00Z","metadata":{"merchant_name":"Starbucks"}}"#;

/// What is done to the database, the part that is damaged, and what is to be said about it.
type Case = (String, &'static str, String);

fn of_feed(item: TransactionId, seq: EventSeq) -> Vec<Case> {
    let changed = |what: &str| format!("update transactions set {what} where id = '{item}'");
    let statistics = "statistics where \"user\" = (select \"user\" from users where name = 'zoe')";
    let case = |damage: String, part, expected: &str| (damage, part, expected.to_owned());
    vec![
        case(
            changed("amount = 11"),
            "statistics",
            "zoe, USD, 2024-05-01T00:00:00.000000Z: the items add",
        ),
        case(changed("amount = 11"), "statistics", "month of 2024-05-01T00:00:00.000000Z: adds up"),
        case(changed("amount = 11"), "events", &format!("says something else than {item} is")),
        case(changed("search = ''"), "search", &format!("the words of {item} differ")),
        case(
            changed("search = replace(search::text, ':1 ', ':9 ')::tsvector"),
            "search",
            &format!("the words of {item} differ"),
        ),
        case(format!("delete from transactions where id = '{item}'"), "events", "items, the feed"),
        case(
            format!("delete from events where seq = {seq}"),
            "events",
            &format!("{item} has no event {seq}"),
        ),
        case(
            format!("delete from events where seq = {seq}"),
            "events",
            &format!("event {seq} is missing before {}", seq.0 + 1),
        ),
        case(
            format!("update events set previous = 1 where seq = {seq}"),
            "events",
            &format!("event {seq} does not follow"),
        ),
        case(
            "delete from words where word = 'starbucks'".to_owned(),
            "search",
            &format!("the dictionary lacks 'starbucks' of {item}"),
        ),
        case(format!("delete from {statistics} and day > 0"), "statistics", "not counted"),
        case(format!("delete from {statistics} and day = 0"), "statistics", "missing"),
        case(
            "update statistics s set \"user\" = u.\"user\" from users u \
             where u.name = 'ana' and s.day > 0 and s.\"user\" = \
             (select \"user\" from users where name = 'zoe')"
                .to_owned(),
            "statistics",
            "ana, USD, 2024-05-01T00:00:00.000000Z: counted, but there are no items",
        ),
    ]
}

fn of_ledger(complete: TransferId, hold: TransferId, equity: AccountId) -> Vec<Case> {
    let case = |damage: &str, expected: &str| (damage.to_owned(), "ledger", expected.to_owned());
    let changed = |what: &str, expected: &str| {
        case(&format!("update transfers set {what} where id = '{complete}'"), expected)
    };
    let differs = format!("says something else than {complete} is");
    let [debit, credit] = [Side::Debit, Side::Credit].map(|side| complete.item(side));
    let mark = "account = 3 and sequence = 0 and number = \
        (select min(number) from marks where account = 3 and sequence = 0)";
    vec![
        case("update funds set balance = 7 where account = 1", "the balance of 1 does not follow"),
        case("update funds set balance = 7 where account = 1", "in USD do not add up to zero"),
        case(
            "update funds set pending_out = 0 where account = 1",
            "the holds of the account 1 are not those of its transfers",
        ),
        case(
            "update accounts set overdraft = 0 where account = 4",
            "the account 4 is below its limit",
        ),
        case(
            "update accounts set version = 9 where account = 4",
            "the account 4 has no event of its version",
        ),
        case(
            "update accounts set name = 'x' where account = 4",
            "the account 4 has no event of its version",
        ),
        case(
            "update accounts set status = 'closed' where account = 1",
            "the account 1 is closed and has money",
        ),
        case("delete from accounts where account = 4", "1 accounts have money and nothing else"),
        case(
            &format!("delete from funds where account = {equity}"),
            &format!("transfers name the account {equity}, which is not there"),
        ),
        changed("amount = 0.01", "the balance of 2 does not follow at"),
        changed("amount = 0.01", &differs),
        changed("amount = 0.01", &format!("the item {debit} differs from its transfer")),
        changed("source_previous = null", "the entries of the account 1 are not all of"),
        changed("source_previous = 1", "the statement of the account 1 breaks at 1"),
        changed("destination_earlier = null", "the list of the account 2 is not complete"),
        changed("status = 'failed'", &differs),
        changed("is_shown = false", &format!("who owns the accounts of {complete} is another")),
        changed("currency = 'EUR'", &format!("{complete} is in another currency than an account")),
        changed("rolls_back = id", &format!("what {complete} undoes does not know of it")),
        changed("rolled_back_by = id", &format!("nothing undoes {complete}, which says so")),
        changed("due = 5", &format!("the transfer {complete} is due at another time")),
        case(
            &format!("delete from transfers where id = '{complete}'"),
            &format!("an item shows the transfer {complete}, which is not there"),
        ),
        case(
            &format!("delete from transactions where id = '{debit}'"),
            &format!("the debit item of the transfer {complete} is missing"),
        ),
        case(
            &format!("update transactions set status = 'failed' where id = '{credit}'"),
            &format!("the item {credit} differs from its transfer"),
        ),
        case(
            &format!("update transfers set amount = 0.01 where id = '{hold}'"),
            "the holds of the account 2 are not those of its transfers",
        ),
        case(&format!("delete from marks where {mark}"), "should be there"),
        case(&format!("update marks set key = key + 1 where {mark}"), "1 marks of"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damage_is_named() -> Fallible<()> {
    let Some(server) = database::server() else { return Ok(()) };
    let books = busy(On::Postgres).await?;
    let item = books.record(ITEM).await?;
    let seq = books.store.transaction(item).await?.ok_or("no item")?.seq;
    let complete = books.pay(1, 2, "7.00", "").await?;
    let hold = books.pay(1, 2, "3.00", r#","pending":true"#).await?;
    books.account(r#"{"account_id":4,"overdraft_limit":"10.00"}"#).await?;
    books.pay(4, 3, "10.00", "").await?;
    books.verified().await?;
    let equity = AccountId::equity(&books.holding(1).await?.account.currency);
    books.store.close().await;
    for (damage, part, expected) in [of_feed(item, seq), of_ledger(complete, hold, equity)].concat()
    {
        let copy = Database::copy(&server, &books.url).await?;
        let changed = connect(&copy.url).await?.execute(&damage, &[]).await?;
        assert!(changed > 0, "{damage}");
        let damaged = Books::at(copy.url.clone(), On::Postgres).await?;
        let mut found = damaged.differences().await?;
        if part == "ledger" {
            let ledger = damaged.store.verify_ledger().await?.differences;
            found.retain(|difference| difference.part == "ledger");
            assert_eq!(found, ledger, "{damage}");
        }
        let named = found.iter().any(|d| d.part == part && d.what.contains(&expected));
        assert!(named, "{damage}: {expected} is not in {found:?}");
        damaged.store.close().await;
    }
    Ok(())
}

impl Database {
    /// Makes a copy of a database that nobody uses any more.
    async fn copy(server: &str, url: &str) -> Fallible<Self> {
        let copy = Self::make(server).await?;
        let name = |url: &str| {
            let path = url.split('?').next().and_then(|url| url.rsplit('/').next());
            path.unwrap_or_default().to_owned()
        };
        let (from, to) = (name(url), name(&copy.url));
        let own = connect(server).await?;
        own.batch_execute(&format!("drop database {to}")).await?;
        // Connections that were just closed may still be there for a moment.
        let others = format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{from}'"
        );
        own.execute(&others, &[]).await?;
        own.batch_execute(&format!("create database {to} template {from}")).await?;
        Ok(copy)
    }
}
