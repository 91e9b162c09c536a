//! What a deployment can set. Every key stands with its explanation in `config.default.toml`;
//! a file, the environment and flags override it, in this order, and an unknown key is an error.

mod auth;
mod encryption;
mod layers;
mod rate;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use daybook_core::Currency;
use daybook_core::transaction::Vocabulary;
use daybook_core::transfer::Retry;
use serde::{Deserialize, Deserializer};

use crate::auth::Algorithm;
use crate::http::{Names, Origins};
use crate::keyring::KeyError;
use crate::{app, telemetry, tls};

pub use auth::Auth;
pub use encryption::Encryption;
pub use layers::{Effective, Flag, Origin, Sources};
pub use rate::Rate;

/// The documented defaults.
pub const DEFAULT_TOML: &str = include_str!("config.default.toml");
/// The shortest secret that may guard a public address, in bytes: the width of HS256's hash
/// (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// The effective configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: String,
    pub store: String,
    /// Empty is none.
    pub replica: String,
    pub bus: String,
    pub cache: String,
    pub search: String,
    pub command_socket: bool,
    pub secret: Secret,
    pub tls: Tls,
    pub cors: Cors,
    pub limits: Limits,
    pub rate: Rate,
    pub auth: Auth,
    pub feed: Feed,
    pub ledger: Ledger,
    pub encryption: Encryption,
    pub log: Log,
}

/// A URL of a store may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = daybook_store::masked(&self.store);
        f.debug_struct("Config").field("store", &store).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Empty is none.
    pub certificate: PathBuf,
    /// Empty is none.
    pub key: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    pub origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub batch_body_bytes: usize,
    pub request_timeout_s: u64,
    pub read_timeout_s: u64,
    pub concurrency: usize,
    pub batches: usize,
    pub connections: usize,
    pub connections_each: usize,
    /// 0 is not at all.
    pub start_wait_s: u64,
    pub drain_s: u64,
    pub queue: usize,
    pub commit_actions: usize,
    pub query_time_s: u64,
    pub readers: usize,
    pub replies_kept_days: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    pub products: Vec<String>,
    /// Additional currency codes with their fraction digits.
    pub currencies: BTreeMap<String, u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    pub attempts_max: u32,
    pub retry_base_ms: u32,
    pub retry_cap_s: u32,
    pub poll_ms: u64,
    /// 0 is never.
    pub verify_interval_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: String,
    #[serde(deserialize_with = "log_format")]
    pub format: telemetry::Format,
}

fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<telemetry::Format, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "text" => Ok(telemetry::Format::Text),
        "json" => Ok(telemetry::Format::Json),
        _ => Err(serde::de::Error::custom("`log.format` is text or json")),
    }
}

/// A secret; it never shows itself.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret's bytes, when there is one.
    #[must_use]
    pub fn reveal(&self) -> Option<&[u8]> {
        (!self.0.is_empty()).then_some(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "********" })
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no key `{key}` ({origin}); {}", hint(nearest.as_deref()))]
    Unknown { key: String, origin: Origin, nearest: Option<String> },
    #[error("`{key}` must be {expected} ({origin})")]
    Wrong { key: String, origin: Origin, expected: String },
    #[error("the configuration file '{}' cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the configuration file '{}' is not valid TOML: line {line}: {reason}", path.display())]
    Syntax { path: PathBuf, line: usize, reason: String },
    #[error("the public key '{}' (`auth.public_keys`) cannot be used: {reason}", path.display())]
    BadKey { path: PathBuf, reason: String },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the configuration does not fit together: {reason}")]
    Inconsistent { reason: String },
    #[error(
        "refusing to listen on {listen} without a secret, because anyone who can reach it could \
         read and write every user's transactions; set DAYBOOK_SECRET to at least \
         {SECRET_BYTES_MIN} random bytes (openssl rand -hex 32), listen on 127.0.0.1, or say \
         --insecure"
    )]
    NoSecret { listen: String },
    #[error(
        "refusing to listen on {listen} with a secret of {bytes} bytes, because it can be \
         guessed; use at least {SECRET_BYTES_MIN} random bytes (openssl rand -hex 32), or say \
         --insecure"
    )]
    ShortSecret { listen: String, bytes: usize },
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`daybook config` prints all keys".to_owned(),
    }
}

