//! Whether a token is good, and whom it speaks for.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_core::UserId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::jwks::{Jwks, KeySet};
use super::{Algorithm, BadToken, Identity, PublicKey, Scope, Subject};

/// The longest token that is looked at, in bytes; those of large issuers have two kilobytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Who may sign tokens, and what tokens must say.
#[derive(Clone)]
pub struct Trust {
    /// Shared with whoever signs with HS256.
    pub secret: Option<Vec<u8>>,
    /// Keys of issuers.
    pub keys: Vec<PublicKey>,
    /// Where an issuer publishes its key set.
    pub key_set: Option<KeySet>,
    /// What is accepted of all that there are keys for.
    pub algorithms: Vec<Algorithm>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be or contain.
    pub audience: Option<String>,
    /// How much the clocks of two machines may differ.
    pub leeway: Duration,
    /// The claims that may name the user; the first that is there counts.
    pub user_claims: Vec<String>,
    /// The claims that may hold scopes: a text with spaces between them, or a list.
    pub scope_claims: Vec<String>,
}

impl Default for Trust {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            secret: None,
            keys: Vec::new(),
            key_set: None,
            algorithms: Algorithm::ALL.to_vec(),
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(30),
            user_claims: names(&["sub", "user_id"]),
            scope_claims: names(&["scope", "scopes"]),
        }
    }
}

impl Trust {
    /// Trusts whoever has the secret.
    #[must_use]
    pub fn secret(secret: &[u8]) -> Self {
        Self { secret: Some(secret.to_vec()), ..Self::default() }
    }

    /// Whether anybody is trusted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secret.is_none() && self.keys.is_empty() && self.key_set.is_none()
    }
}

/// Tokens that are remembered, at up to some kilobytes each.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
/// The longest token that is remembered, in bytes.
const REMEMBERED_BYTES_MAX: usize = 4 * 1024;
/// How long a good token is not checked again, in seconds.
const REMEMBERED_S: i64 = 10;

/// What a good token said.
struct Remembered {
    identity: Identity,
    /// Until when it counts, in seconds since 1970.
    until: i64,
    /// Which key set it was checked by: an issuer may have withdrawn the key from the next one.
    keys: Option<Instant>,
}

/// Checks tokens.
pub struct Checker {
    secret: Option<DecodingKey>,
    keys: Vec<PublicKey>,
    key_set: Option<Arc<Jwks>>,
    /// What tokens must be like, for each algorithm that is accepted.
    rules: Vec<(Algorithm, Validation)>,
    user_claims: Vec<String>,
    scope_claims: Vec<String>,
    /// What good tokens said. Only the whole token finds it, by a hash that nobody outside can make.
    good: Mutex<LruCache<Box<str>, Remembered>>,
}

