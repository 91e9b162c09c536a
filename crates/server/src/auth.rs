//! Credentials: JSON web tokens (RFC 7519), signed with a secret that is shared or by an issuer whose
//! public keys are known, and API keys.

pub mod api_keys;
mod checker;
mod jwks;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use daybook_core::{ApiKey, UserId};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

pub use checker::{Checker, Trust};
pub use jwks::KeySet;
pub use keys::{Algorithm, BadKey, PublicKey};

/// A right that a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    FeedRead,
    FeedWrite,
    LedgerRead,
    LedgerWrite,
    /// To look at the whole: proofs and health.
    Ops,
    /// All rights.
    Admin,
}

impl Scope {
    pub const ALL: &[Scope] = &[
        Scope::FeedRead,
        Scope::FeedWrite,
        Scope::LedgerRead,
        Scope::LedgerWrite,
        Scope::Ops,
        Scope::Admin,
    ];
    /// What a user's token carries.
    pub(crate) const OF_USERS: &[Scope] =
        &[Scope::FeedRead, Scope::FeedWrite, Scope::LedgerRead, Scope::LedgerWrite];

    /// The name that stands in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FeedRead => "feed:read",
            Self::FeedWrite => "feed:write",
            Self::LedgerRead => "ledger:read",
            Self::LedgerWrite => "ledger:write",
            Self::Ops => "ops",
            Self::Admin => "admin",
        }
    }

    /// Reads a name; `None` when there is no such scope.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }
}

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One user, who sees own rows only.
    User(UserId),
    /// A system that may name any user, within its scopes.
    Service(Vec<Scope>),
}

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub subject: Subject,
    /// What the token allows; a user's token that says nothing of scopes may read and write.
    pub scopes: Vec<Scope>,
    /// The API key, when it is one that was presented.
    pub key: Option<Arc<ApiKey>>,
}

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssueError(#[source] jsonwebtoken::errors::Error);

/// Why a token is not accepted, as a sentence for its owner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("the token has expired; ask for a new one")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token names neither a user nor a scope")]
    Nobody,
    #[error("the token is not valid: it is damaged, or signed by another key or algorithm")]
    Invalid,
    #[error("the token is meant for somebody else: its `iss` or `aud` is not the one wanted here")]
    Elsewhere,
    /// The issuer's keys have never been there; the token may be good.
    #[error("the keys of the tokens' issuer cannot be fetched now")]
    KeysAway,
}

#[derive(Serialize)]
struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// Names with spaces between them (RFC 8693).
    scope: String,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
}

/// Signs tokens with the secret (HS256), which [`Checker`] accepts with the same [`Trust`].
pub struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Signer {
    /// A signer of tokens that are trusted; `None` when there is no secret to sign with.
    #[must_use]
    pub fn new(trust: &Trust) -> Option<Self> {
        let key = EncodingKey::from_secret(trust.secret.as_deref()?);
        Some(Self { key, issuer: trust.issuer.clone(), audience: trust.audience.clone() })
    }

    /// Signs a token that begins now and ends after `ttl`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(&self, subject: &Subject, ttl: Duration) -> Result<String, IssueError> {
        let iat = u64::try_from(crate::app::now().seconds()).unwrap_or(0);
        let (sub, scope) = match subject {
            Subject::User(user) => (Some(user.to_string()), names(Scope::OF_USERS)),
            Subject::Service(scopes) => (None, names(scopes)),
        };
        let exp = iat.saturating_add(ttl.as_secs());
        let (iss, aud) = (self.issuer.clone(), self.audience.clone());
        let claims = Claims { sub, scope, iat, exp, iss, aud };
        let header = Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(IssueError)
    }
}

/// Signs a token with a secret, for tools that have no running server.
///
/// # Errors
/// When signing fails.
pub fn issue(secret: &[u8], subject: &Subject, ttl: Duration) -> Result<String, IssueError> {
    let signer = Signer { key: EncodingKey::from_secret(secret), issuer: None, audience: None };
    signer.issue(subject, ttl)
}

fn names(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm as Theirs;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn user() -> Subject {
        Subject::User(UserId::parse("ann").expect("a user id"))
    }

    fn checker(trust: &Trust) -> Checker {
        Checker::new(trust).expect("a checker")
    }

    #[tokio::test]
    async fn a_token_comes_back_as_it_was_issued() {
        let (issuer, audience) = (Some("us".to_owned()), Some("daybook".to_owned()));
        for trust in
            [Trust::secret(b"secret"), Trust { issuer, audience, ..Trust::secret(b"secret") }]
        {
            let signer = Signer::new(&trust).expect("there is a secret");
            let service = Subject::Service(vec![Scope::FeedRead, Scope::Admin]);
            for subject in [user(), service] {
                let token = signer.issue(&subject, HOUR).expect("signed");
                let found = checker(&trust).check(&token).await.expect("valid");
                assert_eq!(found.subject, subject);
            }
        }
    }

    #[tokio::test]
    async fn a_token_of_another_secret_algorithm_or_time_is_refused() {
        let keys = checker(&Trust::secret(b"secret"));
        let other = issue(b"another", &user(), HOUR).expect("signed");
        assert_eq!(keys.check(&other).await, Err(BadToken::Invalid));
        let exp = u64::MAX / 4;
        let sign = |header: Header, claims: &serde_json::Value| {
            let key = EncodingKey::from_secret(b"secret");
            jsonwebtoken::encode(&header, claims, &key).expect("signed")
        };
        let ann = serde_json::json!({"sub": "ann", "exp": exp});
        assert!(keys.check(&sign(Header::new(Theirs::HS256), &ann)).await.is_ok());
        assert_eq!(
            keys.check(&sign(Header::new(Theirs::HS512), &ann)).await,
            Err(BadToken::Invalid)
        );
        // The header says that there is no signature.
        assert_eq!(
            keys.check("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.").await,
            Err(BadToken::Invalid)
        );
        for (claims, expected) in [
            (serde_json::json!({"sub": "ann"}), BadToken::Invalid),
            (serde_json::json!({"sub": "ann", "exp": 1}), BadToken::Expired),
            (serde_json::json!({"sub": "ann", "exp": exp, "nbf": exp}), BadToken::NotYet),
            (serde_json::json!({"sub": "a\u{7}b", "exp": exp}), BadToken::Nobody),
            (serde_json::json!({"sub": " ann", "exp": exp}), BadToken::Nobody),
            (serde_json::json!({"scope": "unknown", "exp": exp}), BadToken::Nobody),
        ] {
            let token = sign(Header::new(Theirs::HS256), &claims);
            assert_eq!(keys.check(&token).await, Err(expected), "{claims}");
        }
    }

    #[tokio::test]
    async fn claims_may_be_written_either_way() {
        let keys = checker(&Trust::secret(b"secret"));
        let claims = serde_json::json!({"scopes": ["feed:read"], "exp": u64::MAX / 4});
        let key = EncodingKey::from_secret(b"secret");
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signed");
        let subject = keys.check(&token).await.expect("valid").subject;
        assert_eq!(subject, Subject::Service(vec![Scope::FeedRead]));
    }
}
