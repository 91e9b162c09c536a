//! `daybook import`: records what a file holds, items, accounts and transfers. Rows that break a
//! rule go to a file of rejects, the rest goes in; an interrupted import goes on where it was.

mod batch;
mod check;
mod convert;
mod date;
mod fernet;
mod foreign;
mod lines;
mod mapping;
mod number;
mod opening;
mod own;
mod preview;
mod record;
mod rejects;
mod repeats;
mod rows;
mod state;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use daybook_core::transaction::Vocabulary;
use daybook_core::{Rejection, UserId};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::output::{count, note, progress_bytes, say, say_json, usage};
use crate::settings::{Settings, reach_store};
use crate::signal::Terminate;
use batch::{Batch, Importer};
use check::Checker;
use fernet::Fernet;
use lines::Place;
use mapping::Mapping;
use preview::Preview;
use rejects::Rejects;
use repeats::Repeats;
use rows::Rows;
use state::{Counts, Fingerprint, State};

pub(crate) use convert::object;

const EXAMPLES: &str = "Examples:
  daybook import items.ndjson
  daybook import --mapping mappings/berka.toml trans.asc
  daybook import --mapping mappings/berka-ledger.toml trans.asc
  zcat items.ndjson.gz | daybook import --user ann -

A line with a source_account_id is a transfer, one with an account_id or an initial_balance an
account to open, any other an item of a feed. What has a name (source and external_id, reference,
account_id) is recorded once, however often it is imported. An interrupted import goes on where it
was when the same command runs again. The mapping file is explained in docs/import.md.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Bodies of the API, one JSON object a line, the CSV of an export, or with --mapping any CSV
    /// file; - is standard input
    file: PathBuf,
    /// Says how the columns of a CSV file become transactions or transfers
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Whose the rows are that name no user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Where to remember how far the import is [default: FILE.import-state.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Begins at the top even when an interrupted import could go on
    #[arg(long)]
    restart: bool,
    /// Where to write the rows that are not taken, with the reasons [default: FILE.rejects.ndjson]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Opens values of metadata, with --mapping of any column, that are Fernet tokens, by the keys in
    /// this file, one a line
    #[arg(long, value_name = "FILE")]
    fernet_key_file: Option<PathBuf>,
    /// A metadata field, with --mapping also any column or field, whose values must be Fernet
    /// tokens; may stand more than once
    #[arg(long, value_name = "FIELD", requires = "fernet_key_file")]
    fernet_field: Vec<String>,
    /// How many rows one commit takes
    #[arg(long, value_name = "ROWS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Checks every row, shows the first ones as they would be recorded, and writes nothing
    #[arg(long)]
    dry_run: bool,
    /// Prints the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    counts: Counts,
    dry_run: bool,
    /// Where an interrupted import had stood, when this run went on with it.
    resumed_after_line: Option<u64>,
    rejects: Option<String>,
    seconds: u64,
    /// The first rows as they would be recorded, of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_rows: Option<Vec<Preview>>,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let config = settings.config()?;
    let user = match args.user.as_deref().map(UserId::parse) {
        Some(Ok(user)) => Some(user),
        Some(Err(wrong)) => return Err(usage(format!("--user: {wrong}"))),
        None => None,
    };
    let fernet = args.fernet_key_file.as_deref();
    let fernet = fernet.map(|path| Fernet::read(path, args.fernet_field.clone())).transpose()?;
    let (mapping, mapping_text) = match &args.mapping {
        Some(path) => {
            let (mapping, text) = Mapping::read(path)?;
            check_opening(&mapping, path, &config.vocabulary())?;
            (Some(mapping), text)
        }
        None => (None, String::new()),
    };
    let user_text = args.user.clone().unwrap_or_default();
    let setting = [mapping_text.as_bytes(), user_text.as_bytes(), config.store.as_bytes()];
    let (state, resumed) = begin(&args, &state::hash(&setting))?;
    let kind = mapping.as_ref().map(|mapping| mapping.kind);
    let opening = mapping.as_ref().and_then(|mapping| mapping.accounts.clone());
    let shows_metadata = fernet.is_none();
    // A mapping names columns, which are opened before its value maps apply.
    let (of_columns, of_bodies) = if mapping.is_some() { (fernet, None) } else { (None, fernet) };
    let mut rows = Rows::open(&args.file, mapping, of_columns)?;
    let importer = Importer {
        store: if args.dry_run { None } else { Some(reach_store(&config).await?) },
        checker: Checker { vocabulary: config.vocabulary(), user, kind, fernet: of_bodies },
        opening,
    };
    let rejects = || Rejects::open(args.rejects_path(), state.rejects_bytes);
    let mut run = Run {
        rejects: if args.dry_run { None } else { Some(rejects()?) },
        state_path: args.state_path().filter(|_| !args.dry_run),
        state,
        importer,
        repeats: Repeats::new(args.rejects_path().parent().unwrap_or(Path::new(""))),
        previews: Vec::new(),
        shows_metadata,
    };
    let stop = stop_signal()?;
    let result = run.all(&mut rows, &args, &stop).await;
    if let Some(store) = &run.importer.store {
        store.close().await;
    }
    result?;
    run.finish(&args, resumed, started)
}

