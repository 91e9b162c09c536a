//! `daybook demo`: a store full of sample items and a server on it, to try things out.

mod ledger;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args as ClapArgs;
use daybook_core::UserId;
use daybook_core::sample::Users;
use daybook_server::app::{self, App};
use daybook_server::config::{Exposure, Flag};
use daybook_store::Store;
use tokio::net::TcpListener;

use crate::output::{count, note, say, usage};
use crate::seed::{self, Plan};
use crate::serve::{command_socket, listen, start_log, until_told};
use crate::settings::Settings;
use crate::signal::Terminate;

/// Whose feed the examples show.
const USER: &str = "test_user_123";
const OTHERS: &[&str] = &["ann", "bob", "carol", "dave"];
const USER_ITEMS: u64 = 2_000;
const OTHER_ITEMS: u64 = 1_000;
/// How many ports are tried when the usual one is taken.
const PORTS: u16 = 50;

const EXAMPLES: &str = "Examples:
  daybook demo
  daybook demo --listen 127.0.0.1:9000 --dir demo

Without --dir everything is gone when the demo ends.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen [default: 127.0.0.1:8000, or the next free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Keeps the store in this folder; a demo that is there goes on
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let folder = Folder::make(args.dir.as_deref())?;
    let file = folder.path().join("daybook.db");
    let is_new = !file.exists();
    let flag = |key, name, value| Flag { key, name, value };
    let mut own = vec![
        flag("store", "--dir", format!("sqlite:{}", file.display())),
        // The examples below name their user and carry no token.
        flag("secret", "demo", String::new()),
    ];
    own.extend(args.listen.clone().map(|value| flag("listen", "--listen", value)));
    if std::env::var_os("RUST_LOG").is_none() {
        own.push(flag("log.level", "demo", "warn".to_owned()));
    }
    let effective = settings.without_store().load(own)?;
    start_log(&effective)?;
    let config = effective.config;
    let warning = config.guard(Exposure::Guarded)?;
    let listener = match &args.listen {
        Some(address) => listen(address).await?,
        None => listen_near(&config.listen).await?,
    };
    let store = daybook_store::open(&config.store, config.store_options()?).await?;
    if is_new {
        let items = count(fill(&store).await?);
        let (accounts, transfers) = ledger::fill(&*store).await?;
        note(format_args!(
            "{items} sample items, {accounts} accounts and {transfers} transfers recorded in '{}'",
            file.display()
        ));
    }
    let commands = command_socket(&config);
    introduce(listener.local_addr()?)?;
    if let Some(warning) = warning {
        note(format_args!("warning: {warning}"));
    }
    let app = App::new(store, config.app_settings()?)?;
    until_told(vec![listener], app, commands, Terminate::new()?).await?;
    drop(folder);
    Ok(ExitCode::SUCCESS)
}

/// Opens the port, or the next one that is free.
async fn listen_near(address: &str) -> anyhow::Result<TcpListener> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return listen(address).await;
    };
    let first: u16 = port.parse().map_err(|_| usage(format!("'{port}' is no port")))?;
    for port in first..=first.saturating_add(PORTS) {
        match TcpListener::bind(format!("{host}:{port}")).await {
            Ok(listener) => {
                if port != first {
                    note(format_args!("port {first} is taken, so this is port {port}"));
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context(format!("cannot listen on {address}")),
        }
    }
    listen(address).await
}

async fn fill(store: &Arc<dyn Store>) -> anyhow::Result<u64> {
    let mut recorded = 0;
    let others = OTHERS.iter().map(|name| (*name, OTHER_ITEMS));
    for (seed, (name, count)) in (1..).zip([(USER, USER_ITEMS)].into_iter().chain(others)) {
        let users = Users::new(UserId::parse(name).map_err(usage)?, Vec::new());
        recorded += seed::record(store, Plan { users, count, seed, days: 365 }).await?.0;
    }
    Ok(recorded)
}

fn introduce(address: SocketAddr) -> anyhow::Result<()> {
    let (account, peer) = (ledger::ACCOUNT, ledger::PEER);
    let api = format!("http://{address}/api/v1");
    say(format_args!(
        "Daybook is running at http://{address}

  Try it in the browser    http://{address}/docs
  Read about it            http://{address}/redoc
  See how it is            http://{address}/health

  A page of a feed:
    curl '{api}/transactions?user_id={USER}&page_size=3'
  A search, with a typing error:
    curl '{api}/transactions?user_id={USER}&search_query=starbuks'
  Record something:
    curl -X POST {api}/transactions -H 'content-type: application/json' \\
      -d '{{\"user_id\": \"{USER}\", \"transaction_type\": \"card\", \"amount\": 4.50, \
         \"currency\": \"EUR\", \"metadata\": {{\"merchant_name\": \"Corner Cafe\"}}}}'
  An account, its statement, and what is held:
    curl {api}/accounts/{account}
    curl '{api}/accounts/{account}/entries?limit=3'
    curl '{api}/transfers?account_id={account}&status=pending'
  Move money; sent again, the same reference moves nothing:
    curl -X POST {api}/transfers -H 'content-type: application/json' \\
      -d '{{\"source_account_id\": {account}, \"destination_account_id\": {peer}, \
         \"amount\": \"12.50\", \"reference\": \"lunch-17\"}}'

Other users: {}. Ctrl-C ends the demo.",
        OTHERS.join(", ")
    ))?;
    Ok(())
}

/// Where the demo's store is; a temporary folder is removed when the demo is over.
enum Folder {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Folder {
    fn make(kept: Option<&Path>) -> anyhow::Result<Self> {
        let (path, made) = match kept {
            Some(path) => (path.to_owned(), std::fs::create_dir_all(path)),
            None => {
                let name = format!("daybook-demo-{}", app::new_id());
                let path = std::env::temp_dir().join(name);
                let made = std::fs::create_dir(&path);
                (path, made)
            }
        };
        made.with_context(|| format!("making the folder '{}'", path.display()))?;
        Ok(if kept.is_some() { Self::Kept(path) } else { Self::Temporary(path) })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::Temporary(path) => path,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self
            && let Err(error) = std::fs::remove_dir_all(&*path)
        {
            note(format_args!("'{}' is left over: {error}", path.display()));
        }
    }
}
