//! Transfers on a disk that is full, and has room again.

use crate::bad_days::SmallDisk;
use crate::database;
use crate::support::{Books, Fallible, payment};
use daybook_core::command::Action;
use daybook_core::write_set::Outcome;
use daybook_core::{Submission, TransferId, TransferStatus};
use daybook_store::Error;

const MEGABYTE: usize = 1024 * 1024;
const BATCH: i64 = 100;

/// Sends a batch of transfers of 1.00 from account 1 to account 2, every tenth a hold.
async fn batch(books: &Books) -> Result<Vec<TransferId>, Error> {
    let action = |n| {
        let more = if n % 10 == 0 { r#","pending":true"# } else { "" };
        books.new_transfer(&payment(1, 2, "1.00", more)).map(Action::Transfer)
    };
    let actions: Result<Vec<_>, _> = (0..BATCH).map(action).collect();
    let actions = actions.expect("valid bodies");
    let ids = actions.iter().filter_map(|action| match action {
        Action::Transfer(new) => Some(new.id),
        _ => None,
    });
    let ids = ids.collect();
    let submission = Submission { at: books.now(), key: None, atomic: false, actions };
    let reply = books.store.commit(submission).await?;
    assert!(reply.verdicts.iter().all(|verdict| matches!(verdict, Ok(Outcome::Created(_)))));
    Ok(ids)
}

/// All that was acknowledged is there, and nothing else.
async fn has(books: &Books, acknowledged: &[TransferId]) -> Fallible<()> {
    for id in acknowledged {
        let status = books.moved(*id).await?.status;
        assert!([TransferStatus::Complete, TransferStatus::Pending].contains(&status));
    }
    let sent = acknowledged.len() as i64;
    let (posted, held) = (sent / 10 * 9, sent / 10);
    let expected = [format!("{posted}.00"), format!("{held}.00")];
    assert_eq!(books.funds(2).await?[..2], expected);
    assert_eq!(books.holding(1).await?.funds.listed.count, sent as u64);
    assert_eq!(books.store.verify_ledger().await?.differences, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_transfer_and_keeps_none_by_half() -> Fallible<()> {
    let Some(disk) = SmallDisk::mount(8) else {
        database::needs::skip("needs the right to mount");
        return Ok(());
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 5 * MEGABYTE])?;
    let mut books = Books::open_in(disk.path()).await?;
    books.account(r#"{"account_id":1,"user_id":"ana","overdraft_limit":"unlimited"}"#).await?;
    books.account(r#"{"account_id":2,"user_id":"bob"}"#).await?;
    let mut acknowledged = Vec::new();
    let refusal = loop {
        match batch(&books).await {
            Ok(ids) => acknowledged.extend(ids),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1_000_000, "the disk never filled");
    };
    assert!(matches!(refusal, Error::DiskFull), "{refusal:?}");
    assert!(!acknowledged.is_empty());
    assert!(batch(&books).await.is_err(), "still full");
    has(&books, &acknowledged).await?;

    std::fs::remove_file(&ballast)?;
    acknowledged.extend(batch(&books).await?);
    has(&books, &acknowledged).await?;
    books.reopen().await?;
    has(&books, &acknowledged).await?;
    books.verified().await
}