impl Checker {
    /// Takes over who is trusted.
    ///
    /// # Errors
    /// When this machine cannot speak HTTPS, as without any certificate of an authority.
    pub fn new(trust: &Trust) -> Result<Self, reqwest::Error> {
        let mut rules = Validation {
            leeway: trust.leeway.as_secs(),
            validate_nbf: true,
            validate_aud: trust.audience.is_some(),
            ..Validation::default()
        };
        let mut required = vec!["exp"];
        if let Some(audience) = &trust.audience {
            rules.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &trust.issuer {
            rules.set_issuer(&[issuer]);
            required.push("iss");
        }
        rules.set_required_spec_claims(&required);
        let of = |algorithm: &Algorithm| {
            (*algorithm, Validation { algorithms: vec![algorithm.theirs()], ..rules.clone() })
        };
        Ok(Self {
            secret: trust.secret.as_deref().map(DecodingKey::from_secret),
            keys: trust.keys.clone(),
            key_set: trust.key_set.clone().map(Jwks::new).transpose()?.map(Arc::new),
            rules: trust.algorithms.iter().map(of).collect(),
            user_claims: trust.user_claims.clone(),
            scope_claims: trust.scope_claims.clone(),
            good: Mutex::new(LruCache::new(REMEMBERED_MAX)),
        })
    }

    /// Checks a token and says whom it speaks for.
    ///
    /// # Errors
    /// Says why the token is not accepted.
    pub async fn check(&self, token: &str) -> Result<Identity, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Invalid);
        }
        let now = crate::app::now().seconds();
        let keys = self.key_set.as_ref().and_then(|key_set| key_set.fetched());
        if let Some(good) = self.good.lock().peek(token)
            && now < good.until
            && keys == good.keys
        {
            return Ok(good.identity.clone());
        }
        let (identity, end) = self.verify(token).await?;
        if token.len() <= REMEMBERED_BYTES_MAX {
            let until = end.min(now + REMEMBERED_S);
            let good = Remembered { identity: identity.clone(), until, keys };
            self.good.lock().put(token.into(), good);
        }
        Ok(identity)
    }

    /// Checks a token; says also when it ends.
    async fn verify(&self, token: &str) -> Result<(Identity, i64), BadToken> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Invalid)?;
        // What must be understood (RFC 7515, 4.1.11) is not.
        if header.crit.is_some() {
            return Err(BadToken::Invalid);
        }
        let algorithm = Algorithm::from_theirs(header.alg).ok_or(BadToken::Invalid)?;
        let rules = self.rules.iter().find(|(accepted, _)| *accepted == algorithm);
        let (_, rules) = rules.ok_or(BadToken::Invalid)?;
        if algorithm == Algorithm::Hs256 {
            let secret = self.secret.as_ref().ok_or(BadToken::Invalid)?;
            return self.told(&claims(token, rules, secret)?);
        }
        let id = header.kid.as_deref();
        if let Some(found) = self.by_any(&self.keys, token, (algorithm, rules), id) {
            return found;
        }
        let key_set = self.key_set.as_ref().ok_or(BadToken::Invalid)?;
        let keys = key_set.keys(id).await.ok_or(BadToken::KeysAway)?;
        self.by_any(&keys, token, (algorithm, rules), id).unwrap_or(Err(BadToken::Invalid))
    }

    /// Checks a token with each key that may have signed it; `None` when none of them has.
    fn by_any(
        &self,
        keys: &[PublicKey],
        token: &str,
        (algorithm, rules): (Algorithm, &Validation),
        id: Option<&str>,
    ) -> Option<Result<(Identity, i64), BadToken>> {
        // A key checks the one algorithm of its kind: a public key never counts as a secret.
        let fits = |key: &&PublicKey| {
            let named = key.id.as_deref().zip(id);
            key.algorithm == algorithm && named.is_none_or(|(its, named)| its == named)
        };
        keys.iter().filter(fits).find_map(|key| match claims(token, rules, &key.key) {
            Err(BadToken::Invalid) => None,
            claims => Some(claims.and_then(|claims| self.told(&claims))),
        })
    }

    /// Whom a token speaks for, and when it ends; one that does not end at a whole second is over for
    /// whoever would remember it.
    fn told(&self, claims: &Map<String, Value>) -> Result<(Identity, i64), BadToken> {
        let end = claims.get("exp").and_then(Value::as_i64);
        Ok((self.identity(claims)?, end.unwrap_or(0)))
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, BadToken> {
        let (mut scopes, mut is_narrowed) = (Vec::new(), false);
        for value in self.scope_claims.iter().filter_map(|name| claims.get(name)) {
            is_narrowed = true;
            match value {
                Value::String(names) => {
                    scopes.extend(names.split_ascii_whitespace().filter_map(Scope::from_name));
                }
                Value::Array(names) => {
                    let names = names.iter().filter_map(Value::as_str);
                    scopes.extend(names.filter_map(Scope::from_name));
                }
                _ => {}
            }
        }
        let named = self.user_claims.iter().find_map(|name| claims.get(name));
        let subject = match named {
            Some(Value::String(user)) => {
                // An issuer may know two users whose names differ in blanks around them.
                let exact = UserId::parse(user).ok().filter(|known| known.as_str() == user);
                Subject::User(exact.ok_or(BadToken::Nobody)?)
            }
            Some(_) => return Err(BadToken::Nobody),
            None if scopes.is_empty() => return Err(BadToken::Nobody),
            None => Subject::Service(scopes.clone()),
        };
        if matches!(subject, Subject::User(_)) && !is_narrowed {
            scopes.extend(Scope::OF_USERS);
        }
        Ok(Identity { subject, scopes, key: None })
    }
}

/// What a token says, when this key has signed it and the rules are kept.
fn claims(
    token: &str,
    rules: &Validation,
    key: &DecodingKey,
) -> Result<Map<String, Value>, BadToken> {
    match jsonwebtoken::decode(token, key, rules) {
        Ok(data) => Ok(data.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::ExpiredSignature => BadToken::Expired,
            ErrorKind::ImmatureSignature => BadToken::NotYet,
            ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => BadToken::Elsewhere,
            // The library's list is open; whatever else it says, the token is no good.
            _ => BadToken::Invalid,
        }),
    }
}
