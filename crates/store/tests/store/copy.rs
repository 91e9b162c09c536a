//! Copies of all books to another store.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chance::Chance;
use crate::database::{self, Database};
use crate::differential::{Both, Known, Sent, questions, submissions};
use crate::ledger::history;
use crate::support::{Books, Fallible, On};
use daybook_store::{Copied, Error, Options};
use tempfile::TempDir;
use tokio::sync::Notify;

crate::support::every_store! {
    a_copy_that_is_interrupted_again_and_again_ends_as_one_that_is_not,
    a_target_that_has_books_is_refused,
    a_store_is_not_copied_to_itself,
    a_target_goes_on_with_the_same_source_only,
    a_source_that_changes_meanwhile_is_noticed,
    a_source_that_a_newer_daybook_wrote_is_refused,
    a_target_that_cannot_be_reached_is_an_error_and_harms_nothing,
}

/// Few, so that even little books have many pages.
const ROWS: u32 = 7;
const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":1,
    "metadata":{"merchant_name":"Starbucks"}}"#;

/// A place for books that are not there yet.
struct Empty {
    url: String,
    on: On,
    _folder: Option<TempDir>,
    _database: Option<Database>,
}

impl Empty {
    async fn make(on: On) -> Fallible<Self> {
        match on {
            On::Sqlite => {
                let folder = tempfile::tempdir()?;
                let url = format!("sqlite:{}", folder.path().join("copy.db").display());
                Ok(Self { url, on, _folder: Some(folder), _database: None })
            }
            On::Postgres | On::Pgbouncer => {
                let server = database::server().ok_or("there is no server")?;
                let database = Database::make(&server).await?;
                let url = database.url.clone();
                Ok(Self { url, on, _folder: None, _database: Some(database) })
            }
        }
    }

    /// Both kinds, where there is a server.
    async fn each() -> Fallible<Vec<Self>> {
        let mut each = vec![Self::make(On::Sqlite).await?];
        if database::server().is_some() {
            each.push(Self::make(On::Postgres).await?);
        }
        Ok(each)
    }

    async fn open(&self) -> Fallible<Books> {
        Books::at(self.url.clone(), self.on).await
    }
}

async fn copy(from: &str, to: &str) -> Result<Copied, Error> {
    daybook_store::copy(from, to, ROWS, &|_, _| {}, &|_, _| {}).await
}

/// What copying says, which must be an error.
async fn refusal(from: &str, to: &str) -> Fallible<Error> {
    copy(from, to).await.err().ok_or_else(|| "copied".into())
}

