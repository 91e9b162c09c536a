//! Master keys: they wrap the keys of users, and stay outside of the store.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use crate::Result;

/// Why a text is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 32 bytes in base64")]
pub struct BadMasterKey;

/// A key that wraps the keys of users.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Arc<Cipher>,
    id: String,
}

impl MasterKey {
    /// Reads 32 bytes in base64.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn from_base64(text: &str) -> std::result::Result<Self, BadMasterKey> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| BadMasterKey)?);
        let key = bytes.as_slice().try_into().map_err(|_| BadMasterKey)?;
        let mut digest = Context::new(&SHA256);
        digest.update(b"daybook master key");
        digest.update(&bytes);
        let digest = digest.finish();
        let id = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { cipher: Arc::new(Cipher::try_new(key).map_err(|_| BadMasterKey)?), id })
    }

    /// Names the key without telling it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Wraps the key of a user.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn wrap(&self, data_key: &[u8; 32], owner: &str) -> Result<Vec<u8>> {
        self.cipher.seal(owner.as_bytes(), data_key)
    }

    /// The key of a user; `None` when it is another's, wrapped by another master, or changed.
    #[must_use]
    pub fn unwrap_key(&self, wrapped: &[u8], owner: &str) -> Option<Zeroizing<[u8; 32]>> {
        let opened = self.cipher.open(owner.as_bytes(), wrapped.to_vec())?;
        Some(Zeroizing::new(opened.as_slice().try_into().ok()?))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.id).finish()
    }
}

/// The master key that wraps what is new, and those that are still needed to unwrap.
#[derive(Clone, Debug)]
pub struct Masters {
    pub current: MasterKey,
    pub older: Vec<MasterKey>,
}

impl Masters {
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&MasterKey> {
        std::iter::once(&self.current).chain(&self.older).find(|master| master.id == id)
    }

    /// The names of all, the current one's first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.older).map(MasterKey::id)
    }
}
