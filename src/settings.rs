//! What every command takes: where the configuration and the store are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use daybook_core::UserId;
use daybook_server::config::{Config, Effective, Flag, Sources};
use daybook_store::{Error, Store};

use crate::output::usage;

/// Users that are asked for at once.
const USERS_PAGE: u32 = 10_000;

#[derive(Args, Clone)]
pub struct Settings {
    /// The configuration file; otherwise ./daybook.toml is read when it is there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the books are kept, as sqlite:FILE or postgres://HOST/DATABASE
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

impl Settings {
    /// Lays file, environment, these flags and the command's own over the defaults.
    pub fn load(&self, own: Vec<Flag>) -> anyhow::Result<Effective> {
        let flag = |key, name, value: &Option<String>| {
            value.clone().map(|value| Flag { key, name, value })
        };
        let mut flags = own;
        flags.extend(flag("store", "--store", &self.store));
        flags.extend(flag("log.level", "--log", &self.log));
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Ok(Effective::load(Sources { file: self.config.clone(), environment, flags })?)
    }

    /// The same for a command that has a store of its own.
    pub fn without_store(&self) -> Self {
        Self { store: None, ..self.clone() }
    }

    /// The store that is named on the command line.
    pub fn named_store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The configuration of a command that has no flags of its own for it.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(self.load(Vec::new())?.config)
    }
}

/// Opens the store, which is made when it is not there yet.
pub async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    Ok(daybook_store::open(&config.store, config.store_options()?).await?)
}

/// Reaches the store: by the server on this machine that holds its file, or else by opening it as
/// [`open_store`] does.
pub async fn reach_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(store) = by_server(config).await? {
        return Ok(store);
    }
    let error = match open_store(config).await {
        Err(error) if is_held(&error) => error,
        opened => return opened,
    };
    // A server that has just started listens as soon as it has opened the file.
    by_server(config).await?.ok_or(error)
}

/// As [`reach_store`], for a store that must be there.
pub async fn reach_existing(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    require_existing(config)?;
    reach_store(config).await
}

async fn by_server(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    if !config.command_socket {
        return Ok(None);
    }
    Ok(daybook_store::connect(&config.store).await?)
}

/// Whether a store was not opened because another process has it.
pub fn is_held(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Locked { .. }))
}

/// Opens a store that must be there: a mistyped name must not look like an empty store.
pub async fn open_existing(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    require_existing(config)?;
    open_store(config).await
}

/// Says what to do when there is no store.
pub fn require_existing(config: &Config) -> anyhow::Result<()> {
    // A database server says itself what it does not have.
    let Some(path) = config.store.strip_prefix("sqlite:") else { return Ok(()) };
    if Path::new(path).exists() {
        return Ok(());
    }
    Err(usage(format!("there is no store at '{path}'; name it with --store sqlite:FILE")))
}

/// Reads the users that a command names.
pub fn parse_users(names: &[String]) -> anyhow::Result<Vec<UserId>> {
    let read =
        |name: &String| UserId::parse(name).map_err(|wrong| usage(format!("--user: {wrong}")));
    names.iter().map(read).collect()
}

/// All users of a store, by name.
pub async fn all_users(store: &dyn Store) -> anyhow::Result<Vec<UserId>> {
    let mut users: Vec<UserId> = Vec::new();
    loop {
        let page = store.users(users.last().cloned(), USERS_PAGE).await?;
        if page.is_empty() {
            return Ok(users);
        }
        users.extend(page);
    }
}
