//! The key set of an issuer (RFC 7517), fetched when it is needed and kept as long as nothing
//! better comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use parking_lot::RwLock;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::PublicKey;

/// How long an issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a token may wait for a key that a known set lacks: whoever makes up ids of keys has a place
/// among the requests in work for so long.
const PATIENCE_FOR_NEWS: Duration = Duration::from_secs(1);
/// The largest key set that is read, in bytes; those of large issuers have ten kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Keys of a set that are kept; each may have to be tried.
const KEYS_MAX: usize = 32;

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub struct KeySet {
    pub url: Url,
    /// How old it may become before it is fetched again.
    pub age_max: Duration,
    /// The pause between two attempts, so that tokens with made-up key ids cause no load.
    pub pause: Duration,
}

impl KeySet {
    /// A key set that is fetched as often as is good for most.
    #[must_use]
    pub fn at(url: Url) -> Self {
        Self { url, age_max: Duration::from_secs(600), pause: Duration::from_secs(10) }
    }
}

/// The keys of an issuer.
pub(super) struct Jwks {
    at: KeySet,
    client: Client,
    known: RwLock<Known>,
    /// Held by the one who fetches; the others wait for what it brings.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[PublicKey]>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// What a token needs of its issuer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The key set is old.
    News,
    /// The key is not known.
    Key,
}

/// Why there is no new key set; for the log.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    #[error("the issuer cannot be reached")]
    Away(#[from] reqwest::Error),
    #[error("the issuer answers {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is no key set")]
    Unreadable(#[from] serde_json::Error),
    #[error("none of the {0} keys can check tokens")]
    NoneUsable(usize),
}

impl Jwks {
    pub fn new(at: KeySet) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .build()?;
        let (known, fetching) = (RwLock::default(), Arc::default());
        Ok(Self { at, client, known, fetching })
    }

    /// The keys that are known. Without the one that is wanted they are fetched first; when they
    /// are only old, meanwhile. `None` when there have never been any, or the issuer takes too long to
    /// say whether there is the one that is wanted.
    pub async fn keys(self: &Arc<Self>, wanted: Option<&str>) -> Option<Arc<[PublicKey]>> {
        match self.need(wanted) {
            Need::Nothing => {}
            Need::News => {
                if let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned() {
                    let this = Arc::clone(self);
                    tokio::spawn(async move {
                        this.refresh().await;
                        drop(fetching);
                    });
                }
            }
            Need::Key if self.fetched().is_none() => self.bring(wanted).await,
            Need::Key => {
                let bringing = self.bring(wanted);
                // The token may be good; it is not refused for an issuer that is slow.
                tokio::time::timeout(PATIENCE_FOR_NEWS, bringing).await.ok()?;
            }
        }
        let known = self.known.read();
        known.fetched.is_some().then(|| Arc::clone(&known.keys))
    }

    /// Fetches the keys, or waits for whoever does.
    async fn bring(self: &Arc<Self>, wanted: Option<&str>) {
        let fetching = Arc::clone(&self.fetching).lock_owned().await;
        // Whoever waited finds what the one before has brought.
        if self.need(wanted) == Need::Key {
            let this = Arc::clone(self);
            // A task of its own, which goes on when the one who asked is gone.
            let fetched = tokio::spawn(async move {
                this.refresh().await;
                drop(fetching);
            });
            drop(fetched.await);
        }
    }

    /// When the keys that are known were fetched.
    pub fn fetched(&self) -> Option<Instant> {
        self.known.read().fetched
    }

    fn need(&self, wanted: Option<&str>) -> Need {
        let known = self.known.read();
        let lacks = |id: &str| !known.keys.iter().any(|key| key.id.as_deref() == Some(id));
        if known.tried.is_some_and(|tried| tried.elapsed() < self.at.pause) {
            return Need::Nothing;
        }
        match known.fetched {
            None => Need::Key,
            Some(_) if wanted.is_some_and(lacks) => Need::Key,
            Some(fetched) if fetched.elapsed() > self.at.age_max => Need::News,
            Some(_) => Need::Nothing,
        }
    }

    async fn refresh(&self) {
        let fetched = self.fetch().await;
        let mut known = self.known.write();
        known.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => (known.keys, known.fetched) = (keys.into(), known.tried),
            Err(error) => {
                let source = std::error::Error::source(&error);
                tracing::warn!(%error, source, "the issuer's keys stay as they are");
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<PublicKey>, Unfetched> {
        let mut answer = self.client.get(self.at.url.clone()).send().await?;
        if !answer.status().is_success() {
            return Err(Unfetched::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unfetched::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        read(&body)
    }
}

/// Reads a key set. Keys of kinds that are unknown here are passed over, each by itself.
fn read(body: &[u8]) -> Result<Vec<PublicKey>, Unfetched> {
    #[derive(Deserialize)]
    struct Set<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    let set: Set = serde_json::from_slice(body)?;
    let usable = |raw: &&RawValue| {
        let jwk: Jwk = serde_json::from_str(raw.get()).ok()?;
        PublicKey::from_jwk(&jwk)
    };
    let keys: Vec<PublicKey> = set.keys.iter().filter_map(usable).take(KEYS_MAX).collect();
    if keys.is_empty() { Err(Unfetched::NoneUsable(set.keys.len())) } else { Ok(keys) }
}
