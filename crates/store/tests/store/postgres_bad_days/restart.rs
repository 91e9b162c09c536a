//! A server that ends in the middle of everything, and comes back.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;

use super::server::Server;
use super::{all_items, is_away, open};
use crate::database;
use crate::support::Fallible;
use daybook_store::Error;

const WRITERS: usize = 6;
const CRASHES: u64 = 2;
/// Items that are acknowledged in each phase of writing.
const ACKNOWLEDGED: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load_loses_nothing_that_was_acknowledged() -> Fallible<()> {
    if database::server().is_none() {
        return Ok(());
    }
    let server = Server::start()?;
    let books = open(&server.url).await?;
    let (acknowledged, refused) = (RefCell::new(Vec::new()), Cell::new(0_usize));
    let stop = Cell::new(false);
    let body = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;
    let write = async || -> Fallible<()> {
        while !stop.get() {
            match books.record(body).await {
                Ok(id) => acknowledged.borrow_mut().push(id),
                Err(error) if error.downcast_ref().is_some_and(is_away) => {
                    refused.set(refused.get() + 1);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let crash = async || -> Fallible<()> {
        for _ in 0..CRASHES {
            let written = acknowledged.borrow().len();
            until(|| acknowledged.borrow().len() >= written + ACKNOWLEDGED).await?;
            server.crash()?;
            let asked = books.store.users(None, 1).await;
            assert!(asked.as_ref().is_err_and(|error| matches!(error, Error::Away { .. })));
            let (before, told) = (acknowledged.borrow().len(), refused.get());
            // A commit is refused after it has waited for the server.
            until(|| refused.get() > told).await?;
            // An answer given before the crash may still have been on its way to each writer.
            let away = acknowledged.borrow().len();
            assert!(away <= before + WRITERS, "{before}, then {away}: there is no server");
            server.recover()?;
            until(|| acknowledged.borrow().len() >= away + ACKNOWLEDGED).await?;
        }
        stop.set(true);
        Ok(())
    };
    let writers = futures_util::future::join_all((0..WRITERS).map(|_| write()));
    let (written, crashed) = tokio::join!(writers, crash());
    crashed?;
    written.into_iter().collect::<Fallible<Vec<()>>>()?;

    let found = all_items(&books, "ana").await?;
    let there: HashSet<_> = found.iter().copied().collect();
    let acknowledged = acknowledged.into_inner();
    assert!(acknowledged.iter().all(|id| there.contains(id)), "something is lost");
    assert_eq!(found.len(), there.len(), "something is there twice");
    let known = acknowledged.len() + refused.get();
    assert!(found.len() <= known, "{} of {known}", found.len());
    println!(
        "{} acknowledged, {} refused, {} there",
        acknowledged.len(),
        refused.get(),
        found.len()
    );
    books.verified().await
}

/// Waits until `done`; an error after a minute.
async fn until(done: impl Fn() -> bool) -> Fallible<()> {
    let waited = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(60), waited).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_named_without_its_secrets() -> Fallible<()> {
    let url = "postgres://someone:s3cret@127.0.0.1:1/books";
    let refused = daybook_store::open(url, Default::default()).await;
    let error = refused.err().ok_or("there is a server")?;
    assert!(matches!(error, Error::Away { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    Ok(())
}
