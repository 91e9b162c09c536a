//! What the embedded store does when the world around it does not behave.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::database;
use crate::support::{Books, Fallible, On};
use daybook_core::Submission;
use daybook_core::command::Action;
use daybook_store::{Error, Options, Store};

const BODY: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1,
    "metadata":{"merchant_name":"Starbucks"}}"#;

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// What opening says, which must be an error.
async fn refusal(path: &Path) -> String {
    match daybook_store::open(&url(path), Options::default()).await {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_while_the_first_is_there() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    let path = PathBuf::from(books.url.trim_start_matches("sqlite:"));
    assert!(refusal(&path).await.contains("already open in another Daybook process"));
    books.store.close().await;
    drop(books.store.status().await);
    let again = daybook_store::open(&books.url, Options::default()).await?;
    again.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_program_is_left_alone() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)?.execute_batch("create table theirs (x)")?;
    assert!(refusal(&foreign).await.contains("a database of another program"));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "This is no database, only a text of some length.".repeat(100))?;
    assert!(refusal(&text).await.contains("it is no database"));
    assert!(refusal(&folder.path().join("no/such/folder/x.db")).await.contains("cannot be opened"));
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner)?;
    assert!(refusal(&inner).await.contains("cannot be opened"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_written_by_a_newer_version_is_refused() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    books.record(BODY).await?;
    books.store.close().await;
    let path = books.url.trim_start_matches("sqlite:").to_owned();
    let conn = rusqlite::Connection::open(&path)?;
    conn.execute(
        "insert into refinery_schema_history (version, name, applied_on, checksum) \
         values (9999, 'from_the_future', '2100-01-01T00:00:00Z', '0')",
        [],
    )?;
    drop(conn);
    let said = refusal(Path::new(&path)).await;
    assert!(said.contains("newer Daybook (schema 9999"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_is_refused_with_a_sentence() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    books.record(BODY).await?;
    books.store.close().await;
    let path = PathBuf::from(books.url.trim_start_matches("sqlite:"));
    let mut permissions = std::fs::metadata(&path)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions)?;
    assert!(refusal(&path).await.contains("the file is read-only"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_the_store_is_opened_again() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    let id = books.record(BODY).await?;
    let seq = books.store.seq();
    books.store.close().await;
    assert!(matches!(books.store.transaction(id).await, Err(Error::Closed)));
    let again = daybook_store::open(&books.url, Options::default()).await?;
    assert_eq!(again.seq(), seq);
    assert!(again.transaction(id).await?.is_some());
    again.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_a_whole_copy_while_others_write() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    for _ in 0..200 {
        books.record(BODY).await?;
    }
    let folder = tempfile::tempdir()?;
    let target = folder.path().join("copy.db");
    let writing = async {
        for _ in 0..200 {
            books.record(BODY).await?;
        }
        Fallible::Ok(())
    };
    let copying = daybook_store::backup_file(&books.url, &target, &|_, _| ());
    let (written, copied) = tokio::join!(writing, copying);
    written?;
    copied?;
    let copy = daybook_store::open(&url(&target), Options::default()).await?;
    let query = books.query("ana", &[])?;
    let total = copy.transactions(query).await?.total.ok_or("no total")?;
    assert!((200..=400).contains(&total), "{total}");
    copy.close().await;
    let twice = daybook_store::backup_file(&books.url, &target, &|_, _| ()).await;
    assert!(twice.is_err_and(|error| error.to_string().contains("a file of this name")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_full_says_so_and_loses_nothing() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let options = Options { queue: 2, ..Options::default() };
    let store = daybook_store::open(&url(&folder.path().join("d.db")), options).await?;
    let books = Books::open(On::Sqlite).await?;
    let mut waiting = Vec::new();
    for _ in 0..500 {
        let action = Action::Record(books.parse(BODY)?);
        waiting.push(store.commit(Submission::one(books.now(), action)));
    }
    let answers = futures_util::future::join_all(waiting).await;
    let recorded = answers.iter().filter(|answer| answer.is_ok()).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Err(Error::Busy))).count();
    assert_eq!(recorded + busy, 500);
    assert!(busy > 0, "nobody was refused");
    let total = store.transactions(books.query("ana", &[])?).await?.total;
    assert_eq!(total, Some(recorded as u64));
    store.close().await;
    Ok(())
}

/// A small file system that goes away with its owner.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where the right to mount one is missing.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        mount.is_ok_and(|done| done.status.success()).then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Best effort: a mount that stays is gone with the machine.
        drop(Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

/// Waits until the store says that it is not full, though nobody writes.
pub async fn until_there_is_room(store: &dyn Store) -> Fallible<()> {
    let looking = async {
        while store.status().await?.is_full {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers_by_itself() -> Fallible<()> {
    let Some(disk) = SmallDisk::mount(8) else {
        database::needs::skip("needs the right to mount");
        return Ok(());
    };
    let books = Books::open(On::Sqlite).await?;
    let path = disk.path().join("daybook.db");
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 5 * 1024 * 1024])?;
    let store = daybook_store::open(&url(&path), Options::default()).await?;
    let record = async || -> Result<(), Error> {
        let actions = (0..100).map(|_| books.parse(BODY).map(Action::Record));
        let actions = actions.collect::<Fallible<Vec<_>>>().expect("valid bodies");
        let submission = Submission { at: books.now(), key: None, atomic: false, actions };
        store.commit(submission).await.map(drop)
    };
    let mut recorded = 0;
    let refusal = loop {
        match record().await {
            Ok(()) => recorded += 100,
            Err(error) => break error,
        }
        assert!(recorded < 1_000_000, "the disk never filled");
    };
    assert!(matches!(refusal, Error::DiskFull), "{refusal:?}");
    assert!(store.status().await?.is_full);
    assert!(record().await.is_err(), "still full");
    assert!(store.status().await?.is_full);
    let total = async || -> Fallible<u64> {
        Ok(store.transactions(books.query("ana", &[])?).await?.total.unwrap_or(0))
    };
    assert_eq!(total().await?, recorded);
    std::fs::remove_file(&ballast)?;
    until_there_is_room(&*store).await?;
    assert!(!disk.path().join("daybook.db-room").exists(), "nothing is left of a look");
    record().await?;
    assert_eq!(total().await?, recorded + 100);
    store.close().await;
    drop(store);
    let again = daybook_store::open(&url(&path), Options::default()).await?;
    assert_eq!(again.verify(&|_, _| ()).await?.differences, []);
    again.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named() -> Fallible<()> {
    let books = Books::open(On::Sqlite).await?;
    let id = books.record(BODY).await?;
    books.record(BODY).await?;
    books.store.close().await;
    let path = books.url.trim_start_matches("sqlite:").to_owned();
    let conn = rusqlite::Connection::open(&path)?;
    conn.execute_batch(
        "update transactions set amount = zeroblob(16) where seq = 1; \
         delete from events where seq = 2; \
         delete from search where rowid = (select pos from transactions where seq = 2); \
         delete from words where word = 'starbucks';",
    )?;
    drop(conn);
    let again = daybook_store::open(&books.url, Options::default()).await?;
    let found = again.verify(&|_, _| ()).await?.differences;
    let named =
        |part: &str, what: &str| found.iter().any(|d| d.part == part && d.what.contains(what));
    assert!(named("statistics", "ana, USD"), "{found:?}");
    assert!(named("events", &format!("event 1 says something else than {id}")), "{found:?}");
    assert!(named("events", "has no event 2"), "{found:?}");
    assert!(named("search", "differ from the index"), "{found:?}");
    assert!(named("search", "lacks 'starbucks'"), "{found:?}");
    again.close().await;
    Ok(())
}
