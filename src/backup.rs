//! `daybook backup`: a complete copy of the store, also while a server uses it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::output::{progress, say, say_json};
use crate::settings::{Settings, require_existing};

const EXAMPLES: &str = "Examples:
  daybook backup books-$(date +%F).db
  daybook --store sqlite:books.db backup copy.db && daybook --store sqlite:copy.db verify";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write; it must not be there yet
    file: PathBuf,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    require_existing(&config)?;
    let target = args.file.display();
    if args.file.exists() {
        bail!("'{target}' is there already; a backup never replaces a file");
    }
    let bar = progress("copying", 0);
    let copied = daybook_store::backup_file(&config.store, &args.file, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    copied?;
    let bytes = std::fs::metadata(&args.file)?.len();
    if args.json {
        say_json(&json!({ "file": args.file, "bytes": bytes }))?;
    } else {
        say(format_args!("{} copied to '{target}'", indicatif::HumanBytes(bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}
