//! Copies all books from one store to another, of the same kind or not: row by row, table by table,
//! over one list of what the tables hold. What only one kind of store has, such as its index of
//! words, is computed while the rows are written.
//!
//! The target keeps a note of how far the copy is, in the table `copying`. Each page of rows moves
//! it in its own commit, so a copy that was interrupted goes on where it was; and as long as the
//! note is there, nobody opens the target.

mod row;
mod table;

use std::path::Path;

use serde::Serialize;

pub use self::row::{Row, Value};
pub use self::table::{Column, Kind, Table};

use self::table::TABLES;
use crate::codec::Columns;
use crate::{Difference, Error, Progress, Result, Verified, postgres, public_name, sqlite};

/// How many rows are read and written at once: few enough for memory, as the largest are about
/// 20 KiB; enough that a commit and its round trips cost little beside them.
pub const COPY_ROWS: u32 = 4_000;

/// What a copy did.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// How many rows the target has now.
    pub rows: u64,
    /// How many of them an earlier run had copied.
    pub before: u64,
    /// What verifying the target found; counts of rows that differ are among the differences.
    pub verified: Verified,
}

/// A store while it is copied; a source is reading from the beginning. Statements name their parameters `$1`, `$2` and so on, in this
/// order, which both drivers understand.
pub trait Place {
    /// What tells one kind of store from another.
    const KIND: &'static str;
    /// Begins to write.
    const WRITE: &'static str;
    /// Run when all rows are there.
    const SETTLE: &'static str;

    /// Begins to read one state of the books.
    fn read() -> String;
    /// The name of the store, for messages.
    fn name(&self) -> &str;
    /// In which order the table is read.
    fn key(&self, table: &Table) -> &'static [Column];
    /// What a column is called here.
    fn column(&self, name: &'static str) -> &'static str;
    /// Whether an unfinished copy is here.
    async fn is_unfinished(&self) -> Result<bool>;
    /// Runs statements without parameters.
    async fn batch(&self, sql: &str) -> Result<()>;
    /// Runs a statement; the columns say what it answers.
    async fn ask(&self, sql: &str, params: &[Value], columns: &[Column]) -> Result<Vec<Row>>;
    /// Writes rows, and what follows from them alone.
    async fn insert(&self, table: &Table, rows: Vec<Row>) -> Result<()>;
    async fn verify(&self, progress: Progress<'_>) -> Result<Verified>;
}

/// Copies the books of a store to a store that is empty, or that holds an unfinished copy of the
/// same books. `copying` hears of rows, `verifying` of the items of the copy that were looked at.
///
/// # Errors
/// When either cannot be opened, the target holds something else, the source changes meanwhile, or
/// either fails; what is copied by then stays, and a further call goes on behind it.
pub async fn copy(
    from: &str,
    to: &str,
    rows_max: u32,
    copying: Progress<'_>,
    verifying: Progress<'_>,
) -> Result<Copied> {
    let pace = Pace { rows_max, copying, verifying };
    match (place(from)?, place(to)?) {
        (Some(source), Some(target)) if is_same(source, target) => {
            Err(refused(format!("'{to}' is the source itself")))
        }
        (Some(source), _) => onto(sqlite::copy::File::source(source)?, to, pace).await,
        (None, _) => onto(postgres::copy::Database::source(from).await?, to, pace).await,
    }
}

async fn onto<S: Place>(source: S, to: &str, pace: Pace<'_>) -> Result<Copied> {
    match place(to)? {
        Some(path) => run(source, sqlite::copy::File::target(path)?, pace).await,
        None => run(source, postgres::copy::Database::target(to).await?, pace).await,
    }
}

/// The file that a URL names; `None` when it names a database.
fn place(url: &str) -> Result<Option<&Path>> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Some(Path::new(path))),
        Some(("postgres" | "postgresql", place)) if place.starts_with("//") => Ok(None),
        _ => Err(Error::BadUrl { url: public_name(url) }),
    }
}

