//! That PostgreSQL reads what a question shows and little more. The server itself counts the rows,
//! so that a lost index or a bad plan fails.

use std::collections::BTreeMap;

use daybook_core::query::{EntriesQuery, TransfersQuery, Whose};
use daybook_core::stats::{GroupBy, Interval, Span};
use daybook_core::{AccountId, EventSeq, Timestamp};
use daybook_store::Store;

use crate::database;
use crate::support::{Books, Fallible, On, user};

/// Ana's items, an hour apart; every thousandth is at a shop of its own.
const ITEMS: usize = 6_000;
const BATCH: usize = 1_000;
const TRANSFERS: usize = 400;

/// Rows that were read of each table: without an index, and by one.
type Counted = BTreeMap<String, (i64, i64)>;

/// What the server counted so far. A connection's counts are complete when it is gone.
async fn counted(books: &Books) -> Fallible<Counted> {
    let client = database::connect(&books.url).await?;
    let others = "select count(*) from pg_stat_activity where datname = current_database() \
        and backend_type = 'client backend' and pid <> pg_backend_pid()";
    while client.query_one(others, &[]).await?.get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    let sql = "select relname::text, seq_tup_read, coalesce(idx_tup_fetch, 0) \
        from pg_stat_user_tables";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// Fails when a question reads more rows of a table by an index than that, or any without one.
async fn reads(
    books: &Books,
    name: &str,
    table: &str,
    most: i64,
    ask: impl AsyncFn(&dyn Store) -> Fallible<()>,
) -> Fallible<()> {
    let before = counted(books).await?;
    let opened = Books::at(books.url.clone(), On::Postgres).await?;
    ask(&*opened.store).await?;
    opened.store.close().await;
    let after = counted(books).await?;
    for big in ["transactions", "transfers", "events"] {
        assert_eq!(after[big].0 - before[big].0, 0, "{name} read all of {big}");
    }
    let read = after[table].1 - before[table].1;
    assert!(read <= most, "{name} read {read} rows of {table}, more than {most}");
    Ok(())
}

async fn fill(books: &Books) -> Fallible<()> {
    for batch in 0..ITEMS / BATCH {
        let body = |n: usize| {
            let (status, at) =
                (if n.is_multiple_of(500) { "pending" } else { "completed" }, n * 3_600);
            let shop =
                if n % BATCH == 7 { format!("Only{}", name(n / BATCH)) } else { "Shop".into() };
            let at = Timestamp::from_micros(1_700_000_000_000_000 + at as i64 * 1_000_000);
            format!(
                r#"{{"user_id":"ana","transaction_type":"card","amount":{n},"status":"{status}",
                "created_at":"{at}","metadata":{{"merchant_name":"{shop}"}}}}"#
            )
        };
        let bodies: Vec<String> = (batch * BATCH..(batch + 1) * BATCH).map(body).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        books.batch(&bodies, true, false).await?;
    }
    for _ in 0..2 {
        books.account(r#"{"currency":"USD","user_id":"ana","initial_balance":"1000.00"}"#).await?;
    }
    for n in 0..TRANSFERS as i64 {
        books.pay(1 + n % 2, 2 - n % 2, "1.00", "").await?;
    }
    books.store.close().await;
    let client = database::connect(&books.url).await?;
    Ok(client.batch_execute("vacuum analyze").await?)
}

/// A word of letters for a number.
fn name(number: usize) -> String {
    ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"][number].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_read_what_they_show() -> Fallible<()> {
    if database::server().is_none() {
        return Ok(());
    }
    let books = Books::open(On::Postgres).await?;
    fill(&books).await?;
    feed(&books).await?;
    let all = async |store: &dyn Store| {
        let found = store.statistics(user("ana"), Span::all(), Vec::new()).await?;
        assert_eq!(found[0].transaction_count, 6_000 + 2 * TRANSFERS as u64);
        Ok(())
    };
    reads(&books, "all statistics", "transactions", 0, all).await?;
    let months = async |store: &dyn Store| {
        let (interval, group_by) = (Interval::Month, GroupBy::Side);
        store.series(user("ana"), Span::all(), Vec::new(), interval, group_by).await?;
        Ok(())
    };
    reads(&books, "a series", "transactions", 0, months).await?;
    let changes = async |store: &dyn Store| {
        let found = store.changes(user("ana"), EventSeq(3_000), 20).await?;
        assert_eq!(found.events.len(), 20);
        Ok(())
    };
    // Besides, the store looks for the newest event now and then.
    reads(&books, "changes", "events", 21 + 20, changes).await?;
    let newest = books.query("ana", &[("limit", "1"), ("transaction_type", "card")])?;
    let history = async |store: &dyn Store| {
        let page = store.transactions(newest.clone()).await?;
        assert_eq!(store.history(page.items[0].id).await?.len(), 1);
        Ok(())
    };
    reads(&books, "a history", "events", 1 + 20, history).await?;
    ledger(&books).await
}