/// Whether the operator accepts that anyone who reaches the address may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    Guarded,
    Insecure,
}

impl Config {
    /// Whether others than this machine can reach the address.
    #[must_use]
    pub fn is_public(&self) -> bool {
        let Some((host, _)) = self.listen.rsplit_once(':') else {
            return true;
        };
        !is_this_machine(host)
    }

    /// Whether somebody else's tokens are accepted.
    fn trusts_issuers(&self) -> bool {
        !self.auth.public_keys.is_empty() || !self.auth.jwks_url.is_empty()
    }

    /// Checks that the secret is as good as the address needs; gives a warning to show when it is
    /// poor but not dangerous.
    ///
    /// # Errors
    /// When a public address has no secret or a short one, and `exposure` does not accept that.
    pub fn guard(&self, exposure: Exposure) -> Result<Option<String>, Error> {
        let listen = self.listen.clone();
        let refuse = self.is_public() && exposure == Exposure::Guarded;
        match self.secret.reveal().map(<[u8]>::len) {
            None if self.trusts_issuers() => Ok(self.poorly_trusted()),
            None if refuse => Err(Error::NoSecret { listen }),
            None if self.is_public() => Ok(Some(format!(
                "{listen} is open without a secret: anyone who can reach it may read and write \
                 every user's transactions"
            ))),
            Some(bytes) if bytes < SECRET_BYTES_MIN && refuse => {
                Err(Error::ShortSecret { listen, bytes })
            }
            Some(bytes) if bytes < SECRET_BYTES_MIN => Ok(Some(format!(
                "the secret has {bytes} bytes; a good one has at least {SECRET_BYTES_MIN} \
                 (openssl rand -hex 32)"
            ))),
            None => Ok(Some(format!(
                "development mode: there is no secret, so whatever on this machine reaches {listen} \
                 may read and write every user's transactions (docs/production.md)"
            ))),
            Some(_) => Ok(self.poorly_trusted()),
        }
    }

    /// Says when tokens count that an issuer made for another service.
    fn poorly_trusted(&self) -> Option<String> {
        let auth = &self.auth;
        let lacks = match (auth.issuer.is_empty(), auth.audience.is_empty()) {
            (false, false) => return None,
            (true, true) => "`auth.issuer` and `auth.audience` are",
            (true, false) => "`auth.issuer` is",
            (false, true) => "`auth.audience` is",
        };
        self.trusts_issuers().then(|| {
            format!("{lacks} not set, so tokens that were made for other services count here too")
        })
    }

    /// What items may say: the configured products and currencies.
    #[must_use]
    pub fn vocabulary(&self) -> Vocabulary {
        let mut vocabulary =
            Vocabulary { products: self.feed.products.clone(), ..Vocabulary::default() };
        for (code, digits) in &self.feed.currencies {
            if let Some(currency) = Currency::new(code, *digits) {
                vocabulary.currencies.add(currency);
            }
        }
        vocabulary
    }

    /// How the store is opened.
    ///
    /// # Errors
    /// When the master keys cannot be read.
    pub fn store_options(&self) -> Result<daybook_store::Options, Error> {
        let limits = &self.limits;
        Ok(daybook_store::Options {
            queue: limits.queue,
            commit_actions: limits.commit_actions,
            readers: limits.readers,
            query_time: Duration::from_secs(limits.query_time_s),
            replies_kept: Duration::from_secs(limits.replies_kept_days.saturating_mul(86_400)),
            replica: None,
            sealing: self.sealing()?,
            without_keys: false,
        })
    }

    /// How the store is opened by who answers reads from a replica too.
    ///
    /// # Errors
    /// As [`Config::store_options`].
    pub fn store_options_with_replica(&self) -> Result<daybook_store::Options, Error> {
        let replica = (!self.replica.is_empty()).then(|| self.replica.clone());
        Ok(daybook_store::Options { replica, ..self.store_options()? })
    }

