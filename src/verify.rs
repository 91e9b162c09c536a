//! `daybook verify`: recomputes what follows from items and transfers and names every difference.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use serde_json::json;

use crate::output::{count, progress, say, say_json};
use crate::settings::{Settings, open_existing};

const EXAMPLES: &str = "Examples:
  daybook verify
  daybook verify --store sqlite:copy.db --json

Verify a backup rather than a store that a server uses. Exit code 1 says that there are
differences.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let store = open_existing(&settings.config()?).await?;
    let bar = progress("verifying", 0);
    let verified = store
        .verify(&|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    store.close().await;
    let found = verified?;
    let is_clean = found.differences.is_empty();
    if args.json {
        let named = |d: &daybook_store::Difference| json!({ "part": d.part, "what": d.what });
        let differences: Vec<_> = found.differences.iter().map(named).collect();
        say_json(&json!({
            "items": found.items,
            "events": found.events,
            "buckets": found.buckets,
            "accounts": found.accounts,
            "transfers": found.transfers,
            "differences": differences,
        }))?;
    } else {
        for difference in &found.differences {
            say(format_args!("{}: {}", difference.part, difference.what))?;
        }
        let said = if is_clean {
            "all agree".to_owned()
        } else {
            format!("{} differences", found.differences.len())
        };
        say(format_args!(
            "{} items, {} events, {} statistics buckets, {} accounts, {} transfers: {said}",
            count(found.items),
            count(found.events),
            count(found.buckets),
            count(found.accounts),
            count(found.transfers)
        ))?;
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