fn is_same(source: &Path, target: &Path) -> bool {
    matches!((source.canonicalize(), target.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Refuses a store that a copy has not filled yet.
pub fn require_whole(name: &Path, is_unfinished: bool) -> Result<()> {
    if !is_unfinished {
        return Ok(());
    }
    let reason = "it is an unfinished copy; run the same `daybook copy` again, or remove it";
    Err(Error::CannotOpen { path: name.to_owned(), reason: reason.to_owned() })
}

/// Refuses the books of another schema than this program's.
pub fn require_current(name: &Path, found: i64, known: i64) -> Result<()> {
    let refused = |reason| Error::CannotOpen { path: name.to_owned(), reason };
    match found {
        0 => Err(refused("it is no Daybook database".to_owned())),
        _ if found > known => Err(Error::TooNew { path: name.to_owned(), found, known }),
        _ if found < known => Err(refused(format!(
            "it is at schema {found}, this Daybook at {known}; run `daybook migrate` on it first"
        ))),
        _ => Ok(()),
    }
}

/// Refuses books whose items are still to be indexed anew.
pub fn require_indexed(name: &Path, is_outdated: bool) -> Result<()> {
    if !is_outdated {
        return Ok(());
    }
    let reason = "its items are not all indexed anew; run `daybook migrate` on it first";
    Err(Error::CannotOpen { path: name.to_owned(), reason: reason.to_owned() })
}

pub fn refused(reason: String) -> Error {
    Error::CannotCopy { reason }
}

/// How much at once, and who hears of it.
struct Pace<'a> {
    rows_max: u32,
    copying: Progress<'a>,
    verifying: Progress<'a>,
}

/// What a source looks like: another source, or a change of the same, looks different.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Look {
    kind: &'static str,
    /// The number and the digest of the newest event.
    newest: Option<(i64, String)>,
    /// What may change without an event: stored replies and the worker's notes.
    replied_at: Option<i64>,
    attempted_at: Option<i64>,
    /// How many rows each table has.
    rows: Vec<u64>,
}

impl Look {
    async fn at<P: Place>(place: &P) -> Result<Self> {
        const NUMBER: Column = ("number", Kind::Number);
        let newest = "select seq, body from events order by seq desc limit 1";
        let newest = place.ask(newest, &[], &[NUMBER, ("event", Kind::Text)]).await?;
        let newest = newest.first().map(|row| -> Result<_> {
            let digest = daybook_core::id::fnv128(&[row.text(1, "event")?.as_bytes()]);
            Ok((row.number(0, "event number")?, format!("{digest:032x}")))
        });
        let latest =
            "select (select max(at) from replies), (select max(last_attempt) from transfers)";
        let latest = place.ask(latest, &[], &[NUMBER, NUMBER]).await?;
        let latest = |at| latest.first().map_or(Ok(None), |row| row.maybe_number(at, "time"));
        Ok(Self {
            kind: P::KIND,
            newest: newest.transpose()?,
            replied_at: latest(0)?,
            attempted_at: latest(1)?,
            rows: counts(place).await?,
        })
    }
}

async fn counts<P: Place>(place: &P) -> Result<Vec<u64>> {
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let count = format!("select count(*) from {}", table.name);
        let rows = place.ask(&count, &[], &[("count", Kind::Number)]).await?;
        counts.push(rows.first().map_or(Ok(0), |row| row.small(0, "count"))?);
    }
    Ok(counts)
}

/// How far the copy of a table is.
struct Note {
    rows: i64,
    /// The key of the last row as JSON; empty at the beginning.
    position: String,
}

/// The note's row that says what is copied.
const SOURCE: &str = "source";

async fn run<S: Place, T: Place>(source: S, target: T, pace: Pace<'_>) -> Result<Copied> {
    // The index of sealed values is made with the keys of users, which a copy does not have.
    if !source.ask("select ring from sealing", &[], &[("ring", Kind::Bytes)]).await?.is_empty() {
        return Err(refused(format!("'{}' has sealed values", source.name())));
    }
    let look = Look::at(&source).await?;
    let mut notes = begin(&target, &look).await?;
    let (before, total) = (done(&notes), look.rows.iter().sum());
    (pace.copying)(before, total);
    for index in 0..TABLES.len() {
        while step(&source, &target, index, &mut notes, pace.rows_max).await? {
            (pace.copying)(done(&notes).min(total), total);
            // Who does not wait for the end any more is heard here.
            tokio::task::yield_now().await;
        }
    }
    target.batch(T::WRITE).await?;
    target.batch(T::SETTLE).await?;
    target.batch("commit").await?;
    unchanged(&source, &look).await?;
    let mut verified = target.verify(pace.verifying).await?;
    let found = counts(&target).await?;
    for ((table, expected), found) in TABLES.iter().zip(&look.rows).zip(&found) {
        if expected != found {
            let what = format!("{} has {found} rows, the source {expected}", table.name);
            verified.differences.push(Difference { part: "rows", what });
        }
    }
    if verified.differences.is_empty() {
        // Verifying takes a while.
        unchanged(&source, &look).await?;
        target.batch(T::WRITE).await?;
        target.batch("drop table copying").await?;
        target.batch("commit").await?;
    }
    Ok(Copied { rows: found.iter().sum(), before, verified })
}

fn done(notes: &[Note]) -> u64 {
    notes.iter().map(|note| u64::try_from(note.rows).unwrap_or(0)).sum()
}

/// Looks at the source once more, in a state of now.
async fn unchanged<S: Place>(source: &S, look: &Look) -> Result<()> {
    source.batch("commit").await?;
    source.batch(&S::read()).await?;
    if Look::at(source).await? == *look {
        return Ok(());
    }
    Err(refused(format!(
        "'{}' changed while it was copied; stop all that use it, remove the target, and copy anew",
        source.name()
    )))
}

