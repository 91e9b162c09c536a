//! The program, all but its entry: reads the command line, runs one command, and says by its exit
//! code how it went.

mod ledger;
mod output;
mod panics;
mod remote;
mod settings;
mod signal;

mod accounts;
mod api_keys;
mod backup;
mod bench;
mod checkpoint;
mod clean;
mod config;
mod copy;
mod demo;
mod events;
mod export;
pub mod import;
mod keys;
mod migrate;
mod seed;
mod serve;
mod token;
mod transfers;
mod verify;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use daybook_server::config::Error as ConfigError;
use daybook_server::tls::Error as TlsError;

use crate::output::{Usage, note};
use crate::settings::Settings;

const MISUSED: u8 = 2;
const AFTER_HELP: &str = "Exit codes: 0 done, 1 failed, 2 called or configured wrongly.

Configuration comes from daybook.toml, then DAYBOOK_* variables, then flags; `daybook config`
prints what is in effect. Try it out with `daybook demo`.";

/// Every transaction of your users in one place: recorded, found, paged and counted
#[derive(Parser)]
#[command(name = "daybook", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API until it is told to end
    Serve(serve::Args),
    /// Serves a store full of sample items, to try things out
    Demo(demo::Args),
    /// Makes the store, or brings its schema up to date
    Migrate(migrate::Args),
    /// Records sample items
    Seed(seed::Args),
    /// Deletes all items of users
    Clean(clean::Args),
    /// Records the items, accounts and transfers of a file: API bodies, or CSV with a mapping
    Import(import::Args),
    /// Writes items as NDJSON or CSV
    Export(export::Args),
    /// Opens accounts and shows them and their statements
    Accounts(accounts::Args),
    /// Moves money between accounts, and shows what moved
    Transfers(transfers::Args),
    /// Writes the event log as NDJSON, and follows it
    Events(events::Args),
    /// Makes, lists, rotates and revokes API keys of services
    ApiKeys(api_keys::Args),
    /// Makes, lists and rotates the master keys, and destroys the keys of users
    Keys(keys::Args),
    /// Signs an access token
    Token(token::Args),
    /// Checks that statistics, search index, event log and balances are right
    Verify(verify::Args),
    /// Signs what the event log says now, so that a change of it can be proven later
    Checkpoint(checkpoint::Args),
    /// Writes a complete copy of the store, also while a server uses it
    Backup(backup::Args),
    /// Copies the books to another store, from SQLite to PostgreSQL or back
    Copy(copy::Args),
    /// Prints the effective configuration
    Config(config::Args),
    /// Measures how fast this machine serves
    Bench(bench::Args),
}

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    panics::hide_messages();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("error: {error:#}"));
            // Who types a command may know what a client may not.
            if let Some(daybook_store::Error::Away { reason }) = error.downcast_ref() {
                note(format_args!("       {reason}"));
            }
            let misused =
                error.is::<Usage>() || error.is::<ConfigError>() || error.is::<TlsError>();
            if misused { ExitCode::from(MISUSED) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = &cli.settings;
    match cli.command {
        Command::Serve(args) => serve::run(args, settings).await,
        Command::Demo(args) => demo::run(args, settings).await,
        Command::Migrate(args) => migrate::run(args, settings).await,
        Command::Seed(args) => seed::run(args, settings).await,
        Command::Clean(args) => clean::run(args, settings).await,
        Command::Import(args) => import::run(args, settings).await,
        Command::Export(args) => export::run(args, settings).await,
        Command::Accounts(args) => accounts::run(args, settings).await,
        Command::Transfers(args) => transfers::run(args, settings).await,
        Command::Events(args) => events::run(args, settings).await,
        Command::ApiKeys(args) => api_keys::run(args, settings).await,
        Command::Keys(args) => keys::run(args, settings).await,
        Command::Token(args) => token::run(args, settings),
        Command::Verify(args) => verify::run(args, settings).await,
        Command::Checkpoint(args) => checkpoint::run(args, settings).await,
        Command::Backup(args) => backup::run(args, settings).await,
        Command::Copy(args) => copy::run(args).await,
        Command::Config(args) => config::run(args, settings),
        Command::Bench(args) => bench::run(&args, settings),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
}
