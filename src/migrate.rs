//! `daybook migrate`: makes the store, or brings its schema up to date.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use serde_json::json;

use crate::output::{say, say_json};
use crate::settings::{Settings, open_store};

const EXAMPLES: &str = "Examples:
  daybook migrate
  daybook migrate --store sqlite:books.db --json

A server does this by itself when it starts.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let store = open_store(&config).await?;
    let status = store.status().await;
    store.close().await;
    let schema = status?.schema;
    let name = daybook_store::public_name(&config.store);
    if args.json {
        say_json(&json!({ "store": name, "schema": schema }))?;
    } else {
        say(format_args!("{name} is at schema {schema}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
