//! AES-256-GCM (NIST SP 800-38D) with a random nonce for each text.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A key that seals and opens. What it seals is the nonce, the ciphertext and the tag.
pub struct Cipher(LessSafeKey);

impl Cipher {
    pub fn try_new(key: &[u8; 32]) -> Result<Self> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(failed)?)))
    }

    /// Seals a text that opens only with the same `bound`.
    pub fn seal(&self, bound: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        self.seal_with(random()?, bound, text)
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], bound: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = text.to_vec();
        let by = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(by, Aad::from(bound), &mut sealed).map_err(failed)?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    /// The text; `None` when it was sealed by another key, bound to something else, or changed.
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::from(bound), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Random bytes from the system's generator.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn failed(error: aws_lc_rs::error::Unspecified) -> Error {
    Error::Driver(Box::new(error))
}