/// Reads and checks the rows of a file as an import does, with a mapping for one of CSV, and records
/// nothing. Answers how many rows are good, and of the others the line and the reason.
///
/// # Errors
/// When the mapping is wrong, or the file has not the header that it needs.
pub fn check_rows(
    file: impl BufRead + Send + 'static,
    mapping: Option<&str>,
) -> anyhow::Result<(u64, Vec<(u64, Rejection)>)> {
    let mapping = mapping.map(Mapping::parse).transpose().map_err(usage)?;
    let kind = mapping.as_ref().map(|mapping| mapping.kind);
    let checker = Checker { vocabulary: Vocabulary::default(), user: None, kind, fernet: None };
    let mut rows = Rows::read(Box::new(file), mapping, None)?;
    let (mut good, mut rejected) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        match row.body.and_then(|body| checker.check(body)) {
            Ok(_) => good += 1,
            Err(rejection) => rejected.push((row.line, rejection)),
        }
    }
    Ok((good, rejected))
}

fn check_opening(mapping: &Mapping, path: &Path, vocabulary: &Vocabulary) -> anyhow::Result<()> {
    let checked = mapping.accounts.as_ref().map(|opening| opening.check(vocabulary)).transpose();
    checked
        .map_err(|wrong| usage(format!("the mapping '{}' is wrong: {wrong}", path.display())))?;
    Ok(())
}

/// The state to begin with, and the line after which an interrupted import goes on.
fn begin(args: &Args, setting: &str) -> anyhow::Result<(State, Option<u64>)> {
    let mut fingerprint = Fingerprint::default();
    if args.can_be_read_again() {
        fingerprint = Fingerprint::of(&args.file)
            .with_context(|| format!("reading '{}'", args.file.display()))?;
        let found = match args.state_path().filter(|_| !args.restart && !args.dry_run) {
            Some(path) => State::load(&path, &args.file, setting)?,
            None => Ok(None),
        };
        match found {
            Ok(Some(state)) => {
                note(format_args!("going on after line {}", state.line));
                let line = state.line;
                return Ok((state, Some(line)));
            }
            Ok(None) => {}
            Err(why) => note(format_args!("beginning at the top: {why}")),
        }
    }
    let state = State {
        run: daybook_server::app::new_id().0,
        fingerprint,
        setting: setting.to_owned(),
        batch: args.batch.into(),
        offset: 0,
        line: 0,
        rejects_bytes: 0,
        counts: Counts::default(),
    };
    Ok((state, None))
}

