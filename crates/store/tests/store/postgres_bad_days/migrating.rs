//! Schemas that are brought up to date by several at once, by halves, and by newer versions.

use super::proxy::Proxy;
use super::{database, open};
use crate::database::connect;
use crate::support::{Fallible, SCHEMA};
use daybook_store::{Error, Options};

const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_open_a_new_database_at_once_all_find_it_ready() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let opened = futures_util::future::join_all((0..5).map(|_| open(&database.url))).await;
    let opened = opened.into_iter().collect::<Fallible<Vec<_>>>()?;
    for books in &opened {
        assert_eq!(books.store.status().await?.schema, SCHEMA);
    }
    let history = "select count(*), count(distinct version), max(version)::bigint \
        from refinery_schema_history";
    let history = connect(&database.url).await?.query_one(history, &[]).await?;
    let [made, different, newest] = [0, 1, 2].map(|at| history.get::<_, i64>(at));
    assert_eq!((made, newest), (different, SCHEMA), "each migration was made once");
    opened[0].record(ITEM).await?;
    opened[4].verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_interrupted_is_made_again() -> Fallible<()> {
    for command in ["CREATE TABLE", "CREATE INDEX", "INSERT", "COMMIT", "ALTER TABLE"] {
        let Some(database) = database().await? else { return Ok(()) };
        let proxy = Proxy::before(&database.url).await?;
        proxy.cut_after(command);
        let interrupted = daybook_store::open(&proxy.url(&database.url), Options::default()).await;
        assert_eq!(proxy.cuts(), 1, "no {command}");
        let error = interrupted.err().ok_or_else(|| format!("opened in spite of {command}"))?;
        assert!(matches!(error, Error::Away { .. }), "{command}: {error:?}");
        let books = open(&database.url).await?;
        assert_eq!(books.store.status().await?.schema, SCHEMA);
        books.record(ITEM).await?;
        books.verified().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = open(&database.url).await?;
    books.store.close().await;
    let newer = "insert into refinery_schema_history (version, name, applied_on, checksum) \
        values (9999, 'from_the_future', '2100-01-01T00:00:00Z', '0')";
    connect(&database.url).await?.batch_execute(newer).await?;
    let refused = daybook_store::open(&database.url, Options::default()).await;
    let error = refused.err().ok_or("opened")?;
    assert!(matches!(error, Error::TooNew { found: 9999, known: SCHEMA, .. }), "{error:?}");
    Ok(())
}
