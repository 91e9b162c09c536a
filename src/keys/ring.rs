//! The ring of keys, by way of a server that uses the store or of the store itself.

use std::time::Duration;

use anyhow::{Context, bail};
use daybook_core::UserId;
use daybook_server::app::App;
use daybook_server::auth::{Scope, Subject, issue};
use daybook_server::config::Config;
use daybook_store::Error;
use reqwest::{Certificate, Client, Method, Url};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::output::usage;
use crate::settings::{open_store, require_existing};

/// How long a token is good for that one run needs.
const TOKEN_TIME: Duration = Duration::from_secs(3_600);
/// How long one call may take.
const CALL_TIME: Duration = Duration::from_secs(60);

pub enum Ring {
    Store(Box<App>),
    Server(Server),
}

pub struct Server {
    client: Client,
    base: Url,
    token: Option<String>,
}

impl Ring {
    /// Reaches the ring: by a server that was named or uses the store, else in the store.
    pub async fn reach(config: &Config, server: Option<&str>) -> anyhow::Result<Self> {
        if let Some(url) = server {
            let base = Url::parse(url).map_err(|error| usage(format!("--server: {error}")))?;
            return Server::at(config, base).map(Self::Server);
        }
        require_existing(config)?;
        // Only the embedded store says itself that a server holds it.
        if !config.store.starts_with("sqlite:") && TcpStream::connect(here(config)).await.is_ok() {
            return Server::at(config, url(config)?).map(Self::Server);
        }
        match open_store(config).await {
            Ok(store) => Ok(Self::Store(Box::new(App::new(store, config.app_settings()?)?))),
            Err(error) => match error.downcast_ref() {
                Some(Error::Locked { .. }) => Server::at(config, url(config)?).map(Self::Server),
                _ => Err(error),
            },
        }
    }

    pub async fn status(&self) -> anyhow::Result<Value> {
        let app = match self {
            Self::Server(server) => return server.call(Method::GET, "keyring").await,
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
            Self::Server(server) => server.call(Method::POST, "keyring/rotate").await.map(drop),
        }
    }

    /// Wraps some keys; answers how many are left.
    pub async fn rewrap(&self, limit: u32) -> anyhow::Result<u64> {
        match self {
            Self::Store(app) => Ok(app.rewrap_keys(limit).await?),
            Self::Server(server) => {
                let path = format!("keyring/rewrap?limit={limit}");
                let answer = server.call(Method::POST, &path).await?;
                answer["left"].as_u64().context("the server does not say how many keys are left")
            }
        }
    }

    /// Destroys the keys of a user; answers how many that were.
    pub async fn shred(&self, user: &str) -> anyhow::Result<u64> {
        match self {
            Self::Store(app) => Ok(app.shred_user(UserId::parse(user).map_err(usage)?).await?),
            Self::Server(server) => {
                let mut url = server.base.clone();
                // Percent-encodes what a name may hold.
                let mut path = url.path_segments_mut().ok().context("the URL has no path")?;
                path.extend(["api", "v1", "users", user, "shred"]);
                drop(path);
                let answer = server.send(Method::POST, url).await?;
                answer["keys"].as_u64().context("the server does not say what it destroyed")
            }
        }
    }

    pub async fn close(&self) {
        if let Self::Store(app) = self {
            app.store().close().await;
        }
    }
}

impl Server {
    fn at(config: &Config, base: Url) -> anyhow::Result<Self> {
        let mut builder = Client::builder().timeout(CALL_TIME).no_proxy();
        if let Some(files) = config.tls_files() {
            // A certificate that no authority signed is known from the configuration.
            for certificate in Certificate::from_pem_bundle(&std::fs::read(files.certificate)?)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let subject = Subject::Service(vec![Scope::Admin]);
        let token = config.secret.reveal().map(|secret| issue(secret, &subject, TOKEN_TIME));
        Ok(Self { client: builder.build()?, base, token: token.transpose()? })
    }

    async fn call(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        self.send(method, self.base.join(&format!("/api/v1/{path}"))?).await
    }

    async fn send(&self, method: Method, url: Url) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let base = &self.base;
        let away = || format!("a server uses the store, but cannot be asked at {base} (--server)");
        let answer = request.send().await.with_context(away)?;
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        match body["detail"].as_str() {
            Some(detail) => bail!("the server refused: {detail}"),
            None => bail!("the server refused with {status}"),
        }
    }
}

/// Where a server with this configuration is reached on this machine.
fn here(config: &Config) -> String {
    let listen = &config.listen;
    listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
}

fn url(config: &Config) -> anyhow::Result<Url> {
    let scheme = if config.tls_files().is_some() { "https" } else { "http" };
    Ok(Url::parse(&format!("{scheme}://{}", here(config)))?)
}