/// Books with something of everything, closed.
async fn filled(on: On) -> Fallible<Books> {
    let books = Books::open(on).await?;
    history::accounts(&books).await?;
    for number in 0..30 {
        books.with_key(ITEM, number).await?;
        books.pay(1 + (number % 3) as i64, 5, "0.10", "").await?;
    }
    let id = books.record(ITEM).await?;
    books.patch(id, r#"{"metadata":{"merchant_name":"Elsewhere"}}"#).await?;
    let id = books.record(ITEM).await?;
    books.erase(id).await?;
    // What equity owes for them takes more than 128 bits.
    for _ in 0..2 {
        books.account(r#"{"initial_balance":"99999999999999999999.99"}"#).await?;
    }
    books.store.close().await;
    Ok(books)
}

/// Copies until so many rows more are there, and is then heard of no more.
async fn copy_some(from: &str, to: &str, some: u64) -> Result<Option<Copied>, Error> {
    let (first, enough) = (AtomicU64::new(u64::MAX), Notify::new());
    let progress = |done: u64, _: u64| {
        let first = first.fetch_min(done, Ordering::Relaxed).min(done);
        if done >= first + some {
            enough.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = enough.notified() => Ok(None),
        copied = daybook_store::copy(from, to, ROWS, &progress, &|_, _| {}) => copied.map(Some),
    }
}

async fn a_copy_that_is_interrupted_again_and_again_ends_as_one_that_is_not(
    on: On,
) -> Fallible<()> {
    let source = filled(on).await?;
    for target in Empty::each().await? {
        let mut chance = Chance::seeded();
        let mut interrupted = 0;
        let copied = loop {
            let some = 1 + chance.below(40);
            match copy_some(&source.url, &target.url, some).await? {
                Some(copied) => break copied,
                None => interrupted += 1,
            }
            let refused = daybook_store::open(&target.url, Options::default()).await;
            let error = refused.err().ok_or("an unfinished copy was opened")?;
            assert!(error.to_string().contains("it is an unfinished copy"), "{error}");
        };
        assert!(interrupted > 1 && copied.before > 0, "{interrupted}: {copied:?}");
        assert_eq!(copied.verified.differences, []);
        let whole = Empty::make(target.on).await?;
        let uninterrupted = copy(&source.url, &whole.url).await?;
        assert_eq!((uninterrupted.before, uninterrupted.rows), (0, copied.rows));
        let (one, other) = (target.open().await?, whole.open().await?);
        let ids = one.walk("ana", &[], "9").await?;
        assert!(ids.len() > 30);
        assert_eq!(ids, other.walk("ana", &[], "9").await?);
        assert_eq!(one.funds(1).await?, other.funds(1).await?);
        // New users get new numbers.
        one.follow(&source);
        one.record(&ITEM.replace("ana", "zoe")).await?;
        one.verified().await?;
    }
    Ok(())
}

async fn a_target_that_has_books_is_refused(on: On) -> Fallible<()> {
    let (source, target) = (filled(on).await?, filled(on).await?);
    let error = refusal(&source.url, &target.url).await?;
    let name = daybook_store::public_name(&target.url);
    assert!(error.to_string().ends_with(&format!("'{name}' is not empty")), "{error}");
    // A copy that has ended is no place for another one.
    let copied = Empty::make(on).await?;
    copy(&source.url, &copied.url).await?;
    refusal(&source.url, &copied.url).await?;
    copied.open().await?.verified().await
}

async fn a_store_is_not_copied_to_itself(on: On) -> Fallible<()> {
    let books = filled(on).await?;
    let error = refusal(&books.url, &books.url).await?;
    assert!(error.to_string().contains("is the source itself"), "{error}");
    Ok(())
}

async fn a_target_goes_on_with_the_same_source_only(on: On) -> Fallible<()> {
    let mut source = filled(on).await?;
    // As many events, of which the last is another.
    let mut other = filled(on).await?;
    for (books, amount) in [(&mut source, "1"), (&mut other, "2")] {
        books.reopen().await?;
        books.record(&ITEM.replace(r#""amount":1"#, &format!(r#""amount":{amount}"#))).await?;
        books.store.close().await;
    }
    for target in Empty::each().await? {
        assert!(copy_some(&source.url, &target.url, 40).await?.is_none());
        let error = refusal(&other.url, &target.url).await?;
        assert!(error.to_string().contains("an unfinished copy of other books"), "{error}");
        source.reopen().await?;
        source.record(ITEM).await?;
        source.store.close().await;
        let error = refusal(&source.url, &target.url).await?;
        assert!(error.to_string().contains("or of these before they changed"), "{error}");
        // Nor is a part of the books copied on.
        let error = refusal(&target.url, &Empty::make(on).await?.url).await?;
        assert!(error.to_string().contains("it is an unfinished copy"), "{error}");
    }
    Ok(())
}

async fn a_source_that_changes_meanwhile_is_noticed(on: On) -> Fallible<()> {
    let mut source = filled(on).await?;
    let target = Empty::make(On::Sqlite).await?;
    if on == On::Sqlite {
        // Nobody else opens a file that is copied.
        let noted = |_: u64, _: u64| {
            let opened = tokio::task::block_in_place(|| {
                let opening = daybook_store::open(&source.url, Options::default());
                tokio::runtime::Handle::current().block_on(opening).err()
            });
            assert!(matches!(opened, Some(Error::Locked { .. })), "{opened:?}");
        };
        daybook_store::copy(&source.url, &target.url, 1_000, &noted, &|_, _| {}).await?;
        return Ok(());
    }
    source.reopen().await?;
    let record = |done: u64, _: u64| {
        if done == 0 {
            let recorded = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(source.record(ITEM))
            });
            recorded.expect("the source is in use");
        }
    };
    let copied = daybook_store::copy(&source.url, &target.url, ROWS, &record, &|_, _| {}).await;
    let error = copied.err().ok_or("copied")?;
    assert!(error.to_string().contains("changed while it was copied"), "{error}");
    assert!(target.open().await.is_err(), "it is not the source");
    Ok(())
}

async fn a_source_that_a_newer_daybook_wrote_is_refused(on: On) -> Fallible<()> {
    let source = filled(on).await?;
    let newer = "insert into refinery_schema_history (version, name, applied_on, checksum) \
        values (9999, 'from_the_future', '2100-01-01T00:00:00Z', '0')";
    match on {
        On::Sqlite => source.file()?.execute_batch(newer)?,
        On::Postgres | On::Pgbouncer => source.past().await?.batch_execute(newer).await?,
    }
    let folder = tempfile::tempdir()?;
    let target = folder.path().join("copy.db");
    let error = refusal(&source.url, &format!("sqlite:{}", target.display())).await?;
    assert!(matches!(error, Error::TooNew { found: 9999, .. }), "{error:?}");
    assert!(!target.exists());
    Ok(())
}

async fn a_target_that_cannot_be_reached_is_an_error_and_harms_nothing(on: On) -> Fallible<()> {
    let mut source = filled(on).await?;
    let error = refusal(&source.url, "postgres://nobody@127.0.0.1:1/none").await?;
    assert!(matches!(error, Error::Away { .. }), "{error:?}");
    source.reopen().await?;
    source.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_there_is_not_made() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let [from, to] = ["no.db", "copy.db"].map(|name| folder.path().join(name));
    let [source, target] = [&from, &to].map(|path| format!("sqlite:{}", path.display()));
    let error = refusal(&source, &target).await?;
    assert!(error.to_string().ends_with("cannot be opened: there is no such file"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}

/// All rows of all tables of a file, as texts, but for those of the indexes of words.
fn rows(url: &str) -> Fallible<BTreeSet<String>> {
    let file = rusqlite::Connection::open(url.trim_start_matches("sqlite:"))?;
    let tables = "select name from pragma_table_list \
        where schema = 'main' and type = 'table' and name not like 'sqlite_%' \
            and name <> 'refinery_schema_history' order by name";
    let mut tables = file.prepare(tables)?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    assert!(tables.len() > 8, "{tables:?}");
    let mut all = BTreeSet::new();
    for table in tables {
        let mut select = file.prepare(&format!("select * from {table}"))?;
        // Rows get new numbers in places where the number only says in which order they lie.
        let names = select.column_names().map(str::to_owned).enumerate();
        let kept = names.filter(|(_, name)| !["pos", "reply"].contains(&name.as_str()));
        let columns: Vec<usize> = kept.map(|(at, _)| at).collect();
        let text = |row: &rusqlite::Row| {
            let value = |at| row.get_ref(at).map(|value| format!("{value:?}"));
            let row = columns.iter().copied().map(value).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{table}: {}", row.join(" ")))
        };
        for row in select.query_map([], text)? {
            all.insert(row?);
        }
    }
    Ok(all)
}

/// From file to database, back, and on to another of each kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_a_random_history_answer_as_their_source_and_go_on() -> Fallible<()> {
    if database::server().is_none() {
        return Ok(());
    }
    let mut chance = Chance::seeded();
    let mut known = Known::default();
    let both = Both::open(On::Postgres, Sent::Alone).await?;
    let mut sampled = submissions::sampler(chance.below(u64::MAX))?;
    history::accounts(&both.sqlite).await?;
    history::accounts(&both.postgres).await?;
    for _ in 0..80 {
        both.sqlite.pass(chance.below(1_500_000) as i64);
        let sent = submissions::some(&both.sqlite, &mut chance, &mut sampled, &mut known)?;
        both.send(&sent, &mut known).await?;
    }
    let Both { sqlite: mut origin, .. } = both;
    origin.store.close().await;
    let copies = [On::Postgres, On::Sqlite, On::Sqlite, On::Postgres, On::Postgres];
    let mut places: Vec<Empty> = Vec::new();
    for on in copies {
        let from = places.last().map_or(&origin.url, |last| &last.url).clone();
        let place = Empty::make(on).await?;
        let copied = daybook_store::copy(&from, &place.url, 50, &|_, _| {}, &|_, _| {}).await?;
        assert_eq!((copied.before, copied.verified.differences), (0, vec![]));
        places.push(place);
    }
    let (all, copied) = (rows(&origin.url)?, rows(&places[1].url)?);
    let lost: Vec<_> = all.difference(&copied).take(3).collect();
    let new: Vec<_> = copied.difference(&all).take(3).collect();
    assert!(lost.is_empty() && new.is_empty(), "lost {lost:?}, new {new:?}");
    origin.reopen().await?;
    let mut opened = Vec::new();
    for place in &places[1..4] {
        opened.push(place.open().await?);
        opened.last().ok_or("none")?.follow(&origin);
    }
    let [third, second, first] = [opened.pop(), opened.pop(), opened.pop()].map(Option::unwrap);
    // The first of all against the last database, and then two copies among themselves.
    let mut both = Both { sqlite: origin, postgres: third, sent: Sent::Alone };
    for _ in 0..300 {
        questions::one(&both, &mut chance, &known).await?;
    }
    assert!(!known.keyed.is_empty(), "no keys");
    // What was refused may be done now, but by all of them.
    for submission in known.keyed.iter().take(40) {
        let first_said = both.sqlite.store.commit(submission.clone()).await?;
        for copy in [&both.postgres, &second, &first] {
            assert_eq!(copy.store.commit(submission.clone()).await?, first_said);
        }
    }
    assert_eq!(both.sqlite.store.seq(), both.postgres.store.seq(), "a key was paid twice");
    for copy in [second, first] {
        both.sqlite = copy;
        for _ in 0..100 {
            questions::one(&both, &mut chance, &known).await?;
        }
    }
    for _ in 0..40 {
        both.sqlite.pass(chance.below(1_500_000) as i64);
        let sent = submissions::some(&both.sqlite, &mut chance, &mut sampled, &mut known)?;
        both.send(&sent, &mut known).await?;
        questions::one(&both, &mut chance, &known).await?;
    }
    both.sqlite.verified().await?;
    both.postgres.verified().await
}
