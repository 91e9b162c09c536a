//! What only PostgreSQL as the store promises: several processes, and a pooler in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_core::UserId;
use daybook_core::command::Action;
use daybook_core::transaction::Vocabulary;
use daybook_core::{AccountId, EventSeq, NewTransfer, Submission, Timestamp, TransferId};
use daybook_store::{Error, Options, Store};
use uuid::Uuid;

use crate::database::{self, Database};
use crate::pooler;
use crate::support::{Books, Fallible, On, payment, user};

async fn database() -> Fallible<Option<Database>> {
    match database::server() {
        Some(server) => Ok(Some(Database::make(&server).await?)),
        None => Ok(None),
    }
}

/// The answers to a few questions after a few changes of every kind.
async fn round_trip(url: &str) -> Fallible<()> {
    let books = Books::at(url.to_owned(), On::Postgres).await?;
    let body = r#"{"transaction_type":"card","amount":"12.50","user_id":"ann","source":"bank",
        "external_id":"é'\\","metadata":{"merchant_name":"O'Neil \\ Söhne","n":1.10}}"#;
    let id = books.record(body).await?;
    let item = books.store.transaction(id).await?.ok_or("the item is there")?;
    assert_eq!(item.metadata.to_string(), r#"{"merchant_name":"O'Neil \\ Söhne","n":1.10}"#);
    assert_eq!(item.external_id.as_deref(), Some("é'\\"));
    books.patch(id, r#"{"metadata":{"n":null}}"#).await?;
    assert_eq!(books.store.history(id).await?.len(), 2);
    let again = books.send(body).await?;
    assert!(format!("{again:?}").starts_with("Ignored"), "{again:?}");
    let newer = body.replacen('{', r#"{"source_version":7,"source_updated_at":"2024-01-01","#, 1);
    let newer = books.send(&newer).await?;
    assert!(format!("{newer:?}").starts_with("Updated"), "{newer:?}");
    let item = books.store.transaction(id).await?.ok_or("the item is there")?;
    assert_eq!(item.revision.version, Some(7));
    books.account(r#"{"account_id":1,"overdraft_limit":"unlimited"}"#).await?;
    books.account(r#"{"account_id":2,"user_id":"ann"}"#).await?;
    let id = books.transfer_id();
    let new = NewTransfer::parse(&payment(1, 2, "0.07", ""), id, &Vocabulary::default())?;
    books.act(Action::Transfer(new)).await?;
    let held = books.store.account(AccountId(2)).await?.ok_or("the account is there")?;
    assert_eq!(held.funds.balance.to_text(held.account.currency), "0.07");
    books.erase(item.id).await?;
    assert!(books.store.transaction(item.id).await?.is_none());
    assert_eq!(books.store.seq(), EventSeq(7));
    assert_eq!(books.store.verify(&|_, _| {}).await?.differences, []);
    books.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_comes_back() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    round_trip(&database.url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_need_not_be_prepared() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let sign = if database.url.contains('?') { '&' } else { '?' };
    round_trip(&format!("{}{sign}statements=unnamed&pool=2", database.url)).await
}

/// Moves 0.01 from one account to another, and back the next time.
fn movement(number: u64, at: Timestamp) -> Fallible<Submission> {
    let (source, destination) = if number.is_multiple_of(2) { (1, 2) } else { (2, 1) };
    let id = TransferId(Uuid::from_u128((5 << 64) | u128::from(number) << 8));
    let body = payment(source, destination, "0.01", "");
    let new = NewTransfer::parse(&body, id, &Vocabulary::default())?;
    Ok(Submission::one(at, Action::Transfer(new)))
}

/// The numbers of the events that appear behind each other, up to one.
async fn log_up_to(store: &dyn Store, newest: i64) -> Fallible<Vec<i64>> {
    let mut seen: Vec<i64> = Vec::new();
    let reading = async {
        loop {
            let place = EventSeq(seen.last().copied().unwrap_or(0));
            if place.0 >= newest {
                return Fallible::Ok(());
            }
            let page = store.events(place, 7).await?;
            seen.extend(page.iter().map(|event| event.seq.0));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), reading).await??;
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_one_log_without_a_gap() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    two_write_one_log(&database.url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_behind_a_pooler_write_one_log_without_a_gap() -> Fallible<()> {
    let Some(_) = pooler::url() else { return Ok(()) };
    let Some(database) = database().await? else { return Ok(()) };
    two_write_one_log(&pooler::to(&database).ok_or("PgBouncer is there")?).await
}

/// More processes than the pooler has connections, each of which wants to be the one that migrates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_behind_a_small_pool_start_at_once() -> Fallible<()> {
    const PROCESSES: usize = 6;
    let Some(_) = pooler::url() else { return Ok(()) };
    let Some(database) = database().await? else { return Ok(()) };
    let url = pooler::to(&database).ok_or("PgBouncer is there")?;
    let open = |_| daybook_store::open(&url, Options::default());
    let opening = futures_util::future::join_all((0..PROCESSES).map(open));
    let opened = tokio::time::timeout(std::time::Duration::from_secs(30), opening).await?;
    for store in opened {
        store?.close().await;
    }
    Ok(())
}

async fn two_write_one_log(url: &str) -> Fallible<()> {
    const EACH: u64 = 100;
    let books = Books::at(url.to_owned(), On::Postgres).await?;
    for id in [1, 2] {
        let body = format!(r#"{{"account_id":{id},"overdraft_limit":"unlimited"}}"#);
        books.account(&body).await?;
    }
    let other = daybook_store::open(url, Options::default()).await?;
    let mut committing = Vec::new();
    for number in 0..2 * EACH {
        let store: Arc<dyn Store> =
            if number.is_multiple_of(2) { Arc::clone(&books.store) } else { Arc::clone(&other) };
        let submission = movement(number, books.now())?;
        committing.push(tokio::spawn(async move { store.commit(submission).await }));
    }
    // Who reads the log meanwhile, by either process, meets every event once and in order.
    let newest = 2 + 2 * EACH as i64;
    let (one, two) =
        tokio::try_join!(log_up_to(&*books.store, newest), log_up_to(&*other, newest))?;
    assert!(one.iter().copied().eq(1..=newest), "{one:?}");
    assert_eq!(one, two);
    let mut numbers = BTreeMap::new();
    for commit in committing {
        let reply = commit.await??;
        assert!(reply.verdicts.iter().all(Result::is_ok), "{reply:?}");
        assert_eq!(numbers.insert(reply.seq, ()), None);
    }
    let expected: Vec<EventSeq> = (3..3 + 2 * EACH as i64).map(EventSeq).collect();
    assert_eq!(numbers.into_keys().collect::<Vec<_>>(), expected);
    let last = *expected.last().ok_or("there are some")?;
    let seen = async {
        while other.seq() < last || books.store.seq() < last {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), seen).await?;
    let held = other.account(AccountId(1)).await?.ok_or("the account is there")?;
    assert_eq!(held.funds.balance, daybook_core::Balance::ZERO);
    assert_eq!(held.funds.posted.count, 2 * EACH);
    assert_eq!(other.verify_ledger().await?.differences, []);
    other.close().await;
    books.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_of_two_processes_is_one_user() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let books = Books::at(database.url.clone(), On::Postgres).await?;
    let other = Books::at(database.url.clone(), On::Postgres).await?;
    other.parse("{}").unwrap_err();
    let body = r#"{"transaction_type":"card","amount":"1.00","user_id":"bo"}"#;
    let (one, two) = tokio::join!(books.record(body), other.record(body));
    assert_ne!(one?, two?);
    let users: Vec<UserId> = books.store.users(None, 10).await?;
    assert_eq!(users, [user("bo")]);
    assert_eq!(other.store.verify(&|_, _| {}).await?.differences, []);
    books.store.close().await;
    other.store.close().await;
    Ok(())
}

#[tokio::test]
async fn nobody_at_the_url_is_said_without_the_password() -> Fallible<()> {
    let url = "postgres://ann:s3cret@127.0.0.1:1/none?connect_timeout=1";
    let Err(error) = daybook_store::open(url, Options::default()).await else {
        return Err("nobody listens there".into());
    };
    assert!(matches!(error, Error::Away { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    let Err(error) = daybook_store::open("postgres://h/d?colour=red", Options::default()).await
    else {
        return Err("there is no such option".into());
    };
    assert!(matches!(error, Error::CannotOpen { .. }), "{error:?}");
    Ok(())
}
