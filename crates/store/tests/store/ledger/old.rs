//! A file that was made before there was a ledger.

use crate::support::{Books, Fallible, On, SCHEMA};
use daybook_store::Options;
use refinery::{Migration, Runner};

const FEED: &str = include_str!("../../../migrations/sqlite/V0001__feed.sql");
const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":10,
    "metadata":{"merchant_name":"Starbucks"}}"#;

/// What tables and indexes there are, as they were made.
fn schema(file: &rusqlite::Connection) -> Fallible<Vec<(String, Option<String>)>> {
    let mut select = file.prepare("select name, sql from sqlite_schema order by name")?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Takes all but the feed out of a file, so that it is as the first version would have written it.
fn with_feed_only(file: &rusqlite::Connection) -> Fallible<()> {
    file.execute_batch(
        "drop table accounts; drop table funds; drop table transfers; drop table marks; \
         alter table transactions drop column source_updated_at; \
         alter table transactions drop column source_version; \
         alter table transactions drop column side_given; \
         alter table transactions drop column transfer; drop table followers; \
         drop table api_keys; drop table sealing; \
         alter table events drop column link; \
         delete from refinery_schema_history where version > 1;",
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_first_version_gets_a_ledger_and_keeps_its_feed() -> Fallible<()> {
    let mut books = Books::open(On::Sqlite).await?;
    let id = books.record(ITEM).await?;
    let before = books.store.transaction(id).await?;
    let seq = books.store.seq();
    books.store.close().await;
    let file = books.file()?;
    let new = schema(&file)?;
    with_feed_only(&file)?;

    // The same that the first version's own migration makes.
    let mut first = rusqlite::Connection::open_in_memory()?;
    Runner::new(&[Migration::unapplied("V0001__feed", FEED)?]).run(&mut first)?;
    assert_eq!(schema(&file)?, schema(&first)?);
    let checksum = "select version, name, checksum from refinery_schema_history";
    let read = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let recorded: (i64, String, String) = file.query_row(checksum, [], read)?;
    assert_eq!(recorded, first.query_row(checksum, [], read)?);
    drop(file);

    books.reopen().await?;
    assert_eq!(books.store.status().await?.schema, SCHEMA);
    assert_eq!(schema(&books.file()?)?, new);
    assert_eq!((books.store.transaction(id).await?, books.store.seq()), (before, seq));
    assert_eq!(books.ids("ana", &[("search_query", "starbucks")]).await?, [id]);
    books.verified().await?;
    books.account(r#"{"account_id":1,"user_id":"ana","initial_balance":"5.00"}"#).await?;
    books.account(r#"{"account_id":2,"user_id":"bob"}"#).await?;
    books.pay(1, 2, "5.00", "").await?;
    assert_eq!(books.ids("ana", &[]).await?.len(), 2);
    books.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_first_version_differs_is_left_alone() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    books.store.close().await;
    let file = books.file()?;
    with_feed_only(&file)?;
    file.execute("update refinery_schema_history set checksum = '1'", [])?;
    let before = schema(&file)?;
    assert!(daybook_store::open(&books.url, Options::default()).await.is_err());
    assert_eq!(schema(&file)?, before);
    Ok(())
}