    /// How the application behaves.
    ///
    /// # Errors
    /// As [`Config::trust`].
    pub fn app_settings(&self) -> Result<app::Settings, Error> {
        let limits = &self.limits;
        let trust = self.trust()?;
        let is_open = trust.is_empty();
        let auth = if is_open { app::Auth::Development } else { app::Auth::Trust(Box::new(trust)) };
        Ok(app::Settings {
            vocabulary: self.vocabulary(),
            auth,
            token_ttl: Duration::from_secs(self.auth.token_ttl_s),
            body_max: limits.body_bytes,
            batch_body_max: limits.batch_body_bytes,
            request_timeout: Duration::from_secs(limits.request_timeout_s),
            read_timeout: Duration::from_secs(limits.read_timeout_s),
            concurrency_max: limits.concurrency,
            batches_max: limits.batches,
            connections_max: limits.connections,
            connections_each_max: limits.connections_each,
            drain: Duration::from_secs(limits.drain_s),
            proxies: Some(self.rate.proxies()),
            rate: self.rate.settings(is_open && !self.is_public()),
            ledger: self.ledger_settings(),
            origins: self.origins(),
            checkpoints: self.checkpoint_signer()?,
            keys: self.key_pepper()?,
            masters: self.key_source(),
            names: if self.is_public() { Names::Any } else { Names::ThisMachine },
        })
    }

    /// The files that TLS needs, when it is wanted.
    #[must_use]
    pub fn tls_files(&self) -> Option<tls::Files> {
        let Tls { certificate, key } = self.tls.clone();
        let given = !certificate.as_os_str().is_empty() && !key.as_os_str().is_empty();
        given.then_some(tls::Files { certificate, key })
    }

    fn origins(&self) -> Origins {
        let listed = &self.cors.origins;
        if listed.iter().any(|origin| origin == "*") {
            return Origins::Any;
        }
        Origins::Listed(listed.iter().filter_map(|origin| origin.parse().ok()).collect())
    }

    fn ledger_settings(&self) -> app::Ledger {
        let ledger = &self.ledger;
        let every = Duration::from_secs(ledger.verify_interval_s);
        app::Ledger {
            retry: Retry {
                attempts_max: ledger.attempts_max,
                base_us: i64::from(ledger.retry_base_ms) * 1_000,
                cap_us: i64::from(ledger.retry_cap_s) * 1_000_000,
                chance: 0,
            },
            poll: Duration::from_millis(ledger.poll_ms),
            verify_every: (!every.is_zero()).then_some(every),
        }
    }

    /// The rules that types cannot say: each with its key and what it expects.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let only = |key, value: &str, default: &str| {
            let expected = format!(
                "{default}, the only one that this version knows; others need a connector that \
                 it does not have"
            );
            if value == default { Ok(()) } else { Err((key, expected)) }
        };
        only("bus", &self.bus, "memory:")?;
        only("cache", &self.cache, "memory:")?;
        only("search", &self.search, "store:")?;
        if !is_address(&self.listen) {
            return Err(("listen", "an address as HOST:PORT, such as 127.0.0.1:8000".to_owned()));
        }
        let servers = ["postgres://", "postgresql://"];
        let names = |url: &str, scheme| url.strip_prefix(scheme).is_some_and(|at| !at.is_empty());
        let is_server = |url: &str| servers.into_iter().any(|scheme| names(url, scheme));
        if !names(&self.store, "sqlite:") && !is_server(&self.store) {
            let expected = "a store as sqlite:FILE or postgres://HOST/DATABASE";
            return Err(("store", expected.to_owned()));
        }
        let may_have_replica = is_server(&self.store) && is_server(&self.replica);
        if !self.replica.is_empty() && !may_have_replica {
            let expected = "postgres://HOST/DATABASE, a replica of a store that is PostgreSQL";
            return Err(("replica", expected.to_owned()));
        }
        self.check_transport()?;
        self.rate.check()?;
        self.encryption.check()?;
        if !self.auth.jwks_url.is_empty() && self.key_set().is_none() {
            let expected = "an https:// URL (http:// only on this machine)";
            return Err(("auth.jwks_url", expected.to_owned()));
        }
        if self.auth.algorithms.iter().any(|name| Algorithm::from_name(name).is_none()) {
            let known: Vec<&str> = Algorithm::ALL.iter().map(|known| known.name()).collect();
            return Err(("auth.algorithms", format!("a list of {}", known.join(", "))));
        }
        for (key, names) in [
            ("auth.user_claims", &self.auth.user_claims),
            ("auth.scope_claims", &self.auth.scope_claims),
        ] {
            if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
                return Err((key, "a list of names of claims, none of them empty".to_owned()));
            }
        }
        if self.feed.products.iter().any(|name| name.trim().is_empty()) {
            return Err(("feed.products", "a list of names, none of them empty".to_owned()));
        }
        let bad = |(code, digits): (&String, &u8)| Currency::new(code, *digits).is_none();
        if self.feed.currencies.iter().any(bad) {
            let expected = "codes of 2 to 12 capital letters and digits, with 0 to 18 fraction \
                            digits, such as { XYZ = 8 }";
            return Err(("feed.currencies", expected.to_owned()));
        }
        Ok(())
    }

    fn check_transport(&self) -> Result<(), (&'static str, String)> {
        let is_empty = |path: &PathBuf| path.as_os_str().is_empty();
        match (is_empty(&self.tls.certificate), is_empty(&self.tls.key)) {
            (false, true) => {
                return Err(("tls.key", "a file, because `tls.certificate` is one".to_owned()));
            }
            (true, false) => {
                return Err(("tls.certificate", "a file, because `tls.key` is one".to_owned()));
            }
            (true, true) | (false, false) => {}
        }
        let origins = self.cors.origins.iter().map(String::as_str).collect::<Vec<_>>();
        if origins == ["*"] || origins.into_iter().all(is_origin) {
            return Ok(());
        }
        let expected = "a list of origins as browsers write them, such as \
                        \"https://app.example.org\" (small letters, no path, no usual port), or \
                        \"*\" alone";
        Err(("cors.origins", expected.to_owned()))
    }
}

