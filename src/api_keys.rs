//! `daybook api-keys`: API keys of services, in the store or by way of the server that holds it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use daybook_core::limits::PAGE_SIZE_MAX;
use daybook_core::{Action, KeyId, NewKey, Subject, Timestamp};
use daybook_server::app;
use daybook_server::auth::Scope;
use daybook_server::auth::api_keys::{GRACE_MAX, Pepper, Shown};
use daybook_server::client::Server;
use daybook_server::config::Config;
use daybook_store::Store;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ledger::{Listing, Style, act, refused};
use crate::output::{Column, note, usage};
use crate::remote;
use crate::settings::{Settings, is_held, open_existing, open_store};

const EXAMPLES: &str = "Examples:
  daybook api-keys create --name billing --scope feed:read --scope ledger:read
  daybook api-keys create --name import --scope feed:write --user ann --expires-in 90d
  daybook api-keys rotate 00f3c2a1b4d5e6f7 --grace 24h
  daybook api-keys revoke 00f3c2a1b4d5e6f7

Needs `auth.key_secret` (DAYBOOK_AUTH_KEY_SECRET), the same that the server has. A server that holds the
file is asked at its `listen` address, with a token that `secret` signs or that DAYBOOK_TOKEN is.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Prints JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Makes a key, and shows its secret this once
    Create(CreateArgs),
    /// Lists keys, those that are over included
    List(ListArgs),
    /// Gives a key another secret, and shows it this once
    Rotate(RotateArgs),
    /// Ends a key: it opens nothing any more
    Revoke(RevokeArgs),
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook api-keys create --name billing --scope feed:read
  daybook api-keys create --name payouts --scope ledger:write --account 7 --expires-in 30d --json")]
