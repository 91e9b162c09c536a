//! AES-256-GCM (NIST SP 800-38D) with a random nonce for each text.

use std::cell::RefCell;

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
        self.seal_with(nonce()?, bound, text)
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], bound: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = text.to_vec();
        let by = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(by, Aad::from(bound), &mut sealed).map_err(failed)?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    /// The text; `None` when it was sealed by another key, bound to something else, or changed.
    pub fn open(&self, bound: &[u8], sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(sealed);
        let (nonce, sealed) = text.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::from(bound), sealed).ok()?.len();
        text.truncate(NONCE_LEN + length);
        text.drain(..NONCE_LEN);
        Some(text)
    }
}

/// Nonces that are asked for at once: the generator reads the hardware's randomness for each call,
/// which takes longer than sealing a value.
const NONCES: usize = 64;

thread_local! {
    /// Random bytes, of which each is used once, from the end.
    static RANDOM: RefCell<Vec<[u8; NONCE_LEN]>> = const { RefCell::new(Vec::new()) };
}

/// A random nonce that nobody had before.
fn nonce() -> Result<[u8; NONCE_LEN]> {
    RANDOM.with_borrow_mut(|left| {
        if let Some(nonce) = left.pop() {
            return Ok(nonce);
        }
        let mut more = [[0; NONCE_LEN]; NONCES];
        aws_lc_rs::rand::fill(more.as_flattened_mut()).map_err(failed)?;
        left.extend(more);
        let nonce = left.pop();
        nonce.ok_or_else(|| failed(aws_lc_rs::error::Unspecified))
    })
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
