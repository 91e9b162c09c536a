//! The section `[auth]`: who is trusted.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use super::{Config, Error, SECRET_BYTES_MIN, Secret, is_this_machine};
use crate::auth::api_keys::Pepper;
use crate::auth::{Algorithm, KeySet, PublicKey, Trust};
use crate::checkpoint;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub token_ttl_s: u64,
    /// Files in PEM.
    pub public_keys: Vec<PathBuf>,
    /// Empty is none.
    pub jwks_url: String,
    /// Empty is all that there are keys for.
    pub algorithms: Vec<String>,
    /// Empty is any.
    pub issuer: String,
    /// Empty is any.
    pub audience: String,
    pub leeway_s: u64,
    pub user_claims: Vec<String>,
    pub scope_claims: Vec<String>,
    /// Empty is none.
    pub checkpoint_key: PathBuf,
    pub key_secret: Secret,
}

impl Config {
    /// Who may sign tokens, and what they must say.
    ///
    /// # Errors
    /// When a file of a public key cannot be used.
    pub fn trust(&self) -> Result<Trust, Error> {
        let auth = &self.auth;
        let read = |path: &PathBuf| {
            let bad = |reason: String| Error::BadKey { path: path.clone(), reason };
            let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
            PublicKey::from_pem(&text).map_err(|error| bad(error.to_string()))
        };
        let named = |text: &String| (!text.is_empty()).then(|| text.clone());
        let algorithms = match auth.algorithms.as_slice() {
            [] => Algorithm::ALL.to_vec(),
            names => names.iter().filter_map(|name| Algorithm::from_name(name)).collect(),
        };
        Ok(Trust {
            secret: self.secret.reveal().map(<[u8]>::to_vec),
            keys: auth.public_keys.iter().map(read).collect::<Result<_, _>>()?,
            key_set: self.key_set().map(KeySet::at),
            algorithms,
            issuer: named(&auth.issuer),
            audience: named(&auth.audience),
            leeway: Duration::from_secs(auth.leeway_s),
            user_claims: auth.user_claims.clone(),
            scope_claims: auth.scope_claims.clone(),
        })
    }

    /// The URL of the key set: over HTTPS, or on this machine.
    pub(super) fn key_set(&self) -> Option<Url> {
        let url = Url::parse(&self.auth.jwks_url).ok()?;
        let is_here = is_this_machine(url.host_str()?);
        (url.scheme() == "https" || (url.scheme() == "http" && is_here)).then_some(url)
    }

    /// What makes and checks the secrets of API keys; without it there are none.
    ///
    /// # Errors
    /// When the secret can be guessed.
    pub fn key_pepper(&self) -> Result<Option<Pepper>, Error> {
        match self.auth.key_secret.reveal() {
            Some(secret) if secret.len() < SECRET_BYTES_MIN => Err(Error::Inconsistent {
                reason: format!("`auth.key_secret` needs at least {SECRET_BYTES_MIN} random bytes"),
            }),
            secret => Ok(secret.map(Pepper::new)),
        }
    }

    /// Who signs checkpoints of the event log; nobody without a key and a secret.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn checkpoint_signer(&self) -> Result<Option<checkpoint::Signer>, Error> {
        let path = &self.auth.checkpoint_key;
        if path.as_os_str().is_empty() {
            return Ok(self.secret.reveal().map(checkpoint::Signer::secret));
        }
        let signer = checkpoint::Signer::file(path);
        signer.map(Some).map_err(|error| Error::Inconsistent { reason: error.to_string() })
    }
}
