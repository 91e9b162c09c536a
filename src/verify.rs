//! `daybook verify`: recomputes what follows from items and transfers and names every difference.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args as ClapArgs;
use daybook_server::checkpoint::{Checkpoint, Verifier};
use daybook_server::config::Config;
use daybook_store::{Difference, Error, Options, Store};
use serde_json::json;

use crate::output::{count, note, progress, say, say_json, usage};
use crate::settings::{Settings, reach_existing};

const EXAMPLES: &str = "Examples:
  daybook verify
  daybook verify --store sqlite:copy.db --json
  daybook verify --checkpoint checkpoint-2026-01-15 --public-key checkpoint-public.pem

A server that holds the store verifies it while it serves; to spare it, verify a backup. Exit code 1
says that there are differences.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Compares the event log with a checkpoint that was signed earlier
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The public key, in PEM, of who signed the checkpoint [default: the secret]
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    public_key: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Reads a checkpoint whose signature is right.
fn read_checkpoint(args: &Args, config: &Config) -> anyhow::Result<Option<Checkpoint>> {
    let Some(path) = &args.checkpoint else { return Ok(None) };
    let verifier = match (&args.public_key, config.secret.reveal()) {
        (Some(path), _) => Verifier::file(path)?,
        (None, Some(secret)) => Verifier::secret(secret),
        (None, None) => {
            return Err(usage("name the key of who signed the checkpoint with --public-key FILE"));
        }
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("'{}' cannot be read", path.display()))?;
    Ok(Some(verifier.check(&text)?))
}

/// Says whether the log still has what was signed.
async fn compare(store: &dyn Store, checkpoint: &Checkpoint) -> anyhow::Result<Option<Difference>> {
    let seq = checkpoint.seq;
    let what = match store.link(seq).await? {
        Some(link) if checkpoint.is_of(&link) => return Ok(None),
        Some(_) => format!("event {seq}, or one before it, is not what the checkpoint has signed"),
        None => format!("the log ends at event {}, before the checkpoint's {seq}", store.seq()),
    };
    Ok(Some(Difference { part: "chain", what }))
}

/// Opens the books, also where what opens their sealed values is somewhere else, as it should be
/// with a backup.
async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let error = match reach_existing(config).await {
        Ok(store) => return Ok(store),
        Err(error) => error,
    };
    let Some(Error::NoRing { .. } | Error::NoMasterKey { .. }) = error.downcast_ref() else {
        return Err(error);
    };
    note(format_args!("{error}; verifying all but what only the keys can open"));
    let options = Options { sealing: None, without_keys: true, ..config.store_options()? };
    Ok(daybook_store::open(&config.store, options).await?)
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let checkpoint = read_checkpoint(&args, &config)?;
    let store = open(&config).await?;
    let bar = progress("verifying", 0);
    let verified = store
        .verify(&|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    let compared = match &checkpoint {
        Some(checkpoint) => compare(&*store, checkpoint).await,
        None => Ok(None),
    };
    store.close().await;
    let mut found = verified?;
    found.differences.extend(compared?);
    let is_clean = found.differences.is_empty();
    if args.json {
        let named = |d: &Difference| json!({ "part": d.part, "what": d.what });
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