impl Args {
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = match self.file.as_os_str() {
            name if name == "-" => "stdin".into(),
            name => name.to_owned(),
        };
        name.push(ending);
        name.into()
    }

    /// Standard input and pipes cannot, so nothing is remembered of them.
    fn can_be_read_again(&self) -> bool {
        self.file != Path::new("-") && self.file.is_file()
    }

    fn state_path(&self) -> Option<PathBuf> {
        let path = self.state.clone().unwrap_or_else(|| self.beside(".import-state.json"));
        Some(path).filter(|_| self.can_be_read_again())
    }

    fn rejects_path(&self) -> PathBuf {
        self.rejects.clone().unwrap_or_else(|| self.beside(".rejects.ndjson"))
    }
}

struct Run {
    importer: Importer,
    /// `None` where nothing is written.
    rejects: Option<Rejects>,
    state_path: Option<PathBuf>,
    state: State,
    repeats: Repeats,
    previews: Vec<Preview>,
    shows_metadata: bool,
}

impl Run {
    async fn all(&mut self, rows: &mut Rows, args: &Args, stop: &AtomicBool) -> anyhow::Result<()> {
        let length = std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len());
        let bar = progress_bytes("importing", length);
        if let Some(path) = &self.state_path {
            self.state.save(path)?;
        }
        self.go_on(rows, stop, &bar)?;
        // While one batch is committed, the next one is read and checked.
        let mut batch = self.next(rows, stop, self.state.place())?;
        while let Some(current) = batch {
            let end = current.end;
            let committing = self.importer.commit(current);
            batch = self.next(rows, stop, end)?;
            let committed = committing.await?;
            self.take(committed)?;
            bar.set_position(self.state.offset);
        }
        bar.finish_and_clear();
        if stop.load(Ordering::Relaxed) {
            let line = self.state.line;
            match &self.state_path {
                Some(_) => bail!("stopped after line {line}; the same command goes on from there"),
                None => bail!("stopped after line {line}"),
            }
        }
        Ok(())
    }

    /// The batch that begins at a place; `None` at the end of the file, and when the import stops.
    fn next(
        &mut self,
        rows: &mut Rows,
        stop: &AtomicBool,
        from: Place,
    ) -> anyhow::Result<Option<Batch>> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.importer.read(rows, &mut self.repeats, &self.state, from)
    }

    /// Reads the rows that an earlier run took or rejected again, so that their names are known.
    /// When it stops on the way, the rows that are read next are not new.
    fn go_on(
        &mut self,
        rows: &mut Rows,
        stop: &AtomicBool,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let mut offset = 0;
        while offset < self.state.offset && !stop.load(Ordering::Relaxed) {
            let row = rows.next()?.filter(|row| row.end.offset <= self.state.offset);
            let Some(row) = row else {
                bail!("the file changed while it was imported; begin again with --restart")
            };
            offset = row.end.offset;
            self.importer.remember(row, &mut self.repeats)?;
            bar.set_position(offset);
        }
        Ok(())
    }

    /// Books what became of a batch, in an order that an interruption cannot hurt: the rejects
    /// are on disk before the state says so.
    fn take(&mut self, batch: Batch) -> anyhow::Result<()> {
        let counts = &mut self.state.counts;
        counts.rows += batch.counts.rows;
        counts.created += batch.counts.created;
        counts.updated += batch.counts.updated;
        counts.unchanged += batch.counts.unchanged;
        counts.ignored += batch.counts.ignored;
        counts.rejected += batch.counts.rejected;
        counts.unnamed += batch.counts.unnamed;
        counts.opened += batch.counts.opened;
        if self.rejects.is_none() {
            let wanted = preview::ROWS_MAX.saturating_sub(self.previews.len());
            self.previews.extend(batch.previews(wanted, self.shows_metadata));
        }
        for (line, rejection, raw) in &batch.rejected {
            match &mut self.rejects {
                Some(rejects) => rejects.add(*line, rejection, raw)?,
                None => note(format_args!("line {line}: {}: {rejection}", rejection.code())),
            }
        }
        if let Some(rejects) = &mut self.rejects {
            self.state.rejects_bytes = rejects.flush()?;
        }
        (self.state.offset, self.state.line) = (batch.end.offset, batch.end.line);
        match &self.state_path {
            Some(path) => self.state.save(path),
            None => Ok(()),
        }
    }

    fn finish(
        self,
        args: &Args,
        resumed: Option<u64>,
        started: Instant,
    ) -> anyhow::Result<ExitCode> {
        if let Some(path) = &self.state_path {
            let removed = std::fs::remove_file(path);
            removed.with_context(|| format!("removing '{}'", path.display()))?;
        }
        let counts = self.state.counts;
        let rejects = self.rejects.filter(|_| counts.rejected > 0).map(|rejects| rejects.path());
        let seconds = started.elapsed().as_secs();
        let none_taken = counts.rows > 0 && counts.rejected == counts.rows;
        let code = if none_taken { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        if args.json {
            let dry_run = args.dry_run;
            let resumed_after_line = resumed;
            let first_rows = dry_run.then_some(self.previews);
            say_json(&Summary {
                counts,
                dry_run,
                resumed_after_line,
                rejects,
                seconds,
                first_rows,
            })?;
            return Ok(code);
        }
        if args.dry_run {
            preview::say(&self.previews)?;
            let good = count(counts.rows - counts.rejected);
            say(format_args!(
                "{} rows: {good} good, {} would be rejected",
                count(counts.rows),
                count(counts.rejected)
            ))?;
        } else {
            say_counts(counts, rejects)?;
        }
        if none_taken {
            note("no row was good; look at the reasons, and at the mapping where there is one");
        }
        Ok(code)
    }
}

