//! `daybook serve`: serves the API until it is told to end.

mod start;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;
use daybook_server::Listener;
use daybook_server::app::App;
use daybook_server::config::{Config, Effective, Exposure, Flag, Origin};
use daybook_server::tls::Tls;
use daybook_store::CommandSocket;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::output::{note, say};
use crate::settings::Settings;
use crate::signal::{Hangup, Terminate};

const EXAMPLES: &str = "Examples:
  daybook serve
  daybook serve --listen 127.0.0.1:9000 --store sqlite:books.db
  DAYBOOK_SECRET=$(openssl rand -hex 32) daybook serve --listen 0.0.0.0:8000

Without a secret the service is in development mode: anyone who reaches it may read and write
everything, so it listens on this machine only, unless --insecure says otherwise. SIGTERM and
Ctrl-C end it after what it accepted is done. With a certificate and a key ([tls] in the
configuration) it speaks TLS; SIGHUP makes it read both again.";

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
    let warning = config.guard(exposure)?;
    let settings = config.app_settings()?;
    let tls = match config.tls_files() {
        Some(files) => {
            let (tls, warnings) = Tls::open(files)?;
            warnings.iter().for_each(|warning| note(format_args!("warning: {warning}")));
            let tls = Arc::new(tls);
            reload_on_hangup(Arc::clone(&tls))?;
            Some(tls)
        }
        None => None,
    };
    let options = config.store_options_with_replica()?;
    match config.key_source() {
        Some(source) => {
            source.warning().iter().for_each(|warning| note(format_args!("warning: {warning}")));
        }
        None if settings.auth.is_development() => {}
        None => note(
            "warning: sensitive fields are stored in the clear, because there is no master key \
             ([encryption] in the configuration)",
        ),
    }
    let listener = listen(&config.listen).await?;
    let mut terminate = Terminate::new()?;
    let store = tokio::select! {
        store = start::open(&config, options) => store?,
        () = terminate.recv() => return Ok(ExitCode::SUCCESS),
    };
    let commands = command_socket(&config);
    let address = listener.local_addr()?;
    let app = App::new(store, settings)?;
    if app.settings().masters.is_some() {
        reload_masters_on_hangup(app.clone())?;
    }
    let (scheme, listener) = match tls {
        Some(tls) => ("https", Listener::with_tls(listener, tls)),
        None => ("http", listener.into()),
    };
    if let Some(warning) = warning {
        note(format_args!("warning: {warning}"));
    }
    say(format_args!("Daybook listens on {scheme}://{address}; its documentation is at /docs"))?;
    until_told(vec![listener], app, commands, terminate).await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the socket by which commands reach the file of an open store. A server does without it
/// where the file's folder takes none.
pub fn command_socket(config: &Config) -> Option<CommandSocket> {
    let file = daybook_store::file_of(&config.store).filter(|_| config.command_socket)?;
    match CommandSocket::beside(&file) {
        Ok(socket) => {
            tracing::info!(path = %socket.path().display(), "commands reach the store by a socket");
            Some(socket)
        }
        Err(error) => {
            tracing::warn!(%error, "commands cannot reach the store while it is served");
            None
        }
    }
}

/// Opens the port.
pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let failed = |error| anyhow::anyhow!("cannot listen on {address}: {error}");
    TcpListener::bind(address).await.map_err(failed)
}

/// Serves until a signal comes; then finishes what was accepted and closes the store.
pub async fn until_told(
    listeners: Vec<impl Into<Listener>>,
    app: App,
    commands: Option<CommandSocket>,
    mut terminate: Terminate,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let commands = commands.map(|socket| {
        let store = app.shared_store();
        tokio::spawn(socket.serve(store, stop.clone()))
    });
    let told = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        told.cancel();
    });
    daybook_server::serve(listeners, app, stop).await?;
    if let Some(commands) = commands {
        commands.await?;
    }
    Ok(())
}

/// Reads the certificate and its key again whenever SIGHUP comes.
fn reload_on_hangup(tls: Arc<Tls>) -> anyhow::Result<()> {
    let mut hangup = Hangup::new()?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let tls = Arc::clone(&tls);
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(warnings)) => {
                    tracing::info!("new connections get the certificate that was just read");
                    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                }
                Ok(Err(error)) => tracing::error!(%error, "the certificate in use stays"),
                Err(error) => tracing::error!(%error, "the certificate in use stays"),
            }
        }
    });
    Ok(())
}

/// Reads the master keys again whenever SIGHUP comes.
fn reload_masters_on_hangup(app: App) -> anyhow::Result<()> {
    let mut hangup = Hangup::new()?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match app.reload_masters().await {
                Ok(()) => tracing::info!("the master keys that were just read are in use"),
                Err(error) => tracing::error!(%error, "the master keys in use stay"),
            }
        }
    });
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
