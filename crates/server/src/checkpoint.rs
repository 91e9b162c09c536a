//! Signed checkpoints of the event log: who keeps one elsewhere can prove later that no event up to
//! it was changed, removed or added, whoever has the database. A checkpoint is a JSON web signature
//! (RFC 7515) over the number and the link of an event.

use std::path::Path;

use daybook_core::EventSeq;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::app::now;

/// Tells a checkpoint from a token that gives rights.
const TYPE: &str = "daybook-checkpoint+jwt";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub seq: EventSeq,
    /// The event's link of the hash chain, in hexadecimal digits.
    pub link: String,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
}

impl Checkpoint {
    /// A checkpoint of an event, as of now.
    #[must_use]
    pub fn new(seq: EventSeq, link: &[u8; 32]) -> Self {
        Self { seq, link: hex(link), iat: now().seconds() }
    }

    /// Whether an event with this link is the one that was signed.
    #[must_use]
    pub fn is_of(&self, link: &[u8; 32]) -> bool {
        self.link == hex(link)
    }
}

fn hex(link: &[u8; 32]) -> String {
    link.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a key or a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the key '{path}' cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("'{path}' is no {what} key in PEM: Ed25519, P-256 and RSA are known")]
    BadKey { path: String, what: &'static str },
    #[error("the checkpoint could not be signed")]
    Unsigned,
    #[error("the checkpoint is damaged, or signed by another key")]
    Forged,
}

fn read(path: &Path) -> Result<(String, Vec<u8>), Error> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(pem) => Ok((name, pem)),
        Err(error) => Err(Error::Unreadable { path: name, reason: error.to_string() }),
    }
}

/// Signs checkpoints.
#[derive(Clone)]
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    /// Signs with a secret (HS256), so that who has it can check.
    #[must_use]
    pub fn secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret) }
    }

    /// Signs with a private key in PEM, so that anybody can check.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let (path, pem) = read(path)?;
        let of = |algorithm, key: jsonwebtoken::errors::Result<EncodingKey>| {
            key.ok().map(|key| Self { algorithm, key })
        };
        of(Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem))
            .or_else(|| of(Algorithm::ES256, EncodingKey::from_ec_pem(&pem)))
            .or_else(|| of(Algorithm::RS256, EncodingKey::from_rsa_pem(&pem)))
            .ok_or(Error::BadKey { path, what: "private" })
    }

    /// Signs.
    ///
    /// # Errors
    /// When the key is of no use after all.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, Error> {
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, checkpoint, &self.key).map_err(|_| Error::Unsigned)
    }
}

/// Checks checkpoints.
pub struct Verifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier {
    /// Checks what was signed with the secret.
    #[must_use]
    pub fn secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) }
    }

    /// Checks what was signed with the private key of a public one in PEM.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let (path, pem) = read(path)?;
        let of = |algorithm, key: jsonwebtoken::errors::Result<DecodingKey>| {
            key.ok().map(|key| Self { algorithm, key })
        };
        of(Algorithm::EdDSA, DecodingKey::from_ed_pem(&pem))
            .or_else(|| of(Algorithm::ES256, DecodingKey::from_ec_pem(&pem)))
            .or_else(|| of(Algorithm::RS256, DecodingKey::from_rsa_pem(&pem)))
            .ok_or(Error::BadKey { path, what: "public" })
    }

    /// Reads a checkpoint whose signature is right.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, text: &str) -> Result<Checkpoint, Error> {
        let mut rules = Validation::new(self.algorithm);
        // It proves what was, and that never ends.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<Checkpoint>(text.trim(), &self.key, &rules);
        let read = read.map_err(|_| Error::Forged)?;
        if read.header.typ.as_deref() == Some(TYPE) { Ok(read.claims) } else { Err(Error::Forged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    #[test]
    fn a_checkpoint_is_believed_with_its_own_key_only() {
        let checkpoint = Checkpoint::new(EventSeq(7), &[5; 32]);
        assert!(checkpoint.is_of(&[5; 32]) && !checkpoint.is_of(&[6; 32]));
        let keys = ["ed", "ec", "rsa"];
        let mut signers = vec![(Signer::secret(b"one"), Verifier::secret(b"one"))];
        for name in keys {
            let signer = Signer::file(&file(&format!("{name}-private.pem"))).expect("a key");
            let verifier = Verifier::file(&file(&format!("{name}-public.pem"))).expect("a key");
            signers.push((signer, verifier));
        }
        for (place, (signer, _)) in signers.iter().enumerate() {
            let signed = signer.sign(&checkpoint).expect("signed");
            for (other, (_, verifier)) in signers.iter().enumerate() {
                let found = verifier.check(&signed).ok();
                assert_eq!(found.is_some(), place == other, "{place} {other}");
                assert!(found.is_none_or(|found| found == checkpoint));
            }
        }
        assert!(
            Verifier::secret(b"two")
                .check(&signers[0].0.sign(&checkpoint).expect("signed"))
                .is_err()
        );
    }

    #[test]
    fn a_token_is_no_checkpoint() {
        let key = EncodingKey::from_secret(b"one");
        let checkpoint = Checkpoint::new(EventSeq(7), &[5; 32]);
        let token = jsonwebtoken::encode(&Header::default(), &checkpoint, &key).expect("signed");
        assert!(matches!(Verifier::secret(b"one").check(&token), Err(Error::Forged)));
        assert!(matches!(Signer::file(&file("ed-public.pem")), Err(Error::BadKey { .. })));
        assert!(matches!(Signer::file(&file("none.pem")), Err(Error::Unreadable { .. })));
    }
}
