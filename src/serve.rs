//! `daybook serve`: serves the API until it is told to end.

mod start;

use std::process::ExitCode;

use clap::Args as ClapArgs;
use daybook_server::app::App;
use daybook_server::config::{Config, Effective, Exposure, Flag, Origin};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::output::{note, say};
use crate::settings::Settings;
use crate::signal::Terminate;

const EXAMPLES: &str = "Examples:
  daybook serve
  daybook serve --listen 127.0.0.1:9000 --store sqlite:books.db
  DAYBOOK_SECRET=$(openssl rand -hex 32) daybook serve --listen 0.0.0.0:8000

Without a secret the service is in development mode: anyone who reaches it may read and write
everything, so it listens on this machine only, unless --insecure says otherwise. SIGTERM and
Ctrl-C end it after what it accepted is done.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen, as HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Listens on a public address without a good secret too
    #[arg(long)]
    insecure: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let own = args.listen.map(|value| Flag { key: "listen", name: "--listen", value });
    let effective = settings.load(own.into_iter().collect())?;
    start_log(&effective)?;
    let config = effective.config;
    let exposure = if args.insecure { Exposure::Insecure } else { Exposure::Guarded };
    if let Some(warning) = config.guard(exposure)? {
        note(format_args!("warning: {warning}"));
    }
    let settings = config.app_settings()?;
    let listener = listen(&config.listen).await?;
    let mut terminate = Terminate::new()?;
    let store = tokio::select! {
        store = start::open(&config) => store?,
        () = terminate.recv() => return Ok(ExitCode::SUCCESS),
    };
    let address = listener.local_addr()?;
    say(format_args!("Daybook listens on http://{address}; its documentation is at /docs"))?;
    until_told(vec![listener], App::new(store, settings)?, terminate).await?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the port.
pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let failed = |error| anyhow::anyhow!("cannot listen on {address}: {error}");
    TcpListener::bind(address).await.map_err(failed)
}

/// Serves until a signal comes; then finishes what was accepted and closes the store.
pub async fn until_told(
    listeners: Vec<TcpListener>,
    app: App,
    mut terminate: Terminate,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        told.cancel();
    });
    daybook_server::serve(listeners, app, stop).await?;
    Ok(())
}

/// Logs as configured; `RUST_LOG`, which every Rust program knows, may stand in for the default.
pub fn start_log(effective: &Effective) -> anyhow::Result<()> {
    let Config { log, .. } = &effective.config;
    let standing_in = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let is_default = effective.origin("log.level") == Some(&Origin::Default);
    let filter = standing_in.filter(|_| is_default).unwrap_or_else(|| log.level.clone());
    Ok(daybook_server::telemetry::init(log.format, &filter)?)
}
