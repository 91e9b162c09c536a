//! `daybook keys`: the master keys and the ring of keys that they wrap, also while a server uses
//! the store.

mod file;
mod ring;

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args as ClapArgs, Subcommand};
use daybook_core::UserId;
use daybook_server::config::Config;
use daybook_server::keyring::KeySource;
use daybook_store::MasterKey;
use serde_json::Value;

use crate::output::{count, note, progress, say, usage};
use crate::settings::Settings;
use ring::Ring;

/// Steps in a row that may leave as many keys as there were before.
const STEPS_WITHOUT_END_MAX: u32 = 20;

const EXAMPLES: &str = "Examples:
  (umask 077; daybook keys generate > master.keys)
  DAYBOOK_ENCRYPTION_KEY_FILE=master.keys daybook serve
  daybook keys list
  daybook keys rotate
  daybook keys rewrap
  daybook keys shred ann --yes

These commands reach a server that uses the store at its `listen` address, with a token that they
sign by `secret`; --server names another address. docs/encryption.md explains the keys.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Where a server is that uses the store [default: asked only when it holds the store]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Prints a new master key
    Generate,
    /// Says which master keys wrap how many keys of users
    List {
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Puts a new master key first in the key file, uses it, and wraps all keys by it
    Rotate(Step),
    /// Wraps by the current master key what others wrap; interrupted, it goes on where it was
    Rewrap(Step),
    /// Destroys the keys of a user, and with them what is sealed, in every backup too
    Shred {
        /// Whose keys
        user: String,
        /// Does not ask; there is no way back
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(ClapArgs, Debug)]
struct Step {
    /// How many keys one commit wraps
    #[arg(long, value_name = "KEYS", default_value_t = 2_000, hide = true,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    step: u32,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    if let Command::Generate = args.command {
        say(file::new_key()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = settings.config()?;
    if let Command::Shred { user, yes } = &args.command {
        UserId::parse(user).map_err(usage)?;
        if !yes {
            return Err(usage(format!(
                "what is sealed of user {user} would be unreadable for ever; say --yes to do it"
            )));
        }
    }
    let ring = Ring::reach(&config, args.server.as_deref()).await?;
    let done = act(&args.command, &config, &ring).await;
    ring.close().await;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn act(command: &Command, config: &Config, ring: &Ring) -> anyhow::Result<()> {
    match command {
        Command::Generate => Ok(()),
        Command::List { json } => list(&ring.status().await?, *json),
        Command::Rotate(step) => {
            let new = rotate(config, ring).await?;
            let used = current(&ring.status().await?);
            if used != new.id() {
                bail!(
                    "the server uses the master key {used}, not the new one, {}: it reads its keys \
                     somewhere else than this command does",
                    new.id()
                );
            }
            rewrap(ring, step.step).await
        }
        Command::Rewrap(step) => {
            // A rotation that was interrupted may not have told the server of its key.
            ring.reload().await?;
            rewrap(ring, step.step).await
        }
        Command::Shred { user, .. } => {
            let keys = ring.shred(user).await?;
            Ok(say(format_args!("{} keys of user {user} destroyed", count(keys)))?)
        }
    }
}

fn list(status: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(say(status)?);
    }
    for master in masters(status) {
        let id = master["id"].as_str().unwrap_or_default();
        let keys = count(master["keys"].as_u64().unwrap_or(0));
        let current = if master["is_current"] == true { ", current" } else { "" };
        say(format_args!("master key {id}: {keys} keys of users{current}"))?;
    }
    let shredded = status["shredded"].as_u64().unwrap_or(0);
    Ok(say(format_args!("{} keys destroyed", count(shredded)))?)
}

fn masters(status: &Value) -> impl Iterator<Item = &Value> {
    status["masters"].as_array().into_iter().flatten()
}

/// The name of the master key that is in use.
fn current(status: &Value) -> String {
    let current = masters(status).find(|master| master["is_current"] == true);
    current.and_then(|master| master["id"].as_str()).unwrap_or("unknown").to_owned()
}

/// Makes a new master key and lets it be used.
async fn rotate(config: &Config, ring: &Ring) -> anyhow::Result<MasterKey> {
    // A ring that cannot be asked must not get a new master key.
    ring.status().await?;
    let new = file::new_key()?;
    match config.key_source() {
        Some(KeySource::File(path)) => file::put_first(&path, &new)?,
        Some(KeySource::Text(_)) => {
            return Err(usage(
                "`encryption.key` holds one key only; put it into a file, name that by \
                 `encryption.key_file`, and rotate again",
            ));
        }
        Some(KeySource::Command(_)) => {
            return Err(usage(
                "let `encryption.key_command` print a new key before the others, send SIGHUP to \
                 the server, and run `daybook keys rewrap`",
            ));
        }
        None => return Err(usage("there is no master key to rotate ([encryption])")),
    }
    ring.reload().await?;
    Ok(MasterKey::from_base64(&new)?)
}

async fn rewrap(ring: &Ring, step: u32) -> anyhow::Result<()> {
    let status = ring.status().await?;
    let others = masters(&status).filter(|master| master["is_current"] != true);
    let total: u64 = others.filter_map(|master| master["keys"].as_u64()).sum();
    let bar = progress("rewrapping", total);
    let (mut left, mut steps_left) = (total, STEPS_WITHOUT_END_MAX);
    while left > 0 {
        let now = ring.rewrap(step).await?;
        // Another server may go on making keys that an older master key wraps.
        steps_left = if now < left { STEPS_WITHOUT_END_MAX } else { steps_left - 1 };
        if steps_left == 0 {
            bail!(
                "{} keys are left, and there are always more: another server still uses an older \
                 master key; send SIGHUP to it and run `daybook keys rewrap`",
                count(now)
            );
        }
        left = now;
        bar.set_position(total.saturating_sub(left));
    }
    bar.finish_and_clear();
    say(format_args!("{} keys rewrapped", count(total)))?;
    note("older master keys are needed for backups of the ring that were made before");
    Ok(())
}