fn say_counts(counts: Counts, rejects: Option<String>) -> anyhow::Result<()> {
    say(format_args!(
        "{} rows: {} created, {} updated, {} unchanged, {} rejected",
        count(counts.rows),
        count(counts.created),
        count(counts.updated),
        count(counts.unchanged),
        count(counts.rejected)
    ))?;
    if let Some(rejects) = rejects {
        note(format_args!("the rejected rows and the reasons are in '{rejects}'"));
    }
    if counts.ignored > 0 {
        note(format_args!(
            "{} rows were ignored: their record is here, says something else and is not older; \
             `source_version` or `source_updated_at` says which is newer",
            count(counts.ignored)
        ));
    }
    if counts.opened > 0 {
        note(format_args!("{} accounts were opened for them", count(counts.opened)));
    }
    if counts.unnamed > 0 {
        note(format_args!(
            "{} rows have no source and external_id, reference or account_id; importing them again \
             records them again",
            count(counts.unnamed)
        ));
    }
    Ok(())
}

/// Becomes true when somebody wants the program to end; the batch in work is finished first.
fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let mut terminate = Terminate::new()?;
    tokio::spawn(async move {
        terminate.recv().await;
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use daybook_core::EventSeq;

    use super::*;

    /// A file of ten rows without names: only the place tells which of them were recorded.
    fn file_of_ten() -> (tempfile::TempDir, Args) {
        let folder = tempfile::tempdir().unwrap();
        let args = Args {
            file: folder.path().join("items.ndjson"),
            mapping: None,
            user: None,
            state: None,
            restart: false,
            rejects: None,
            fernet_key_file: None,
            fernet_field: Vec::new(),
            batch: 2,
            dry_run: false,
            json: true,
        };
        let row = |amount: u32| {
            format!("{{\"user_id\":\"ann\",\"transaction_type\":\"card\",\"amount\":{amount}}}\n\n")
        };
        std::fs::write(&args.file, (1..=10).map(row).collect::<String>()).unwrap();
        (folder, args)
    }

    /// An import of a folder's file into a folder's store, as it begins or goes on.
    async fn begun(folder: &Path, args: &Args) -> (Run, Rows) {
        let url = format!("sqlite:{}", folder.join("daybook.db").display());
        let store = daybook_store::open(&url, daybook_store::Options::default()).await.unwrap();
        let (state, _) = begin(args, "").unwrap();
        let vocabulary = Vocabulary::default();
        let checker = Checker { vocabulary, user: None, kind: None, fernet: None };
        let run = Run {
            rejects: Some(Rejects::open(args.rejects_path(), state.rejects_bytes).unwrap()),
            state_path: args.state_path(),
            state,
            importer: Importer { store: Some(store), checker, opening: None },
            repeats: Repeats::new(folder),
            previews: Vec::new(),
            shows_metadata: true,
        };
        (run, Rows::open(&args.file, None, None).unwrap())
    }

    async fn closed(run: &Run) {
        run.importer.store.as_ref().unwrap().close().await;
    }

    #[tokio::test]
    async fn an_import_that_is_stopped_while_it_finds_its_place_stays_where_it_was() {
        let (folder, args) = file_of_ten();
        let state_path = args.state_path().unwrap();

        let (mut run, mut rows) = begun(folder.path(), &args).await;
        for _ in 0..2 {
            let place = run.state.place();
            let batch = run.next(&mut rows, &AtomicBool::new(false), place).unwrap().unwrap();
            let committed = run.importer.commit(batch).await.unwrap();
            run.take(committed).unwrap();
        }
        closed(&run).await;
        let before = std::fs::read(&state_path).unwrap();

        let (mut run, mut rows) = begun(folder.path(), &args).await;
        let stopped = run.all(&mut rows, &args, &AtomicBool::new(true)).await.unwrap_err();
        closed(&run).await;
        let sentence = "stopped after line 7; the same command goes on from there";
        assert_eq!(stopped.to_string(), sentence);
        assert_eq!(std::fs::read(&state_path).unwrap(), before);

        let (mut run, mut rows) = begun(folder.path(), &args).await;
        run.all(&mut rows, &args, &AtomicBool::new(false)).await.unwrap();
        assert_eq!((run.state.counts.rows, run.state.counts.created), (10, 10));
        let store = run.importer.store.as_ref().unwrap();
        let created = store.events(EventSeq(0), 100).await.unwrap().len();
        closed(&run).await;
        assert_eq!(created, 10);
    }

    #[tokio::test]
    async fn a_batch_is_read_at_its_own_place_only() {
        let (folder, args) = file_of_ten();
        let (mut run, mut rows) = begun(folder.path(), &args).await;
        let elsewhere = Place { offset: 1, line: 1 };
        assert!(run.next(&mut rows, &AtomicBool::new(false), elsewhere).is_err());
        closed(&run).await;
    }

    #[tokio::test]
    async fn two_imports_of_the_same_ids_at_once_record_each_once() {
        let (folder, args) = file_of_ten();
        let row = |number: u32| {
            format!(
                "{{\"id\":\"0190a5b2-0000-7000-8000-{number:012}\",\"user_id\":\"ann\",\
                 \"transaction_type\":\"card\",\"amount\":1}}\n"
            )
        };
        std::fs::write(&args.file, (1..=2).map(row).collect::<String>()).unwrap();
        let (mut run, mut rows) = begun(folder.path(), &args).await;
        let mut rows_of_other = Rows::open(&args.file, None, None).unwrap();
        let (go, top) = (AtomicBool::new(false), Place::default());
        let batch = run.next(&mut rows, &go, top).unwrap().unwrap();
        run.state.run = daybook_server::app::new_id().0;
        let other = run.next(&mut rows_of_other, &go, top).unwrap().unwrap();
        let (first, second) = (run.importer.commit(batch), run.importer.commit(other));
        let (first, second) = (first.await.unwrap().counts, second.await.unwrap().counts);
        closed(&run).await;
        assert_eq!(first.created + second.created, 2);
        assert_eq!(first.unchanged + second.unchanged, 2);
    }
}