/// Notes in an empty target what is to be copied, or reads the note that is there.
async fn begin<T: Place>(target: &T, look: &Look) -> Result<Vec<Note>> {
    let look = json(look)?;
    target.batch(T::WRITE).await?;
    let notes = if target.is_unfinished().await? {
        go_on(target, &look).await?
    } else {
        begin_anew(target, &look).await?
    };
    target.batch("commit").await?;
    Ok(notes)
}

async fn begin_anew<T: Place>(target: &T, look: &str) -> Result<Vec<Note>> {
    for table in TABLES {
        let any = format!("select 1 from {} limit 1", table.name);
        if !target.ask(&any, &[], &[("any", Kind::Number)]).await?.is_empty() {
            return Err(refused(format!("'{}' is not empty", target.name())));
        }
    }
    let create = "create table copying \
        (name text primary key, rows bigint not null, position text not null)";
    target.batch(create).await?;
    let mut notes = Vec::with_capacity(TABLES.len());
    let tables = TABLES.iter().map(|table| (table.name, String::new()));
    for (name, position) in tables.chain([(SOURCE, look.to_owned())]) {
        let insert = "insert into copying (name, rows, position) values ($1, 0, $2)";
        target.ask(insert, &[text(name), text(&position)], &[]).await?;
        notes.push(Note { rows: 0, position });
    }
    notes.truncate(TABLES.len());
    Ok(notes)
}

async fn go_on<T: Place>(target: &T, look: &str) -> Result<Vec<Note>> {
    let read = async |name: &str| -> Result<Note> {
        let find = "select rows, position from copying where name = $1";
        let columns = [("rows", Kind::Number), ("position", Kind::Text)];
        let rows = target.ask(find, &[text(name)], &columns).await?;
        let none = || Error::Corrupt { what: format!("the note of the copy lacks {name}") };
        let row = rows.first().ok_or_else(none)?;
        Ok(Note { rows: row.number(0, "count")?, position: row.text(1, "position")?.to_owned() })
    };
    if read(SOURCE).await?.position != look {
        return Err(refused(format!(
            "'{}' holds an unfinished copy of other books, or of these before they changed; \
             remove it, and copy anew",
            target.name()
        )));
    }
    let mut notes = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        notes.push(read(table.name).await?);
    }
    Ok(notes)
}

/// Copies the next page of a table, and notes it in the same commit. False when there was none.
async fn step<S: Place, T: Place>(
    source: &S,
    target: &T,
    index: usize,
    notes: &mut [Note],
    rows_max: u32,
) -> Result<bool> {
    let (Some(table), Some(note)) = (TABLES.get(index), notes.get_mut(index)) else {
        return Ok(false);
    };
    let rows = page(source, table, &note.position, rows_max).await?;
    let Some(last) = rows.last() else { return Ok(false) };
    let key = last.0.get(table.columns.len()..).unwrap_or(&[]);
    let position = json(&key)?;
    let count = note.rows + i64::try_from(rows.len()).unwrap_or(i64::MAX);
    target.batch(T::WRITE).await?;
    target.insert(table, rows).await?;
    let update = "update copying set rows = $1, position = $2 where name = $3 and rows = $4 \
        returning name";
    let params =
        [Value::Number(count), text(&position), text(table.name), Value::Number(note.rows)];
    if target.ask(update, &params, &[("name", Kind::Text)]).await?.is_empty() {
        return Err(refused(format!("another copy to '{}' is at work", target.name())));
    }
    target.batch("commit").await?;
    *note = Note { rows: count, position };
    Ok(true)
}

/// Reads the rows behind a position: their columns, and behind them their key.
async fn page<S: Place>(
    source: &S,
    table: &Table,
    position: &str,
    rows_max: u32,
) -> Result<Vec<Row>> {
    let key = source.key(table);
    let quoted = |(name, _): &Column| format!("\"{}\"", source.column(name));
    let list = |columns: &[Column]| columns.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let (all, keys) = ([table.columns, key].concat(), list(key));
    let mut after: Vec<Value> = Vec::new();
    let mut behind = String::new();
    if !position.is_empty() {
        let unreadable = |_| Error::Corrupt { what: "the note of the copy is unreadable".into() };
        after = serde_json::from_str(position).map_err(unreadable)?;
        let marks: Vec<_> = (1..=after.len()).map(|place| format!("${place}")).collect();
        behind = format!("where ({keys}) > ({})", marks.join(", "));
    }
    let sql = format!(
        "select {} from {} {behind} order by {keys} limit {rows_max}",
        list(&all),
        table.name
    );
    source.ask(&sql, &after, &all).await
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Driver(Box::new(error)))
}
