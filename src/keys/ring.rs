//! The ring of keys, by way of a server that uses the store or of the store itself.

use anyhow::Context;
use daybook_core::UserId;
use daybook_server::app::App;
use daybook_server::client::Server;
use daybook_server::config::Config;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::output::usage;
use crate::remote;
use crate::settings::{is_held, open_store, require_existing};

pub enum Ring {
    Store(Box<App>),
    Server(Server),
}

impl Ring {
    /// Reaches the ring: by a server that was named or uses the store, else in the store.
    pub async fn reach(config: &Config, server: Option<&str>) -> anyhow::Result<Self> {
        if let Some(url) = server {
            let server = Server::at(config, url);
            return Ok(Self::Server(server.map_err(|error| usage(format!("--server: {error}")))?));
        }
        require_existing(config)?;
        // Only the embedded store says itself that a server holds it.
        if !config.store.starts_with("sqlite:")
            && TcpStream::connect(remote::place(config)).await.is_ok()
        {
            return Ok(Self::Server(remote::own(config)?));
        }
        match open_store(config).await {
            Ok(store) => Ok(Self::Store(Box::new(App::new(store, config.app_settings()?)?))),
            Err(error) if is_held(&error) => Ok(Self::Server(remote::own(config)?)),
            Err(error) => Err(error),
        }
    }

    pub async fn status(&self) -> anyhow::Result<Value> {
        let app = match self {
            Self::Server(server) => return Ok(server.get(&["keyring"], &[]).await?),
            Self::Store(app) => app,
        };
        let ring = app.keyring().await?;
        let master = |master: &daybook_store::MasterStatus| json!({ "id": master.id, "keys": master.keys, "is_current": master.is_current });
        let masters: Vec<Value> = ring.masters.iter().map(master).collect();
        let (shredded, total) = (ring.shredded, ring.total);
        Ok(json!({
            "ring": ring.ring, "masters": masters, "shredded": shredded, "total": total
        }))
    }

    /// Lets the master keys be read again.
    pub async fn reload(&self) -> anyhow::Result<()> {
        match self {
            Self::Store(app) => Ok(app.reload_masters().await?),
            Self::Server(server) => {
                server.post(&["keyring", "rotate"], &[], None).await?;
                Ok(())
            }
        }
    }

    /// Wraps some keys; answers how many are left.
    pub async fn rewrap(&self, limit: u32) -> anyhow::Result<u64> {
        match self {
            Self::Store(app) => Ok(app.rewrap_keys(limit).await?),
            Self::Server(server) => {
                let limit = limit.to_string();
                let limit = [("limit", limit.as_str())];
                let answer = server.post(&["keyring", "rewrap"], &limit, None).await?;
                answer
                    .get("left")
                    .and_then(Value::as_u64)
                    .context("the server does not say how many keys are left")
            }
        }
    }

    /// Destroys the keys of a user; answers how many that were.
    pub async fn shred(&self, user: &str) -> anyhow::Result<u64> {
        match self {
            Self::Store(app) => Ok(app.shred_user(UserId::parse(user).map_err(usage)?).await?),
            Self::Server(server) => {
                let answer = server.post(&["users", user, "shred"], &[], None).await?;
                answer
                    .get("keys")
                    .and_then(Value::as_u64)
                    .context("the server does not say what it destroyed")
            }
        }
    }

    pub async fn close(&self) {
        if let Self::Store(app) = self {
            app.store().close().await;
        }
    }
}
