//! `daybook copy`: all books from one store to another, of the same kind or not.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use daybook_store::{COPY_ROWS, Error, public_name};
use serde_json::json;

use crate::output::{count, note, progress, say, say_json, usage};

const EXAMPLES: &str = "Examples:
  daybook copy sqlite:daybook.db postgres://user:password@host/daybook
  daybook copy postgres://host/daybook sqlite:daybook.db --json

Stop all that uses either store first. The target must be empty or not be there. A copy that was
interrupted goes on where it was when the same command is run again; until it has ended and was
verified, the target cannot be opened. Exit code 1 says that the copy differs.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The store that is copied, as sqlite:FILE or postgres://HOST/DATABASE; it stays as it is
    from: String,
    /// The store that is filled
    to: String,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let bar = progress("copying", 0);
    let verifying = progress("verifying", 0);
    let show = |bar: &indicatif::ProgressBar, done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let copied = daybook_store::copy(
        &args.from,
        &args.to,
        COPY_ROWS,
        &|done, total| show(&bar, done, total),
        &|done, total| {
            bar.finish_and_clear();
            show(&verifying, done, total);
        },
    )
    .await;
    bar.finish_and_clear();
    verifying.finish_and_clear();
    let copied = copied.map_err(|error| match error {
        Error::BadUrl { .. } => usage(error.to_string()),
        other => other.into(),
    })?;
    let found = &copied.verified;
    let is_clean = found.differences.is_empty();
    if args.json {
        let named = |d: &daybook_store::Difference| json!({ "part": d.part, "what": d.what });
        let differences: Vec<_> = found.differences.iter().map(named).collect();
        say_json(&json!({
            "rows": copied.rows,
            "before": copied.before,
            "items": found.items,
            "events": found.events,
            "accounts": found.accounts,
            "transfers": found.transfers,
            "differences": differences,
        }))?;
    } else {
        for difference in &found.differences {
            say(format_args!("{}: {}", difference.part, difference.what))?;
        }
        if copied.before > 0 {
            note(format_args!("{} rows were there from before", count(copied.before)));
        }
        let said = if is_clean {
            "verified".to_owned()
        } else {
            format!("{} differences", found.differences.len())
        };
        say(format_args!(
            "{} rows copied to {} ({} items, {} events, {} accounts, {} transfers): {said}",
            count(copied.rows),
            public_name(&args.to),
            count(found.items),
            count(found.events),
            count(found.accounts),
            count(found.transfers)
        ))?;
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
