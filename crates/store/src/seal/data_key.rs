//! The key of a user: what it seals, and how equal values are found without opening any.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use daybook_core::search::blind_term;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::mark::{self, Mark};
use crate::{Error, Result};

/// Keys by their owners.
pub type DataKeys = HashMap<String, Arc<DataKey>>;

/// The key of a user, taken apart by what it is for.
pub struct DataKey {
    number: i64,
    cipher: Cipher,
    blind: hmac::Key,
}

impl DataKey {
    pub fn try_new(number: i64, key: &[u8; 32]) -> Result<Self> {
        let cipher = Cipher::try_new(&*subkey(key, b"seal")?)?;
        let blind = hmac::Key::new(hmac::HMAC_SHA256, &*subkey(key, b"blind")?);
        Ok(Self { number, cipher, blind })
    }

    /// Seals the values of a record that stand at these paths, as the text of a JSON array; answers the
    /// marks to put there.
    pub fn seal(&self, record: Uuid, paths: &[String], values: &str) -> Result<Vec<String>> {
        let bound = mark::bound(record, paths.iter().map(String::as_str));
        let number = self.number;
        let sealed = self.cipher.seal(&bound, values.as_bytes())?;
        let others = (1..paths.len()).map(|index| Mark::One { number, index });
        let marks = std::iter::once(Mark::All { number, sealed }).chain(others);
        Ok(marks.map(|mark| mark.to_text()).collect())
    }

    /// The text of a JSON array; `None` when it was not sealed for these places by this key.
    pub fn open(&self, bound: &[u8], sealed: Vec<u8>) -> Option<Zeroizing<String>> {
        let mut bytes = self.cipher.open(bound, sealed)?;
        String::from_utf8(std::mem::take(&mut *bytes)).ok().map(Zeroizing::new)
    }

    /// The index term of a value, which says nothing to who does not have the key.
    pub fn blind_term(&self, path: &str, value_key: &str) -> String {
        let mut context = hmac::Context::with_key(&self.blind);
        for part in [path.as_bytes(), &[0], value_key.as_bytes()] {
            context.update(part);
        }
        let first = context.sign().as_ref().first_chunk().copied().unwrap_or_default();
        blind_term(path, u128::from_be_bytes(first))
    }
}

/// A key that follows from another (HKDF, RFC 5869).
fn subkey(key: &[u8; 32], name: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let failed = |error: aws_lc_rs::error::Unspecified| Error::Driver(Box::new(error));
    let mut subkey = Zeroizing::new([0; 32]);
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(key);
    let names = [name];
    let expanded = extracted.expand(&names, HKDF_SHA256).map_err(failed)?;
    expanded.fill(&mut *subkey).map_err(failed)?;
    Ok(subkey)
}
