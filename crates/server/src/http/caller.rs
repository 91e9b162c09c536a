//! Authorization as extractors: a handler that needs a right takes it as a parameter and cannot
//! forget it.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use daybook_core::{ApiKey, KeyId, Owner, UserId};

use super::budget::Meter;
use super::error::{Error, Result};
use crate::app::{App, now};
use crate::auth::api_keys;
use crate::auth::{BadToken, Identity, Scope, Subject};

/// A header that has an API key, for those who cannot send it behind `Bearer`.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody said; only a development server lets them in, and they may name any user.
    Anyone,
    Known(Identity),
}

/// A caller with a valid token.
pub struct HasToken(pub Identity);
/// A caller who may look at the whole; never a user.
pub struct IsOperator;
/// A caller who may do everything; never a user, and never a key that is narrowed.
pub struct IsAdmin(pub Caller);

/// Where the request's log line learns whose request it was.
#[derive(Clone, Default)]
pub(crate) struct Speaker(Arc<OnceLock<(Option<UserId>, Option<KeyId>)>>);

impl Speaker {
    /// The only user that the caller speaks for.
    pub fn user(&self) -> Option<&UserId> {
        self.0.get()?.0.as_ref()
    }

    /// The API key that the caller has.
    pub fn key(&self) -> Option<KeyId> {
        self.0.get()?.1
    }

    fn learn(&self, caller: &Caller) {
        self.0.get_or_init(|| (caller.user().cloned(), caller.key()));
    }
}

impl Caller {
    /// The only user that the caller speaks for, by a token or by a key that is narrowed to one;
    /// `None` may name others.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        let Self::Known(identity) = self else { return None };
        match (&identity.subject, identity.key.as_deref()) {
            (Subject::User(user), _) => Some(user),
            (Subject::Service(_), Some(ApiKey { users, accounts, .. })) if accounts.is_empty() => {
                if let [user] = users.as_slice() {
                    Some(user)
                } else {
                    None
                }
            }
            (Subject::Service(_), _) => None,
        }
    }

    /// The API key that was presented.
    fn key(&self) -> Option<KeyId> {
        match self {
            Self::Anyone => None,
            Self::Known(identity) => identity.key.as_ref().map(|key| key.id),
        }
    }

    /// Whose rows the caller may touch; `None` may touch everybody's.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        let Self::Known(identity) = self else { return None };
        match &identity.subject {
            Subject::User(user) => Some(Owner::User(user.clone())),
            Subject::Service(_) => identity.key.as_deref().and_then(ApiKey::owner),
        }
    }

    /// Whether the caller may speak for a user.
    #[must_use]
    pub fn speaks_for(&self, user_id: &UserId) -> bool {
        self.owner().is_none_or(|owner| owner.has_user(user_id))
    }

    /// The user whose rows are asked for: the caller's own, or the one that is named, or nobody in
    /// particular.
    ///
    /// # Errors
    /// When the caller may not speak for whom it names, or names nobody and may not see everybody.
    pub fn about(&self, named: Option<UserId>) -> Result<Option<UserId>> {
        let user = self.user().cloned().or(named);
        match &user {
            Some(user) => self.check(user)?,
            None if self.owner().is_some() => return Err(Error::NameUser),
            None => {}
        }
        Ok(user)
    }

    /// Refuses a user for whom the caller may not speak.
    ///
    /// # Errors
    /// When a user's token names somebody else.
    pub fn check(&self, user_id: &UserId) -> Result<()> {
        if self.speaks_for(user_id) {
            return Ok(());
        }
        Err(Error::NotYou { user_id: user_id.clone() })
    }

    /// Refuses what the owner of an account may not do to it.
    ///
    /// # Errors
    /// When the token is a user's, or a key that is narrowed.
    pub fn check_operator(&self, what: &'static str) -> Result<()> {
        if self.owner().is_some() { Err(Error::NotForUsers { what }) } else { Ok(()) }
    }

    /// What keeps the idempotency keys of callers apart.
    #[must_use]
    pub fn key_space(&self) -> (&'static [u8], Cow<'_, [u8]>) {
        let Self::Known(identity) = self else { return (b"anyone", Cow::Borrowed(b"")) };
        match (&identity.subject, &identity.key) {
            (Subject::User(user), _) => (b"user", Cow::Borrowed(user.as_str().as_bytes())),
            (Subject::Service(_), Some(key)) => {
                (b"key", Cow::Owned(key.id.0.to_be_bytes().to_vec()))
            }
            (Subject::Service(_), None) => (b"service", Cow::Borrowed(b"")),
        }
    }

    fn may(self, scope: Scope) -> Result<Self> {
        let lacks = match &self {
            Self::Anyone => false,
            Self::Known(Identity { scopes, .. }) => {
                !scopes.contains(&scope) && !scopes.contains(&Scope::Admin)
            }
        };
        if lacks { Err(Error::MissingScope { scope: scope.name() }) } else { Ok(self) }
    }

    async fn of(parts: &Parts, app: &App) -> Result<Self> {
        let Some(credential) = credential(&parts.headers)? else {
            return if app.is_open() { Ok(Self::Anyone) } else { Err(Error::NoToken) };
        };
        let caller = Self::Known(if api_keys::is_key(credential) {
            app.api_keys().check(app.store(), credential, now()).await??
        } else {
            app.checker().check(credential).await?
        });
        if let Some(speaker) = parts.extensions.get::<Speaker>() {
            speaker.learn(&caller);
        }
        if let Some(meter) = parts.extensions.get::<Arc<Meter>>() {
            meter.pay_as(&caller)?;
        }
        Ok(caller)
    }
}

/// The token or API key of a request: behind `Bearer`, or a key in a header of its own.
fn credential(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut given = headers.get_all(AUTHORIZATION).iter().map(|header| (header, true));
    let keys = headers.get_all(API_KEY).iter().map(|header| (header, false));
    let mut given = given.by_ref().chain(keys);
    let Some((header, is_bearer)) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(BadToken::Invalid.into());
    }
    let text = header.to_str().map_err(|_| BadToken::Invalid)?;
    if !is_bearer {
        return if api_keys::is_key(text) { Ok(Some(text)) } else { Err(BadToken::Invalid.into()) };
    }
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        Some(_) | None => Err(Error::NoToken),
    }
}

/// Declares extractors that let callers with a scope pass.
macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $scope:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name(pub Caller);

        impl FromRequestParts<App> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
                Caller::of(parts, app).await?.may(Scope::$scope).map(Self)
            }
        }
    )+};
}

rights! {
    /// A caller who may read items and statistics.
    CanRead = FeedRead;
    /// A caller who may write items.
    CanWrite = FeedWrite;
    /// A caller who may read accounts and transfers.
    CanReadLedger = LedgerRead;
    /// A caller who may open accounts and move money.
    CanWriteLedger = LedgerWrite;
}

impl FromRequestParts<App> for IsOperator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::of(parts, app).await?;
        if caller.owner().is_some() {
            return Err(Error::MissingScope { scope: Scope::Ops.name() });
        }
        caller.may(Scope::Ops).map(|_| Self)
    }
}

impl FromRequestParts<App> for IsAdmin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::of(parts, app).await?;
        if caller.owner().is_some() {
            return Err(Error::MissingScope { scope: Scope::Admin.name() });
        }
        caller.may(Scope::Admin).map(Self)
    }
}

impl FromRequestParts<App> for HasToken {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match Caller::of(parts, app).await? {
            Caller::Known(identity) => Ok(Self(identity)),
            Caller::Anyone => Err(Error::NoToken),
        }
    }
}
