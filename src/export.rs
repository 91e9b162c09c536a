//! `daybook export`: writes items as NDJSON or as CSV; `import` takes both again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use daybook_core::query::{Order, Paging, QueryError};
use daybook_core::transaction::Vocabulary;
use daybook_core::{Query, Transaction, UserId};
use daybook_store::Store;

use crate::output::{count, note, progress, usage};
use crate::settings::{Settings, all_users, parse_users, reach_existing};

/// Items that are read at once.
const PAGE: u32 = 1_000;

const EXAMPLES: &str = "Examples:
  daybook export > items.ndjson
  daybook export --user ann --filter status=completed --filter 'min_amount=100' -o ann.ndjson
  daybook export --format csv --filter start_date=2024-01-01 --filter 'metadata.city=Brno'

The filters are those of GET /transactions. Each user's newest item comes first.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whose items; may stand more than once [default: all users]
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// A filter of the API; may stand more than once
    #[arg(long, value_name = "NAME=VALUE")]
    filter: Vec<String>,
    /// How items are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// A header, and one row an item; the metadata is one column of JSON
    Csv,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let filters: Vec<(String, String)> =
        args.filter.iter().map(|text| filter(text)).collect::<anyhow::Result<_>>()?;
    let named = parse_users(&args.user)?;
    // A wrong filter is said before anything is opened.
    let vocabulary = config.vocabulary();
    question(&filters, &UserId::parse("anybody").map_err(usage)?, &vocabulary)?;
    let store = reach_existing(&config).await?;
    let written = export(&args, (&filters, &vocabulary), named, &*store).await;
    store.close().await;
    let written = written?;
    if let Some(path) = &args.output {
        note(format_args!("{} items written to '{}'", count(written), path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(
    args: &Args,
    (filters, vocabulary): (&[(String, String)], &Vocabulary),
    named: Vec<UserId>,
    store: &dyn Store,
) -> anyhow::Result<u64> {
    let users = if named.is_empty() { all_users(store).await? } else { named };
    let mut writer = Writer::new(args)?;
    let bar = progress("exporting users", u64::try_from(users.len())?);
    let (mut written, mut is_cut) = (0, false);
    for user in users {
        let mut query = question(filters, &user, vocabulary)?;
        loop {
            let page = store.transactions(query.clone()).await?;
            is_cut |= page.is_cut;
            for item in &page.items {
                writer.write(item)?;
                written += 1;
            }
            if page.next.is_none() {
                break;
            }
            query.paging = Paging::Cursor { after: page.next, limit: PAGE };
        }
        bar.inc(1);
    }
    writer.finish()?;
    bar.finish_and_clear();
    if is_cut {
        note(format_args!(
            "items may be missing: the search means more words than are looked for; write it in full"
        ));
    }
    Ok(written)
}

fn filter(text: &str) -> anyhow::Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(usage(format!("--filter '{text}': write it as name=value")));
    };
    let is_ours = ["user_id", "page", "page_size", "cursor", "limit", "sort"].contains(&name);
    if is_ours {
        return Err(usage(format!("--filter '{name}': an export has all pages, newest first")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn question(
    filters: &[(String, String)],
    user: &UserId,
    vocabulary: &Vocabulary,
) -> anyhow::Result<Query> {
    let mut query =
        Query::parse(filters, Some(user), vocabulary).map_err(|error| match &error {
            QueryError::Invalid(errors) => {
                let said: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
                usage(format!("--filter: {}", said.join("; ")))
            }
            other => usage(format!("--filter: {other}")),
        })?;
    query.order = Order::Newest;
    query.paging = Paging::Cursor { after: None, limit: PAGE };
    Ok(query)
}

type Output = Box<dyn Write>;

enum Writer {
    Ndjson(Output),
    Csv(Box<csv::Writer<Output>>),
}

/// The columns of an export as CSV.
pub(crate) const COLUMNS: &[&str] = &[
    "id",
    "user_id",
    "transaction_type",
    "product",
    "status",
    "side",
    "currency",
    "amount",
    "title",
    "category",
    "source",
    "external_id",
    "transfer_id",
    "version",
    "created_at",
    "recorded_at",
    "updated_at",
    "side_given",
    "source_version",
    "source_updated_at",
    "metadata",
];

impl Writer {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let output: Output = match &args.output {
            Some(path) => {
                let file = File::create(path);
                Box::new(file.with_context(|| format!("writing '{}'", path.display()))?)
            }
            None => Box::new(std::io::stdout()),
        };
        let output: Output = Box::new(BufWriter::with_capacity(256 * 1024, output));
        Ok(match args.format {
            Format::Ndjson => Self::Ndjson(output),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(output);
                csv.write_record(COLUMNS).map_err(plain)?;
                Self::Csv(Box::new(csv))
            }
        })
    }

    fn write(&mut self, item: &Transaction) -> anyhow::Result<()> {
        match self {
            Self::Ndjson(output) => {
                output.write_all(item.to_json().as_bytes())?;
                output.write_all(b"\n")?;
            }
            Self::Csv(csv) => csv.write_record(record(item)).map_err(plain)?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Ndjson(mut output) => output.flush()?,
            Self::Csv(mut csv) => csv.flush()?,
        }
        Ok(())
    }
}

/// The cause of a failure, so that a reader who went away is recognised.
fn plain(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(io) => io.into(),
        other => anyhow::anyhow!("{other:?}"),
    }
}

/// Whether a spreadsheet takes a text for a formula (CWE-1236), be it behind apostrophes.
fn is_formula(text: &str) -> bool {
    let signs = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    text.trim_start_matches('\'').starts_with(signs)
}

/// A text as a cell that no spreadsheet takes for a formula: an apostrophe stands before a text that
/// begins, after any apostrophes, as formulas do.
fn guarded(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// The text that a cell of an export holds.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_formula(text)).unwrap_or(cell)
}

fn record(item: &Transaction) -> Vec<String> {
    let display = item.display();
    let optional = |value: &Option<String>| value.as_deref().map(guarded).unwrap_or_default();
    vec![
        item.id.to_string(),
        guarded(item.user_id.as_str()),
        item.transaction_type.to_string(),
        guarded(&item.product),
        item.status.to_string(),
        item.side.to_string(),
        item.currency.to_string(),
        item.amount.to_text(item.currency),
        // It is for people, and a line break would tear their table.
        guarded(&display.title.replace(char::is_control, " ")),
        display.category.to_string(),
        optional(&item.source),
        optional(&item.external_id),
        item.transfer_id.map(|id| id.to_string()).unwrap_or_default(),
        item.version.to_string(),
        item.created_at.to_string(),
        item.recorded_at.to_string(),
        item.updated_at.map(|at| at.to_string()).unwrap_or_default(),
        item.side_given.to_string(),
        item.revision.version.map(|version| version.to_string()).unwrap_or_default(),
        item.revision.updated_at.map(|at| at.to_string()).unwrap_or_default(),
        guarded(&item.metadata.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_begins_as_a_formula_is_guarded() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+44", "'+44"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "''=1"),
            ("''-", "'''-"),
            ("＝1", "'＝1"),
            ("'quoted'", "'quoted'"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), cell, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_guarded_cell_begins_as_a_formula_and_each_reads_back(
            text in prop_oneof![any::<String>(), "['=+@\t\r\n-]{0,4}[a-z=']{0,3}"],
        ) {
            let cell = guarded(&text);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{:?}", cell);
            prop_assert_eq!(unguarded(&cell), text);
        }
    }
}
