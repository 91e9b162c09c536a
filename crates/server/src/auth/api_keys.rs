//! API keys of services: their secrets, and who presents one.
//!
//! A key is written `dbk_ID_SECRET`: sixteen hexadecimal digits that are no secret, then in base64url
//! 32 random bytes and a tag over both, by which a key that nobody made is known without a look at
//! the store. What is stored is HMAC-SHA256 of it all under a secret of the deployment, so that a
//! stolen database opens nothing and tells nothing.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_core::key::SecretHash;
use daybook_core::{ApiKey, KeyId, Timestamp};
use daybook_store::Store;
use lru::LruCache;
use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;

use super::{BadToken, Identity, Scope, Subject};

/// What every key begins with, so that one that leaked is found by its looks.
pub const PREFIX: &str = "dbk_";
/// How long another process's decision about a key may go unnoticed here.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Keys that are remembered; those that were not seen for longest are looked up again.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// What a secret is made of.
const RANDOM_BYTES: usize = 32;
const TAG_BYTES: usize = 8;
/// How exactly it is remembered when a key was last seen, in microseconds.
const SEEN_US: i64 = 60_000_000;

/// The longest that a secret opens after it was replaced: a week.
pub const GRACE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A key as it is shown, with its secret where it is new.
#[derive(Serialize)]
pub struct Shown<'a> {
    #[serde(flatten)]
    pub key: &'a ApiKey,
    /// What the key begins with.
    prefix: String,
    last_used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> Shown<'a> {
    #[must_use]
    pub fn of(key: &'a ApiKey, secret: Option<&'a str>) -> Self {
        Self { key, prefix: format!("{PREFIX}{}", key.id), last_used_at: key.used_at, secret }
    }
}

/// A new key: its id, what its owner is shown once, and what is stored.
pub struct Minted {
    pub id: KeyId,
    pub secret: String,
    pub hash: SecretHash,
}

/// Makes and checks the secrets of keys.
#[derive(Clone)]
pub struct Pepper(hmac::Key);

impl Pepper {
    /// Takes over the deployment's secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Makes a key with a new id.
    #[must_use]
    pub fn mint(&self) -> Minted {
        // A positive number, so that ids sort as they are written.
        let id = KeyId(i64::try_from(rand::rng().next_u64() >> 1).unwrap_or(i64::MAX));
        self.mint_again(id)
    }