async fn feed(books: &Books) -> Fallible<()> {
    let first = books.query("ana", &[("page_size", "1"), ("page", "3000")])?;
    let middle = std::sync::Mutex::new(String::new());
    let deep = async |store: &dyn Store| {
        let page = store.transactions(first.clone()).await?;
        let digest = books.query("ana", &[("limit", "20")])?.digest;
        let cursor = page.next.ok_or("no next page")?.encode(digest);
        *middle.lock().map_err(|_| "poisoned")? = cursor;
        Ok(())
    };
    reads(books, "a deep page", "transactions", 2, deep).await?;
    let cursor = middle.into_inner()?;
    let (day, next) = ("2023-12-01T00:00:00Z", "2023-12-31T00:00:00Z");
    /// Filters, how many items they show, and how many may be read.
    type Case<'a> = (&'a [(&'a str, &'a str)], usize, i64);
    let cases: &[Case] = &[
        (&[("limit", "20")], 20, 21),
        (&[("page", "1")], 20, 21),
        (&[("limit", "20"), ("cursor", &cursor)], 20, 21),
        (&[("page", "1"), ("start_date", day), ("end_date", next)], 20, 21),
        // What is near is walked to; what is rare is found by the index, after a short walk.
        (&[("limit", "20"), ("transaction_type", "card")], 20, 900),
        (&[("limit", "20"), ("search_query", "shop")], 20, 900),
        (&[("limit", "20"), ("status", "pending")], 12, 256 + 2_048 + 40),
        (&[("limit", "20"), ("search_query", "onlydelta")], 1, 256 + 4),
        (&[("limit", "20"), ("search_query", "onlydelt")], 1, 256 + 4),
        (&[("limit", "20"), ("search_query", "onlidelta")], 1, 256 + 4),
        // Every item is looked at once, and the index counts them once.
        (&[("limit", "20"), ("metadata.merchant_name[gte]", "T")], 0, 14_000),
        (&[("limit", "20"), ("metadata.absent[gte]", "1")], 0, 2_001),
    ];
    for (filters, shown, most) in cases {
        let query = books.query("ana", filters)?;
        let ask = async |store: &dyn Store| {
            assert_eq!(store.transactions(query.clone()).await?.items.len(), *shown, "{filters:?}");
            Ok(())
        };
        reads(books, &format!("{filters:?}"), "transactions", *most, ask).await?;
    }
    Ok(())
}

async fn ledger(books: &Books) -> Fallible<()> {
    let account = AccountId(1);
    let all =
        EntriesQuery { account, from: Timestamp::MIN, to: Timestamp::END, before: None, limit: 20 };
    let newest = async |store: &dyn Store| {
        let page = store.entries(all.clone()).await?.ok_or("no account")?;
        assert_eq!((page.items.len(), page.has_more), (20, true));
        Ok(())
    };
    reads(books, "a statement", "transfers", 21, newest).await?;
    let opened = Books::at(books.url.clone(), On::Postgres).await?;
    let long = EntriesQuery { limit: 200, ..all.clone() };
    let last = opened.store.entries(long).await?.ok_or("no account")?.items.pop().ok_or("empty")?;
    opened.store.close().await;
    let until = EntriesQuery { to: last.posted_at, ..all };
    let middle = async |store: &dyn Store| {
        let page = store.entries(until.clone()).await?.ok_or("no account")?;
        assert_eq!((page.items.len(), page.has_more), (20, true));
        Ok(())
    };
    reads(books, "a statement of the past", "transfers", 21 + 64, middle).await?;
    let balance = async |store: &dyn Store| {
        store.balance_at(account, last.posted_at).await?.ok_or("no account")?;
        Ok(())
    };
    reads(books, "a balance of the past", "transfers", 1 + 64, balance).await?;
    for (name, whose) in [
        ("transfers of an account", Whose::Account(account)),
        ("transfers of a user", Whose::User(user("ana"))),
        ("all transfers", Whose::All),
    ] {
        let query =
            TransfersQuery { whose, status: None, reference: None, before: None, limit: 20 };
        let ask = async |store: &dyn Store| {
            assert_eq!(store.transfers(query.clone()).await?.items.len(), 20);
            Ok(())
        };
        // Each is looked at once for its links and once to be shown.
        reads(books, name, "transfers", 2 * 21, ask).await?;
    }
    Ok(())
}