struct CreateArgs {
    /// What people call it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may do: feed:read, feed:write, ledger:read, ledger:write, ops or admin
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<String>,
    /// Narrows it to the rows of this user; may stand several times
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Narrows it to this account; may stand several times
    #[arg(long, value_name = "ACCOUNT")]
    account: Vec<i64>,
    /// How long it opens something, such as 90d or 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires_in: Option<Duration>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook api-keys list
  daybook api-keys list --json")]
struct ListArgs {
    /// The most rows to show [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook api-keys rotate 00f3c2a1b4d5e6f7
  daybook api-keys rotate 00f3c2a1b4d5e6f7 --grace 24h")]
struct RotateArgs {
    /// The key's id: the sixteen digits behind dbk_
    #[arg(value_name = "KEY", value_parser = key_id)]
    id: KeyId,
    /// How long the secret that it has opens too, at most 7d [default: not at all]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grace: Option<Duration>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook api-keys revoke 00f3c2a1b4d5e6f7")]
struct RevokeArgs {
    /// The key's id: the sixteen digits behind dbk_
    #[arg(value_name = "KEY", value_parser = key_id)]
    id: KeyId,
}

const COLUMNS: &[Column] = &[
    Column::text("key", "key_id"),
    Column::text("name", "name"),
    Column::text("scopes", "scopes"),
    Column::text("users", "users"),
    Column::text("accounts", "accounts"),
    Column::text("created at", "created_at"),
    Column::text("expires at", "expires_at"),
    Column::text("revoked at", "revoked_at"),
    Column::text("last used at", "last_used_at"),
];

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let (config, style) = (settings.config()?, Style::of(args.json));
    let opened = match &args.command {
        Command::Create(_) => open_store(&config).await,
        Command::List(_) | Command::Rotate(_) | Command::Revoke(_) => open_existing(&config).await,
    };
    let store = match opened {
        Ok(store) => store,
        Err(error) if is_held(&error) => {
            by_server(&remote::own(&config)?, &args.command, style).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    let done = match &args.command {
        Command::Create(args) => create(&*store, &config, args, style).await,
        Command::List(args) => list(&*store, args, style).await,
        Command::Rotate(args) => rotate(&*store, &config, args, style).await,
        Command::Revoke(args) => revoke(&*store, args, style).await,
    };
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

fn pepper(config: &Config) -> anyhow::Result<Pepper> {
    let missing = || usage("set DAYBOOK_AUTH_KEY_SECRET to at least 32 random bytes, the server's");
    config.key_pepper()?.ok_or_else(missing)
}

impl CreateArgs {
    /// As the API takes it.
    fn body(&self, at: Timestamp) -> Value {
        // What is not narrowed is left out.
        let users = Some(&self.user).filter(|users| !users.is_empty());
        let accounts = Some(&self.account).filter(|accounts| !accounts.is_empty());
        json!({
            "name": self.name, "scopes": self.scope, "users": users, "accounts": accounts,
            "expires_at": self.expires_in.map(|time| later(at, time)),
        })
    }
}

/// The same by way of a server.
async fn by_server(server: &Server, command: &Command, style: Style) -> anyhow::Result<()> {
    let key = match command {
        Command::Create(args) => server.post(&["keys"], &[], Some(&args.body(app::now()))).await?,
        Command::List(args) => return list_by_server(server, args, style).await,
        Command::Rotate(args) => {
            let grace =
                json!({ "grace_seconds": args.grace()?.map_or(0, |grace| grace.as_secs()) });
            let id = args.id.to_string();
            server.post(&["keys", &id, "rotate"], &[], Some(&grace)).await?
        }
        Command::Revoke(args) => {
            let id = args.id.to_string();
            server.delete(&["keys", &id]).await?;
            server.get(&["keys", &id], &[]).await?
        }
    };
    say_key(&key.to_string(), key.get("secret").is_some(), style)
}

async fn list_by_server(server: &Server, args: &ListArgs, style: Style) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Value>,
        next_cursor: Option<String>,
        has_more: bool,
    }
    let mut listing = Listing::new(style, COLUMNS, args.limit);
    let mut cursor: Option<String> = None;
    while let Some(limit) = listing.wants() {
        let limit = limit.min(PAGE_SIZE_MAX).to_string();
        let mut asked = vec![("limit", limit.as_str())];
        asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = server.get(&["keys"], &asked).await?;
        let page: Page = serde_json::from_value(page).context("the server lists no keys")?;
        cursor = page.next_cursor;
        listing.say(page.items.iter().map(Value::to_string).collect(), page.has_more)?;
    }
    Ok(())
}

async fn create(
    store: &dyn Store,
    config: &Config,
    args: &CreateArgs,
    style: Style,
) -> anyhow::Result<()> {
    let (minted, at) = (pepper(config)?.mint(), app::now());
    let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    let body = args.body(at).to_string();
    let new = NewKey::parse(&body, (minted.id, minted.hash), &known, at);
    let new = new.map_err(|rejection| refused(&rejection))?;
    show(store, Action::Issue(new), Some(&minted.secret), style).await
}

async fn list(store: &dyn Store, args: &ListArgs, style: Style) -> anyhow::Result<()> {
    let mut listing = Listing::new(style, COLUMNS, args.limit);
    let mut after = KeyId(-1);
    while let Some(limit) = listing.wants() {
        let page = store.api_keys(after, limit).await?;
        after = page.items.last().map_or(after, |key| key.id);
        let shown = page.items.iter().map(|key| serde_json::to_string(&Shown::of(key, None)));
        listing.say(shown.collect::<Result<_, _>>()?, page.has_more)?;
    }
    Ok(())
}

impl RotateArgs {
    fn grace(&self) -> anyhow::Result<Option<Duration>> {
        if self.grace.is_some_and(|grace| grace > GRACE_MAX) {
            return Err(usage("--grace: a secret opens for 7d at most after it was replaced"));
        }
        Ok(self.grace)
    }
}

async fn rotate(
    store: &dyn Store,
    config: &Config,
    args: &RotateArgs,
    style: Style,
) -> anyhow::Result<()> {
    let until = args.grace()?.map(|grace| later(app::now(), grace));
    let minted = pepper(config)?.mint_again(args.id);
    let action = Action::Renew { id: args.id, hash: minted.hash, until };
    show(store, action, Some(&minted.secret), style).await
}

async fn revoke(store: &dyn Store, args: &RevokeArgs, style: Style) -> anyhow::Result<()> {
    show(store, Action::Revoke { id: args.id }, None, style).await
}

/// Does it, and shows the key as it stands then.
async fn show(
    store: &dyn Store,
    action: Action,
    secret: Option<&str>,
    style: Style,
) -> anyhow::Result<()> {
    let recorded = act(store, action).await?;
    let Subject::Key(id) = recorded.subject else { bail!("the store gave no answer") };
    let Some(key) = store.api_key(id).await? else { bail!("the store gave no answer") };
    say_key(&serde_json::to_string(&Shown::of(&key, secret))?, secret.is_some(), style)
}

fn say_key(key: &str, has_secret: bool, style: Style) -> anyhow::Result<()> {
    style.say(key)?;
    if has_secret {
        note("keep the secret now: it is stored nowhere and shown never again");
    }
    Ok(())
}

fn key_id(text: &str) -> Result<KeyId, String> {
    let text = text.strip_prefix("dbk_").unwrap_or(text);
    KeyId::parse(text).ok_or_else(|| "a key's id is sixteen hexadecimal digits".to_owned())
}

/// Reads a whole number of seconds, minutes, hours or days.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|s| (1..=100 * 366 * 86_400).contains(s))
    });
    read.map(Duration::from_secs).ok_or_else(|| "a time such as 90d, 12h, 30m or 45s".to_owned())
}

fn later(at: Timestamp, time: Duration) -> Timestamp {
    let time_us = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_add(time_us))
}