/// Whether a host, an address in brackets or not, is reached from this machine only.
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn is_address(text: &str) -> bool {
    let named = |(host, port): (&str, &str)| {
        let host_chars = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        !host.is_empty() && host.bytes().all(host_chars) && port.parse::<u16>().is_ok()
    };
    text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(named)
}

/// Whether the text is an origin as browsers send it (RFC 6454, 6.2).
fn is_origin(text: &str) -> bool {
    let named = |host: &str, usual_port: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]_".contains(&b);
        !host.is_empty() && host.bytes().all(known) && !host.ends_with(usual_port)
    };
    text.strip_prefix("https://").is_some_and(|host| named(host, ":443"))
        || text.strip_prefix("http://").is_some_and(|host| named(host, ":80"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(pairs: &[(&str, &str)]) -> Result<Effective, Error> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = pairs.iter().map(own).collect();
        Effective::load(Sources { environment, ..Sources::default() })
    }

    fn said(pairs: &[(&str, &str)]) -> String {
        with(pairs).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    }

    #[test]
    fn the_documented_defaults_are_the_defaults_of_the_code() {
        let config = with(&[]).expect("the defaults").config;
        let (ours, theirs) =
            (config.store_options().expect("no keys"), daybook_store::Options::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert_eq!(config.vocabulary().products, Vocabulary::default().products);
        let (ours, theirs) = (config.app_settings().expect("settings"), app::Settings::default());
        let (trust, default) = (config.trust().expect("no keys"), crate::auth::Trust::default());
        assert_eq!((&trust.algorithms, trust.leeway), (&default.algorithms, default.leeway));
        assert_eq!(
            (trust.user_claims, trust.scope_claims),
            (default.user_claims, default.scope_claims)
        );
        assert_eq!(ours.token_ttl, theirs.token_ttl);
        assert_eq!(
            (ours.body_max, ours.batch_body_max, ours.concurrency_max, ours.connections_max),
            (
                theirs.body_max,
                theirs.batch_body_max,
                theirs.concurrency_max,
                theirs.connections_max
            )
        );
        assert_eq!(
            (ours.connections_each_max, ours.batches_max),
            (theirs.connections_each_max, theirs.batches_max)
        );
        assert_eq!(
            (ours.request_timeout, ours.read_timeout, ours.drain),
            (theirs.request_timeout, theirs.read_timeout, theirs.drain)
        );
        assert_eq!(ours.ledger, theirs.ledger);
        assert!(ours.rate.is_none() && theirs.rate.is_none());
    }

    #[test]
    fn requests_are_limited_as_soon_as_others_can_send_some() {
        let is_limited = |pairs: &[(&str, &str)]| {
            with(pairs).expect("valid").config.app_settings().expect("settings").rate.is_some()
        };
        let secret = ("DAYBOOK_SECRET", "0123456789abcdef0123456789abcdef");
        assert!(!is_limited(&[]));
        assert!(is_limited(&[secret]));
        assert!(is_limited(&[("DAYBOOK_LISTEN", "0.0.0.0:8000")]));
        assert!(is_limited(&[("DAYBOOK_RATE_LIMIT", "on")]));
        assert!(!is_limited(&[("DAYBOOK_RATE_LIMIT", "off"), secret]));
    }

    #[test]
    fn the_limits_of_rates_are_read() {
        let set = with(&[
            ("DAYBOOK_RATE_LIMIT", "on"),
            ("DAYBOOK_RATE_USER_WRITES", "7"),
            ("DAYBOOK_RATE_ADDRESS_READS", "0"),
            ("DAYBOOK_RATE_PROXIES", "10.0.0.0/8, ::1"),
            ("DAYBOOK_RATE_PROXY_HEADER", "Forwarded"),
        ]);
        let settings = set.expect("valid").config.app_settings().expect("settings");
        let rate = settings.rate.expect("limits");
        assert_eq!((rate.user.writes, rate.address.reads), (7, 0));
        assert_eq!(rate.proxies.trusted.len(), 2);
        assert_eq!(rate.proxies.header, crate::http::address::ProxyHeader::Forwarded);
        for (name, value, expected) in [
            ("DAYBOOK_RATE_LIMIT", "yes", "`rate.limit` must be auto, on or off"),
            ("DAYBOOK_RATE_WINDOW_S", "0", "`rate.window_s` must be a whole number from 1 on"),
            ("DAYBOOK_RATE_WINDOW_S", "86401", "`rate.window_s` must be at most 86400"),
            (
                "DAYBOOK_RATE_USER_READS",
                "1000000001",
                "`rate.user_reads` must be at most 1000000000",
            ),
            ("DAYBOOK_RATE_BUDGETS", "100000001", "`rate.budgets` must be at most 100000000"),
            ("DAYBOOK_RATE_PROXIES", "10.0.0.1/8", "`rate.proxies` must be a list of addresses"),
            ("DAYBOOK_RATE_PROXY_HEADER", "x-real-ip", "`rate.proxy_header` must be x-forwarded"),
        ] {
            assert!(said(&[(name, value)]).starts_with(expected), "{}", said(&[(name, value)]));
        }
    }

    #[test]
    fn an_interval_of_zero_turns_the_looks_at_the_ledger_off() {
        let off = with(&[("DAYBOOK_LEDGER_VERIFY_INTERVAL_S", "0")]).expect("valid").config;
        let off = off.app_settings().expect("settings");
        assert_eq!(off.ledger.verify_every, None);
        assert_eq!(
            said(&[("DAYBOOK_LEDGER_POLL_MS", "0")]),
            "`ledger.poll_ms` must be a whole number from 1 on \
             (DAYBOOK_LEDGER_POLL_MS in the environment)"
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        assert_eq!(
            said(&[("DAYBOOK_LISTN", "x")]),
            "there is no key `DAYBOOK_LISTN` (from the environment); did you mean `DAYBOOK_LISTEN`?"
        );
        assert_eq!(
            said(&[("DAYBOOK_BODY_BYTES", "1")]),
            "there is no key `DAYBOOK_BODY_BYTES` (from the environment); \
             did you mean `DAYBOOK_LIMITS_BODY_BYTES`?"
        );
    }

    #[test]
    fn variables_that_kubernetes_adds_for_a_service_named_daybook_are_no_keys() {
        let added = [
            ("DAYBOOK_SERVICE_HOST", "10.0.0.1"),
            ("DAYBOOK_SERVICE_PORT_HTTP", "8000"),
            ("DAYBOOK_PORT", "tcp://10.0.0.1:8000"),
            ("DAYBOOK_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(said(&added), "accepted");
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_key() {
        for (name, value, expected) in [
            ("DAYBOOK_LIMITS_QUEUE", "many", "`limits.queue` must be a whole number from 1 on"),
            ("DAYBOOK_LIMITS_QUEUE", "0", "`limits.queue` must be a whole number from 1 on"),
            ("DAYBOOK_LISTEN", "8000", "`listen` must be an address as HOST:PORT"),
            ("DAYBOOK_LISTEN", "127.0.0.1:99999", "`listen` must be an address as HOST:PORT"),
            ("DAYBOOK_STORE", "daybook.db", "`store` must be a store as sqlite:FILE or"),
            ("DAYBOOK_REPLICA", "postgres://h/d", "`replica` must be postgres://HOST/DATABASE, a"),
            ("DAYBOOK_AUTH_JWKS_URL", "http://x/keys", "`auth.jwks_url` must be an https:// URL"),
            ("DAYBOOK_AUTH_JWKS_URL", "keys", "`auth.jwks_url` must be an https:// URL"),
            ("DAYBOOK_AUTH_ALGORITHMS", "RS256,none", "`auth.algorithms` must be a list of HS256"),
            ("DAYBOOK_AUTH_USER_CLAIMS", " ", "`auth.user_claims` must be a list of names"),
            ("DAYBOOK_BUS", "kafka://x", "`bus` must be memory:, the only one that this version"),
            ("DAYBOOK_CACHE", "redis://x", "`cache` must be memory:, the only one"),
            ("DAYBOOK_SEARCH", "http://x", "`search` must be store:, the only one"),
            ("DAYBOOK_LOG_FORMAT", "xml", "`log.format` must be"),
            ("DAYBOOK_CORS_ORIGINS", "app.example.org", "`cors.origins` must be a list of origins"),
            ("DAYBOOK_CORS_ORIGINS", "https://a.example/", "`cors.origins` must be a list of"),
            ("DAYBOOK_CORS_ORIGINS", "https://A.example", "`cors.origins` must be a list of"),
            ("DAYBOOK_CORS_ORIGINS", "https://a.example:443", "`cors.origins` must be a list of"),
            ("DAYBOOK_CORS_ORIGINS", "*,https://a.example", "`cors.origins` must be a list of"),
            ("DAYBOOK_CORS_ORIGINS", "null", "`cors.origins` must be a list of origins"),
            ("DAYBOOK_FEED_CURRENCIES", "XYZ=19", "`feed.currencies` must be codes of 2 to 12"),
            ("DAYBOOK_FEED_CURRENCIES", "XYZ=300", "`feed.currencies` must be codes of 2 to 12"),
            ("DAYBOOK_FEED_CURRENCIES", "XYZ", "`feed.currencies` must be"),
        ] {
            let said = said(&[(name, value)]);
            assert!(said.starts_with(expected), "{name}={value}: {said}");
            assert!(said.contains(&format!("({name} in the environment)")), "{said}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        assert_eq!(
            said(&[("DAYBOOK_TLS_KEY", "key.pem")]),
            "`tls.certificate` must be a file, because `tls.key` is one (default)"
        );
        assert_eq!(
            said(&[("DAYBOOK_TLS_CERTIFICATE", "chain.pem")]),
            "`tls.key` must be a file, because `tls.certificate` is one (default)"
        );
        let both = [("DAYBOOK_TLS_CERTIFICATE", "chain.pem"), ("DAYBOOK_TLS_KEY", "key.pem")];
        let files = with(&both).expect("valid").config.tls_files();
        let expected = tls::Files { certificate: "chain.pem".into(), key: "key.pem".into() };
        assert_eq!(files, Some(expected));
    }

    #[test]
    fn origins_are_exact_or_all() {
        let origins = |text| {
            let config = with(&[("DAYBOOK_CORS_ORIGINS", text)]).expect("valid").config;
            config.app_settings().expect("settings").origins
        };
        let listed = |list: &[&'static str]| {
            Origins::Listed(list.iter().map(|text| HeaderValue::from_static(text)).collect())
        };
        assert_eq!(origins(""), listed(&[]));
        let two = ["https://app.example.org", "http://localhost:3000"];
        assert_eq!(origins("https://app.example.org, http://localhost:3000"), listed(&two));
        assert_eq!(origins("*"), Origins::Any);
    }

    #[test]
    fn lists_and_additions_come_from_the_environment_too() {
        let pairs =
            [("DAYBOOK_FEED_PRODUCTS", "Card, Loans"), ("DAYBOOK_FEED_CURRENCIES", "XYZ=8")];
        let vocabulary = with(&pairs).expect("valid").config.vocabulary();
        assert_eq!(vocabulary.products, ["Card", "Loans"]);
        assert_eq!(vocabulary.currencies.get("XYZ").map(|c| c.digits()), Some(8));
        assert!(vocabulary.currencies.get("EUR").is_some());
    }

    #[test]
    fn a_public_address_needs_a_good_secret() {
        let long = "x".repeat(32);
        for (listen, secret, expected) in [
            ("127.0.0.1:8000", "", "warned"),
            ("localhost:8000", "", "warned"),
            ("[::1]:8000", "", "warned"),
            ("127.0.0.1:8000", "short", "warned"),
            ("0.0.0.0:8000", "", "refused"),
            ("[::]:8000", "", "refused"),
            ("example.org:80", "", "refused"),
            ("0.0.0.0:8000", "short", "refused"),
            ("0.0.0.0:8000", long.as_str(), "quiet"),
        ] {
            let pairs = [("DAYBOOK_LISTEN", listen), ("DAYBOOK_SECRET", secret)];
            let config = with(&pairs).expect("valid").config;
            let found = match config.guard(Exposure::Guarded) {
                Ok(None) => "quiet",
                Ok(Some(_)) => "warned",
                Err(_) => "refused",
            };
            assert_eq!(found, expected, "{listen} with '{secret}'");
            assert!(config.guard(Exposure::Insecure).is_ok());
        }
    }

    #[test]
    fn the_effective_configuration_masks_the_secret_and_can_be_read_again() {
        let effective = with(&[("DAYBOOK_SECRET", "hush"), ("DAYBOOK_LIMITS_QUEUE", "7")]);
        let text = effective.expect("valid").to_toml();
        assert!(!text.contains("hush"), "{text}");
        assert!(
            text.contains("secret = \"********\" # DAYBOOK_SECRET in the environment"),
            "{text}"
        );
        assert!(text.contains("queue = 7 # DAYBOOK_LIMITS_QUEUE in the environment"), "{text}");
        assert!(text.contains("store = \"sqlite:daybook.db\" # default"), "{text}");
        let table: toml::Table = text.parse().expect("TOML");
        Config::deserialize(table).expect("a configuration");
    }

    #[test]
    fn no_secret_is_shown_whichever_key_holds_it() {
        let master = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let effective = with(&[
            ("DAYBOOK_SECRET", "hush"),
            ("DAYBOOK_AUTH_KEY_SECRET", "hush-0123456789abcdef0123456789abcdef"),
            ("DAYBOOK_AUTH_JWKS_URL", "https://ann:hush@issuer.example/keys"),
            ("DAYBOOK_ENCRYPTION_KEY", master),
            ("DAYBOOK_STORE", "postgres://ann:hush@h/d?password=hush"),
            ("DAYBOOK_REPLICA", "postgres://ann:hush@h2/d"),
        ]);
        let effective = effective.expect("valid");
        let text = effective.to_toml();
        for line in [
            "\nsecret = \"********\" # DAYBOOK_SECRET",
            "\nkey_secret = \"********\" # DAYBOOK_AUTH_KEY_SECRET",
            "\njwks_url = \"https://ann:********@issuer.example/keys\" # ",
            "\nkey = \"********\" # DAYBOOK_ENCRYPTION_KEY",
            "\nstore = \"postgres://ann:********@h/d?password=********\" # DAYBOOK_STORE",
            "\nreplica = \"postgres://ann:********@h2/d\" # DAYBOOK_REPLICA",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let config = &effective.config;
        let options = config.store_options_with_replica().expect("a master key");
        let parts = (&config.secret, &config.auth.key_secret, &config.encryption);
        let source = config.key_source();
        let text = format!("{text} {effective:?} {config:?} {parts:?} {source:?} {options:?}");
        assert!(!text.contains("hush") && !text.contains(master), "{text}");
        // A master key that is none is not shown either.
        let refused = with(&[("DAYBOOK_ENCRYPTION_KEY", "hush")]).expect("valid").config.sealing();
        let refused = refused.expect_err("no master key");
        assert!(!format!("{refused} {refused:?}").contains("hush"), "{refused}");
    }
}
