//! Bearer tokens: JSON web tokens (RFC 7519) signed with HMAC-SHA-256 and nothing else.

use std::time::Duration;

use daybook_core::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// Clocks of two machines may differ by this much.
const LEEWAY_S: u64 = 30;

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
    /// The scopes that the token carries; a user's token without any may read and write.
    pub scopes: Vec<Scope>,
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
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Names with spaces between them (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    exp: u64,
}

/// Signs and checks tokens with one secret.
pub struct Keys {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

impl Keys {
    /// Takes the secret's bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = LEEWAY_S;
        rules.validate_nbf = true;
        // An audience is the issuer's business; what counts here is who signed.
        rules.validate_aud = false;
        Self {
            sign: EncodingKey::from_secret(secret),
            check: DecodingKey::from_secret(secret),
            rules,
        }
    }

    /// Signs a token that begins now and ends after `ttl`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(&self, subject: &Subject, ttl: Duration) -> Result<String, IssueError> {
        let now = u64::try_from(crate::app::now().seconds()).unwrap_or(0);
        let (sub, scope) = match subject {
            Subject::User(user) => (Some(user.to_string()), names(Scope::OF_USERS)),
            Subject::Service(scopes) => (None, names(scopes)),
        };
        let claims = Claims {
            sub,
            user_id: None,
            scope: Some(scope),
            scopes: Vec::new(),
            iat: Some(now),
            exp: now.saturating_add(ttl.as_secs()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map_err(IssueError)
    }

    /// Checks a token and says whom it speaks for.
    ///
    /// # Errors
    /// Says why the token is not accepted.
    pub fn verify(&self, token: &str) -> Result<Identity, BadToken> {
        use jsonwebtoken::errors::ErrorKind;
        let claims = match jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules) {
            Ok(data) => data.claims,
            Err(error) => {
                return Err(match error.kind() {
                    ErrorKind::ExpiredSignature => BadToken::Expired,
                    ErrorKind::ImmatureSignature => BadToken::NotYet,
                    // The library's list is open; whatever else it says, the token is no good.
                    _ => BadToken::Invalid,
                });
            }
        };
        let spaced = claims.scope.as_deref().unwrap_or("").split_ascii_whitespace();
        let listed = claims.scopes.iter().map(String::as_str);
        let scopes: Vec<Scope> = spaced.chain(listed).filter_map(Scope::from_name).collect();
        let subject = match claims.sub.or(claims.user_id) {
            Some(user) => Subject::User(UserId::parse(&user).map_err(|_| BadToken::Nobody)?),
            None if scopes.is_empty() => return Err(BadToken::Nobody),
            None => Subject::Service(scopes.clone()),
        };
        Ok(Identity { subject, scopes })
    }
}

/// Signs a token with a secret, for tools that have no running server.
///
/// # Errors
/// When signing fails.
pub fn issue(secret: &[u8], subject: &Subject, ttl: Duration) -> Result<String, IssueError> {
    Keys::new(secret).issue(subject, ttl)
}

fn names(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn user() -> Subject {
        Subject::User(UserId::parse("ann").expect("a user id"))
    }

    #[test]
    fn a_token_comes_back_as_it_was_issued() {
        let keys = Keys::new(b"secret");
        let token = keys.issue(&user(), HOUR).expect("signed");
        assert_eq!(keys.verify(&token).expect("valid").subject, user());
        let service = Subject::Service(vec![Scope::FeedRead, Scope::Admin]);
        let token = keys.issue(&service, HOUR).expect("signed");
        assert_eq!(keys.verify(&token).expect("valid").subject, service);
    }

    #[test]
    fn a_token_of_another_secret_algorithm_or_time_is_refused() {
        let keys = Keys::new(b"secret");
        let other = issue(b"another", &user(), HOUR).expect("signed");
        assert_eq!(keys.verify(&other), Err(BadToken::Invalid));
        let exp = u64::MAX / 4;
        let sign = |header: Header, claims: &serde_json::Value| {
            let key = EncodingKey::from_secret(b"secret");
            jsonwebtoken::encode(&header, claims, &key).expect("signed")
        };
        let ann = serde_json::json!({"sub": "ann", "exp": exp});
        assert!(keys.verify(&sign(Header::new(Algorithm::HS256), &ann)).is_ok());
        assert_eq!(keys.verify(&sign(Header::new(Algorithm::HS512), &ann)), Err(BadToken::Invalid));
        // The header says that there is no signature.
        assert_eq!(
            keys.verify("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9."),
            Err(BadToken::Invalid)
        );
        for (claims, expected) in [
            (serde_json::json!({"sub": "ann"}), BadToken::Invalid),
            (serde_json::json!({"sub": "ann", "exp": 1}), BadToken::Expired),
            (serde_json::json!({"sub": "ann", "exp": exp, "nbf": exp}), BadToken::NotYet),
            (serde_json::json!({"sub": "a b", "exp": exp}), BadToken::Nobody),
            (serde_json::json!({"scope": "unknown", "exp": exp}), BadToken::Nobody),
        ] {
            let token = sign(Header::new(Algorithm::HS256), &claims);
            assert_eq!(keys.verify(&token), Err(expected), "{claims}");
        }
    }

    #[test]
    fn claims_may_be_written_either_way() {
        let keys = Keys::new(b"secret");
        let claims = serde_json::json!({"scopes": ["feed:read"], "exp": u64::MAX / 4});
        let key = EncodingKey::from_secret(b"secret");
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signed");
        let subject = keys.verify(&token).expect("valid").subject;
        assert_eq!(subject, Subject::Service(vec![Scope::FeedRead]));
    }
}
