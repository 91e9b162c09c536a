//! Public keys of those who sign tokens: from files, and from key sets.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};

/// How a token may be signed. The list is closed: what a token says of itself never widens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret (RFC 7518, 3.2).
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3).
    Rs256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl Algorithm {
    pub const ALL: &[Algorithm] = &[Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name that stands in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads a name; `None` when there is no such algorithm here.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// The library's word for it.
    pub(super) const fn theirs(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    pub(super) fn from_theirs(theirs: jsonwebtoken::Algorithm) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.theirs() == theirs)
    }
}

/// A key that checks signatures of one algorithm and makes none.
#[derive(Clone)]
pub struct PublicKey {
    /// By which tokens name it, where it has a name.
    pub id: Option<String>,
    pub algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Why a text is no public key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("it holds a private key; the public one is wanted")]
    Private,
    #[error("it is no public key in PEM: RSA, P-256 and Ed25519 are known")]
    Unknown,
}

impl PublicKey {
    /// Reads a key in PEM; the kind of key says which algorithm it is for.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        if text.contains("PRIVATE KEY") {
            return Err(BadKey::Private);
        }
        let bytes = text.as_bytes();
        let read = |algorithm, key: jsonwebtoken::errors::Result<DecodingKey>| {
            key.ok().map(|key| Self { id: None, algorithm, key })
        };
        read(Algorithm::Rs256, DecodingKey::from_rsa_pem(bytes))
            .or_else(|| read(Algorithm::Es256, DecodingKey::from_ec_pem(bytes)))
            .or_else(|| read(Algorithm::EdDsa, DecodingKey::from_ed_pem(bytes)))
            .ok_or(BadKey::Unknown)
    }

    /// Takes a key of a key set (RFC 7517), when it is one that may check tokens here.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if matches!(&common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::Rs256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Algorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDsa
            }
            // A shared secret has no place in what everybody can fetch.
            _ => return None,
        };
        let named = match common.key_algorithm {
            None => Some(algorithm),
            Some(KeyAlgorithm::RS256) => Some(Algorithm::Rs256),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::Es256),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDsa),
            Some(_) => None,
        };
        if named != Some(algorithm) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithm, key })
    }
}
