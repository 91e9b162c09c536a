//! Questions that wait too long, for the server or for a connection.

use std::time::{Duration, Instant};

use super::{database, open, with};
use crate::database::connect;
use crate::support::{Books, Fallible, On, user};
use daybook_store::{Error, Options};

const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1,
    "metadata":{"merchant_name":"Starbucks"}}"#;
const QUERY_TIME: Duration = Duration::from_millis(1_500);
/// Long enough for a slow machine, and much shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(10);
const LOCK: &str = "begin; lock table transactions, users in access exclusive mode";

/// A store with one connection for questions.
async fn narrow(url: &str) -> Fallible<Books> {
    let options = Options { query_time: QUERY_TIME, ..Options::default() };
    Books::with(with(url, "pool=1"), On::Postgres, options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_takes_too_long_is_ended() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = narrow(&database.url).await?;
    let id = books.record(ITEM).await?;
    let locking = connect(&database.url).await?;
    locking.batch_execute(LOCK).await?;
    let begun = Instant::now();
    let asked = books.store.transaction(id).await;
    assert!(matches!(asked, Err(Error::TooBroad { limit: QUERY_TIME })), "{asked:?}");
    let asked = books.store.transactions(books.query("ana", &[])?).await;
    assert!(matches!(asked, Err(Error::TooBroad { limit: QUERY_TIME })), "{asked:?}");
    assert!(begun.elapsed() < PATIENCE);
    locking.batch_execute("rollback").await?;
    assert!(books.store.transaction(id).await?.is_some());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_questions_than_connections_wait_for_their_turn_or_are_told_to_come_back()
-> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = narrow(&database.url).await?;
    let id = books.record(ITEM).await?;
    let ask = async || {
        let asked = (0..50).map(|_| books.store.transaction(id));
        futures_util::future::join_all(asked).await
    };
    assert!(ask().await.iter().all(|found| matches!(found, Ok(Some(_)))));
    let locking = connect(&database.url).await?;
    locking.batch_execute(LOCK).await?;
    let begun = Instant::now();
    let refused = ask().await;
    assert!(begun.elapsed() < PATIENCE);
    let told = |error: &Error| matches!(error, Error::Busy | Error::TooBroad { .. });
    let all = refused.iter().all(|found| found.as_ref().is_err_and(told));
    assert!(all, "{refused:?}");
    assert!(refused.iter().any(|found| matches!(found, Err(Error::Busy))), "{refused:?}");
    locking.batch_execute("rollback").await?;
    assert!(ask().await.iter().all(|found| matches!(found, Ok(Some(_)))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_waiting_for_an_answer_leaves_the_connection_usable() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = narrow(&database.url).await?;
    books.record(ITEM).await?;
    for round in 0..40 {
        let search = [("search_query", "starb")];
        let asked = books.store.transactions(books.query("ana", &search)?);
        drop(tokio::time::timeout(Duration::from_micros(round * 50), asked).await);
        let found = books.store.users(None, 10).await?;
        assert_eq!(found, [user("ana")]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_sent_whole_give_the_same_answers() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = open(&with(&database.url, "statements=unnamed")).await?;
    let id = books.record(ITEM).await?;
    assert_eq!(books.ids("ana", &[("search_query", "starbuks")]).await?, [id]);
    super::two_accounts(&books).await?;
    books.pay(1, 2, "3.00", "").await?;
    assert_eq!(books.funds(2).await?[0], "3.00");
    books.verified().await?;
    Ok(())
}
