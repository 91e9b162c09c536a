//! A replica that lags, goes away, or is none.

use std::sync::Arc;
use std::time::Duration;

use daybook_core::command::Action;
use daybook_core::{EventSeq, Submission};
use daybook_store::{Error, Options, Reader, Store};

use super::is_away;
use super::server::Server;
use crate::database::{self, Database};
use crate::support::{Books, Fallible, On};

const BODY: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;

/// The replica, when it may answer a read that must see an event.
async fn replica(books: &Books, at_least: EventSeq) -> Fallible<Option<Arc<dyn Store>>> {
    Ok(match books.store.reader(at_least).await? {
        Reader::Replica(replica) => Some(replica),
        Reader::Itself | Reader::Nobody => None,
    })
}

/// Waits until the replica may answer, or until it may not.
async fn until(books: &Books, at_least: EventSeq, answers: bool) -> Fallible<()> {
    let waited = async {
        while replica(books, at_least).await?.is_some() != answers {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Fallible::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await?
}

async fn open(url: &str, replica: &str) -> Result<Arc<dyn Store>, Error> {
    let options = Options { replica: Some(replica.to_owned()), ..Options::default() };
    daybook_store::open(url, options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_answers_while_it_keeps_up() -> Fallible<()> {
    if database::server().is_none() {
        return Ok(());
    }
    let server = Server::start()?;
    let url = server.replica()?;
    let options = Options { replica: Some(url.clone()), ..Options::default() };
    let books = Books::with(server.url.clone(), On::Postgres, options).await?;
    let first = books.record(BODY).await?;
    until(&books, books.store.seq(), true).await?;
    let copy = replica(&books, books.store.seq()).await?.ok_or("it has the event")?;
    assert_eq!(copy.transaction(first).await?, books.store.transaction(first).await?);
    let refused =
        copy.commit(Submission::one(books.now(), Action::Record(books.parse(BODY)?))).await;
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");

    // It lags: whoever wrote reads what it wrote, others read what was.
    let past = database::connect(&url).await?;
    past.batch_execute("select pg_wal_replay_pause()").await?;
    let state = "select pg_get_wal_replay_pause_state()";
    while past.query_one(state, &[]).await?.get::<_, &str>(0) != "paused" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = books.record(BODY).await?;
    assert!(replica(&books, books.store.seq()).await?.is_none());
    assert!(books.store.transaction(second).await?.is_some());
    assert_eq!(copy.transaction(second).await?, None);
    let ahead = EventSeq(books.store.seq().0 + 1);
    assert!(matches!(books.store.reader(ahead).await?, Reader::Nobody));
    // Too far behind, it answers nobody until it has caught up.
    until(&books, EventSeq(0), false).await?;
    let status = books.store.status().await?.replica.ok_or("there is one")?;
    assert_eq!((status.is_fresh, status.seq), (false, EventSeq(1)));
    past.batch_execute("select pg_wal_replay_resume()").await?;
    until(&books, books.store.seq(), true).await?;
    assert!(copy.transaction(second).await?.is_some());

    // It goes away: its questions go to the database, and it is asked again when it is back.
    server.crash_replica()?;
    let asked = async {
        loop {
            match copy.transaction(second).await {
                Ok(found) => return found,
                Err(error) => assert!(is_away(&error), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), asked).await?;
    assert!(found.is_some());
    until(&books, EventSeq(0), false).await?;
    assert_eq!(server.replica()?, url);
    until(&books, books.store.seq(), true).await?;

    // The database goes away: what was written can still be read.
    server.crash()?;
    let copy = replica(&books, books.store.seq()).await?.ok_or("it is there")?;
    assert!(copy.transaction(second).await?.is_some());
    server.recover()?;
    books.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_replica_of_the_store_is_refused() -> Fallible<()> {
    let Some(server) = database::server() else { return Ok(()) };
    let (one, two) = (Database::make(&server).await?, Database::make(&server).await?);
    for other in [&one.url, &two.url] {
        let refused = open(&one.url, other).await.err().ok_or("it is none")?;
        assert!(matches!(refused, Error::BadReplica { .. }), "{refused:?}");
        assert!(refused.to_string().contains("is no replica of the store's database"));
    }
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite:{}", folder.path().join("books.db").display());
    let refused = open(&file, &one.url).await.err().ok_or("a file has none")?;
    assert!(matches!(refused, Error::BadReplica { .. }), "{refused:?}");
    // One that is away may come back.
    let store = open(&one.url, "postgres://daybook@127.0.0.1:1/books").await?;
    assert!(matches!(store.reader(EventSeq(0)).await?, Reader::Itself));
    assert!(store.status().await?.replica.is_some_and(|replica| !replica.is_fresh));
    store.close().await;
    Ok(())
}
