//! A server whose disk is full, and has room again.

use std::process::Command;

use super::open;
use super::server::Server;
use crate::bad_days::{SmallDisk, until_there_is_room};
use crate::database::{self, connect};
use crate::support::{Books, Fallible};
use daybook_core::Submission;
use daybook_core::command::Action;
use daybook_store::Error;

const MEGABYTE: usize = 1024 * 1024;
const BATCH: u64 = 100;
const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1,
    "metadata":{"merchant_name":"Starbucks"}}"#;

/// A database of which all but the write-ahead log is on the small disk.
async fn on(disk: &SmallDisk, server: &Server) -> Fallible<Books> {
    // The server's own user writes there; without this it is the tests' user itself.
    drop(Command::new("chown").arg("postgres").arg(disk.path()).status());
    let folder = disk.path().display();
    let own = connect(&server.url).await?;
    own.batch_execute(&format!("create tablespace small location '{folder}'")).await?;
    own.batch_execute("create database small tablespace small").await?;
    open(&server.url.replace("/postgres", "/small")).await
}

async fn record(books: &Books) -> Result<(), Error> {
    let actions = (0..BATCH).map(|_| books.parse(ITEM).map(Action::Record));
    let actions = actions.collect::<Fallible<Vec<_>>>().expect("valid bodies");
    let submission = Submission { at: books.now(), key: None, atomic: false, actions };
    books.store.commit(submission).await.map(drop)
}

async fn total(books: &Books) -> Fallible<u64> {
    let page = books.store.transactions(books.query("ana", &[])?).await?;
    Ok(page.total.unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers_by_itself() -> Fallible<()> {
    if database::server().is_none() {
        return Ok(());
    }
    let Some(disk) = SmallDisk::mount(40) else {
        database::needs::skip("needs the right to mount");
        return Ok(());
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 20 * MEGABYTE])?;
    let server = Server::start()?;
    let books = on(&disk, &server).await?;
    let mut recorded = 0;
    let refusal = loop {
        match record(&books).await {
            Ok(()) => recorded += BATCH,
            Err(error) => break error,
        }
        assert!(recorded < 1_000_000, "the disk never filled");
    };
    assert!(matches!(refusal, Error::DiskFull), "{refusal:?}");
    assert!(matches!(record(&books).await, Err(Error::DiskFull)), "still full");
    assert!(books.store.status().await?.is_full);
    assert_eq!(total(&books).await?, recorded);
    std::fs::remove_file(&ballast)?;
    until_there_is_room(&*books.store).await?;
    record(&books).await?;
    assert_eq!(total(&books).await?, recorded + BATCH);
    books.verified().await?;
    books.store.close().await;
    Ok(())
}
