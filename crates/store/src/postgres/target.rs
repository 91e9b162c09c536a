//! Where the database is: a URL, and what it leaves open.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::Conn;
use super::failure::{away, describe};
use super::tls;
use crate::{Error, Options, Result};

/// Connections for questions, where the URL does not say how many.
const POOL_MAX: usize = 16;
/// How long a connection may take to come about.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// How long a silent connection is trusted before it is probed.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// How much longer than the server itself Daybook waits for an answer.
pub const GRACE: Duration = Duration::from_secs(5);

/// How statements reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statements {
    /// Prepared once for each connection.
    Named,
    /// Sent whole each time, which works behind a pooler that gives out connections for one
    /// transaction.
    Unnamed,
}

/// Where the database is and how it is spoken to.
#[derive(Clone)]
pub struct Target {
    pub config: Config,
    pub tls: MakeRustlsConnect,
    pub statements: Statements,
    pub pool_max: usize,
    pub limit: Duration,
    /// The URL without what is nobody's business.
    pub name: String,
}

impl Target {
    /// Reads a `postgres://` URL. Its query may say `statements=named|unnamed`, `pool=N`,
    /// `sslmode=`, `sslrootcert=FILE` and what else libpq knows.
    ///
    /// # Errors
    /// When the URL or the file of certificates cannot be read.
    pub fn parse(url: &str, options: &Options) -> Result<Self> {
        let name = public_name(url);
        let bad = |reason: String| Error::CannotOpen { path: name.clone().into(), reason };
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut statements = Statements::Named;
        let mut pool_max = POOL_MAX;
        let mut trust = tls::Trust::default();
        let mut rest = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let Some((key, value)) = form_urlencoded::parse(part.as_bytes()).next() else {
                continue;
            };
            match (&*key, &*value) {
                ("statements", "named") => statements = Statements::Named,
                ("statements", "unnamed") => statements = Statements::Unnamed,
                ("statements", _) => return Err(bad("`statements` is named or unnamed".into())),
                ("pool", text) => match text.parse() {
                    Ok(number @ 1..=1_000) => pool_max = number,
                    _ => return Err(bad("`pool` is a number from 1 to 1000".into())),
                },
                ("sslrootcert", file) => trust.file = Some(file.into()),
                ("sslmode", "verify-full" | "verify-ca") => {
                    trust.checked = true;
                    rest.push("sslmode=require");
                }
                _ => rest.push(part),
            }
        }
        let plain = format!("{place}?{}", rest.join("&"));
        let mut config = Config::from_str(&plain).map_err(|error| bad(describe(&error)))?;
        settle(&mut config);
        let limit = options.query_time;
        if statements == Statements::Named {
            let own = config.get_options().unwrap_or_default();
            let limit_ms = limit.as_millis();
            config.options(format!("{own} -c statement_timeout={limit_ms} -c jit=off"));
        }
        let tls = tls::connector(&trust).map_err(bad)?;
        Ok(Self { config, tls, statements, pool_max, limit, name })
    }

    /// Whether what is set on a connection stays set: a pooler may give each transaction another.
    pub fn keeps_settings(&self) -> bool {
        self.statements == Statements::Named
    }

    /// Connects outside of the pool.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(&self) -> Result<Conn> {
        let connecting = self.config.connect(self.tls.clone());
        let connected = tokio::time::timeout(CONNECT_MAX + GRACE, connecting).await;
        let (client, connection) = connected.map_err(|_| away("connecting took too long"))??;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer hears of it; this is the same error once more.
            drop(connection.await);
        });
        Ok(Conn::own(ClientWrapper::new(client, task), self))
    }

    /// Connects for a migration, whose runner wants the plain client.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect_plain(&self) -> Result<tokio_postgres::Client> {
        let mut config = self.config.clone();
        if self.statements == Statements::Named {
            // Bringing a schema up to date takes as long as it takes.
            config.options("-c statement_timeout=0");
        }
        let (client, connection) = config.connect(self.tls.clone()).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// Fills in what the URL leaves open, so that nothing waits for ever.
fn settle(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("daybook");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    }
    if config.get_keepalives_idle() > SILENT_MAX {
        config.keepalives_idle(SILENT_MAX);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(5));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
}

const HIDDEN: &str = "********";

/// The URL without user, password and query, for messages.
pub fn public_name(url: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    if query.contains('@') {
        return hidden(url);
    }
    let Some((scheme, rest)) = place.split_once("://") else { return place.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// The URL with its password hidden, which still tells all that was set.
pub fn masked(url: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    if query.contains('@') {
        return hidden(url);
    }
    let hide = |part: &str| match part.split_once('=') {
        Some((key, _)) if key.contains("password") => format!("{key}={HIDDEN}"),
        Some(_) | None => part.to_owned(),
    };
    let query: Vec<String> = query.split('&').filter(|part| !part.is_empty()).map(hide).collect();
    let place = match place.rsplit_once('@') {
        Some((before, host)) => {
            let (scheme, who) = before.split_once("://").unwrap_or(("", before));
            match who.split_once(':') {
                Some((user, _)) => format!("{scheme}://{user}:{HIDDEN}@{host}"),
                None => place.to_owned(),
            }
        }
        None => place.to_owned(),
    };
    if query.is_empty() { place } else { format!("{place}?{}", query.join("&")) }
}

/// What is shown of a URL with an `@` behind a `?`: both may belong to a password that should have
/// been percent-encoded.
fn hidden(url: &str) -> String {
    let (scheme, _) = url.split_once("://").unwrap_or(("", url));
    format!("{scheme}://{HIDDEN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_messages_tells_no_secret() {
        for (url, name) in [
            ("postgres://a:s3cret@host:5432/db?x=y", "postgres://host:5432/db"),
            ("postgresql://host/db", "postgresql://host/db"),
            ("postgres://a:p@ss@host/db", "postgres://host/db"),
            ("postgres://a:p?ss@host/db", "postgres://********"),
        ] {
            assert_eq!(public_name(url), name);
        }
    }

    #[test]
    fn a_password_is_hidden_and_the_rest_is_not() {
        for (url, shown) in [
            (
                "postgres://a:s3@cret@h/d?pool=3&password=x",
                "postgres://a:********@h/d?pool=3&password=********",
            ),
            ("postgres://a@h/d", "postgres://a@h/d"),
            ("postgres://a:p?ss@h/d", "postgres://********"),
            ("postgres://h/d?statements=unnamed", "postgres://h/d?statements=unnamed"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn the_url_says_how_statements_are_sent() {
        let options = Options::default();
        let of = |url: &str| Target::parse(url, &options);
        let plain = of("postgres://u@h/d").expect("a URL");
        assert_eq!((plain.statements, plain.pool_max), (Statements::Named, POOL_MAX));
        let given =
            of("postgres://u@h/d?statements=unnamed&pool=3&sslmode=disable").expect("a URL");
        assert_eq!((given.statements, given.pool_max), (Statements::Unnamed, 3));
        assert_eq!(given.config.get_options(), None);
        for wrong in ["statements=x", "pool=0", "pool=x", "sslmode=x", "colour=red"] {
            assert!(of(&format!("postgres://u@h/d?{wrong}")).is_err(), "{wrong}");
        }
    }
}
