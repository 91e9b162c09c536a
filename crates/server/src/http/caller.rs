//! Authorization as extractors: a handler that needs a right takes it as a parameter and cannot
//! forget it.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use daybook_core::UserId;

use super::budget::Meter;
use super::error::{Error, Result};
use crate::app::App;
use crate::auth::{BadToken, Identity, Scope, Subject};

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
/// A caller who may do everything; never a user.
pub struct IsAdmin;

/// Where the request's log line learns whose request it was.
#[derive(Clone, Default)]
pub(crate) struct Speaker(pub Arc<OnceLock<UserId>>);

impl Caller {
    /// The only user that the caller speaks for; `None` may name any.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Known(Identity { subject: Subject::User(user), .. }) => Some(user),
            Self::Known(Identity { subject: Subject::Service(_), .. }) | Self::Anyone => None,
        }
    }

    /// Whether the caller may speak for a user.
    #[must_use]
    pub fn speaks_for(&self, user_id: &UserId) -> bool {
        self.user().is_none_or(|user| user == user_id)
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
    /// When the token is a user's.
    pub fn check_operator(&self, what: &'static str) -> Result<()> {
        if self.user().is_some() { Err(Error::NotForUsers { what }) } else { Ok(()) }
    }

    /// What keeps the idempotency keys of callers apart.
    #[must_use]
    pub fn key_space(&self) -> [&[u8]; 2] {
        match self {
            Self::Anyone => [b"anyone", b""],
            Self::Known(Identity { subject: Subject::User(user), .. }) => {
                [b"user", user.as_str().as_bytes()]
            }
            Self::Known(Identity { subject: Subject::Service(_), .. }) => [b"service", b""],
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
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let Some(header) = headers.next() else {
            return if app.is_open() { Ok(Self::Anyone) } else { Err(Error::NoToken) };
        };
        if headers.next().is_some() {
            return Err(BadToken::Invalid.into());
        }
        let text = header.to_str().map_err(|_| BadToken::Invalid)?;
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) | None => return Err(Error::NoToken),
        };
        let caller = Self::Known(app.checker().check(token).await?);
        if let (Some(user), Some(speaker)) = (caller.user(), parts.extensions.get::<Speaker>()) {
            speaker.0.get_or_init(|| user.clone());
        }
        if let Some(meter) = parts.extensions.get::<Arc<Meter>>() {
            meter.pay_as(&caller)?;
        }
        Ok(caller)
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
        if caller.user().is_some() {
            return Err(Error::MissingScope { scope: Scope::Ops.name() });
        }
        caller.may(Scope::Ops).map(|_| Self)
    }
}

impl FromRequestParts<App> for IsAdmin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::of(parts, app).await?;
        if caller.user().is_some() {
            return Err(Error::MissingScope { scope: Scope::Admin.name() });
        }
        caller.may(Scope::Admin).map(|_| Self)
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