    /// Makes another secret for a key.
    #[must_use]
    pub fn mint_again(&self, id: KeyId) -> Minted {
        let mut random = [0_u8; RANDOM_BYTES];
        rand::rng().fill_bytes(&mut random);
        let tag = self.tag(id, &random);
        let bytes = [random.as_slice(), tag.get(..TAG_BYTES).unwrap_or(&tag)].concat();
        let secret = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(&bytes));
        Minted { id, hash: self.sign(b"key", id, &bytes), secret }
    }

    fn tag(&self, id: KeyId, random: &[u8]) -> SecretHash {
        self.sign(b"tag", id, random)
    }

    /// A hash for one purpose, of one key, so that a secret is worth nothing beside another id.
    fn sign(&self, purpose: &[u8; 3], id: KeyId, text: &[u8]) -> SecretHash {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [purpose, id.0.to_be_bytes().as_slice(), text] {
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// Reads a credential; `None` when it is none that was ever made with this pepper.
    fn read(&self, credential: &str) -> Option<(KeyId, Vec<u8>)> {
        let (id, secret) = credential.strip_prefix(PREFIX)?.split_once('_')?;
        let (id, secret) = (KeyId::parse(id)?, URL_SAFE_NO_PAD.decode(secret).ok()?);
        let (random, tag) = secret.split_at_checked(RANDOM_BYTES)?;
        let made = self.tag(id, random);
        constant_time::verify_slices_are_equal(made.get(..TAG_BYTES)?, tag).ok()?;
        Some((id, secret))
    }

    /// Whether a secret opens a key.
    fn opens(&self, key: &ApiKey, secret: &[u8], at: Timestamp) -> bool {
        let hash = self.sign(b"key", key.id, secret);
        let is = |kept: &SecretHash| constant_time::verify_slices_are_equal(kept, &hash).is_ok();
        is(&key.hash) || key.previous.is_some_and(|(kept, until)| at < until && is(&kept))
    }
}

/// Whether a credential is meant to be an API key.
#[must_use]
pub fn is_key(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// The keys that were looked up, and when those that were presented were last seen.
pub struct ApiKeys {
    /// Nobody can be checked without it.
    pepper: Option<Pepper>,
    known: Mutex<LruCache<KeyId, (Instant, Option<ApiKey>)>>,
    /// Rises whenever a key is to be looked up anew, so that nobody keeps what was read before.
    changes: AtomicU64,
    seen: Mutex<HashMap<KeyId, Timestamp>>,
}

impl ApiKeys {
    #[must_use]
    pub fn new(pepper: Option<Pepper>) -> Self {
        let known = Mutex::new(LruCache::new(REMEMBERED_MAX));
        Self { pepper, known, changes: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// What makes secrets; none where the deployment has no secret for them.
    #[must_use]
    pub fn pepper(&self) -> Option<&Pepper> {
        self.pepper.as_ref()
    }

    /// Checks a key and says what it opens.
    ///
    /// # Errors
    /// Says why it opens nothing; a store that does not answer is the outer error.
    pub async fn check(
        &self,
        store: &dyn Store,
        credential: &str,
        at: Timestamp,
    ) -> daybook_store::Result<Result<Identity, BadToken>> {
        let Some(pepper) = &self.pepper else { return Ok(Err(BadToken::Invalid)) };
        let Some((id, secret)) = pepper.read(credential) else {
            return Ok(Err(BadToken::Invalid));
        };
        let Some(key) = self.look_up(store, id).await? else { return Ok(Err(BadToken::Invalid)) };
        if !pepper.opens(&key, &secret, at) || key.revoked_at.is_some() {
            return Ok(Err(BadToken::Invalid));
        }
        if key.is_over(at) {
            return Ok(Err(BadToken::Expired));
        }
        if key.used_at.is_none_or(|used| at.micros() - used.micros() >= SEEN_US) {
            self.seen.lock().insert(id, at);
        }
        let scopes: Vec<Scope> = key.scopes.iter().filter_map(|s| Scope::from_name(s)).collect();
        Ok(Ok(Identity {
            subject: Subject::Service(scopes.clone()),
            scopes,
            key: Some(std::sync::Arc::new(key)),
        }))
    }

    async fn look_up(&self, store: &dyn Store, id: KeyId) -> daybook_store::Result<Option<ApiKey>> {
        let now = Instant::now();
        if let Some((at, key)) = self.known.lock().get(&id)
            && now.duration_since(*at) < REMEMBERED
        {
            return Ok(key.clone());
        }
        let changes = self.changes.load(Ordering::Acquire);
        let key = store.api_key(id).await?;
        let mut known = self.known.lock();
        if self.changes.load(Ordering::Acquire) == changes {
            known.put(id, (now, key.clone()));
        }
        Ok(key)
    }

    /// Looks a key up anew when it is presented next.
    pub fn forget(&self, id: KeyId) {
        let mut known = self.known.lock();
        self.changes.fetch_add(1, Ordering::AcqRel);
        known.pop(&id);
    }

    /// When keys were seen since the last time, to be stored.
    pub fn take_seen(&self) -> Vec<(KeyId, Timestamp)> {
        std::mem::take(&mut *self.seen.lock()).into_iter().collect()
    }

    /// Takes back what could not be stored; a later time stays.
    pub fn put_seen(&self, seen: Vec<(KeyId, Timestamp)>) {
        let mut later = self.seen.lock();
        for (id, at) in seen {
            later.entry(id).or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_core::EventSeq;

    use super::*;

    fn key(minted: &Minted) -> ApiKey {
        ApiKey {
            id: minted.id,
            name: "billing".to_owned(),
            scopes: vec!["feed:read".to_owned()],
            users: Vec::new(),
            accounts: Vec::new(),
            expires_at: None,
            version: 1,
            created_at: Timestamp::from_micros(0),
            rotated_at: None,
            revoked_at: None,
            hash: minted.hash,
            previous: None,
            seq: EventSeq(1),
            used_at: None,
        }
    }

    #[test]
    fn a_secret_opens_its_own_key_under_its_own_pepper() {
        let pepper = Pepper::new(b"one");
        let (ours, theirs) = (pepper.mint(), pepper.mint());
        assert_ne!(ours.id, theirs.id);
        let secret = |minted: &Minted| pepper.read(&minted.secret).expect("a key").1;
        let at = Timestamp::from_micros(10);
        assert_eq!(pepper.read(&ours.secret).map(|(id, _)| id), Some(ours.id));
        assert!(Pepper::new(b"two").read(&ours.secret).is_none());
        // A secret is of its id, also for whoever can copy hashes from row to row.
        let text = ours.secret.splitn(3, '_').last().expect("a key");
        assert!(pepper.read(&format!("{PREFIX}{}_{text}", theirs.id)).is_none());
        assert!(!pepper.opens(&ApiKey { hash: ours.hash, ..key(&theirs) }, &secret(&ours), at));
        assert!(pepper.opens(&key(&ours), &secret(&ours), at));
        assert!(!pepper.opens(&key(&ours), &secret(&theirs), at));
        assert!(!Pepper::new(b"two").opens(&key(&ours), &secret(&ours), at));
        // The secret before opens until its time is over.
        let until = Timestamp::from_micros(20);
        let next = pepper.mint_again(ours.id);
        let renewed = ApiKey { previous: Some((ours.hash, until)), ..key(&next) };
        assert!(pepper.opens(&renewed, &secret(&next), at));
        assert!(pepper.opens(&renewed, &secret(&ours), at));
        assert!(!pepper.opens(&renewed, &secret(&ours), until));
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let pepper = Pepper::new(b"one");
        for text in ["", "dbk_", "dbk_12_x", "dbk_zzzzzzzzzzzzzzzz_x", "dbk_0123456789abcdef"] {
            assert_eq!(pepper.read(text), None, "{text}");
        }
        let invented = format!("dbk_0123456789abcdef_{}", URL_SAFE_NO_PAD.encode([7; 40]));
        assert_eq!(pepper.read(&invented), None, "one that nobody made");
        assert!(is_key("dbk_0") && !is_key("eyJhbGciOi"));
    }
}
