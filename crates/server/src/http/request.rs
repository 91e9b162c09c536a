//! What handlers take from a request's line and headers, each checked once.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use daybook_core::canonical::{canonical, canonical_items};
use daybook_core::json::Fields;
use daybook_core::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use daybook_core::query::{ParameterError, QueryError, says_nothing};
use daybook_core::time::Moment;
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    AccountId, FieldError, IdempotencyKey, KeyId, Timestamp, TransactionId, TransferId, UserId,
    cursor,
};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::caller::Caller;
use super::error::{Error, Result};
use crate::app::App;
use crate::fingerprint::fingerprint;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The parameters of the query string, decoded, in their order.
pub struct Params(pub Vec<(String, String)>);

impl FromRequestParts<App> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let Some(query) = parts.uri.query().filter(|query| !query.is_empty()) else {
            return Ok(Self(Vec::new()));
        };
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        // Decoding puts this character where bytes are no text.
        let broken = |text: &String| text.contains('\u{fffd}');
        if query.contains('%') && pairs.iter().any(|(name, value)| broken(name) || broken(value)) {
            return Err(Error::BadQueryString);
        }
        Ok(Self(pairs))
    }
}

impl Params {
    /// Refuses parameters that the call does not know.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let (name, known) = (name.clone(), known.join(", "));
                Err(QueryError::UnknownParameter { name, known }.into())
            }
        }
    }

    /// The values of a parameter that may repeat. One that is empty says nothing.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let said = |(known, value): &&(String, String)| known == name && !says_nothing(name, value);
        let values = self.0.iter().filter(said);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().into_iter()
    }
}

/// Reads parameters and collects what is wrong with them.
pub struct Reader<'a> {
    params: &'a Params,
    pub errors: Vec<ParameterError>,
}

impl<'a> Reader<'a> {
    pub fn new(params: &'a Params) -> Self {
        Self { params, errors: Vec::new() }
    }

    pub fn error(&mut self, parameter: &str, code: &'static str, detail: impl Into<String>) {
        let (parameter, detail) = (parameter.to_owned(), detail.into());
        self.errors.push(ParameterError { parameter, code, detail });
    }

    /// The value of a parameter that may stand once.
    pub fn one(&mut self, name: &str) -> Option<&'a str> {
        let mut values = self.params.all(name);
        let first = values.next();
        if values.next().is_some() {
            self.error(name, "REPEATED", format!("`{name}` may stand only once"));
        }
        first
    }

    pub fn user(&mut self) -> Option<UserId> {
        let parsed = UserId::parse(self.one("user_id")?.trim());
        parsed.map_err(|detail| self.error("user_id", "USER_ID", detail)).ok()
    }

    pub fn moment(&mut self, name: &str) -> Option<Moment> {
        let parsed = Moment::parse_parameter(self.one(name)?);
        parsed.map_err(|error| self.error(name, "TIME", error.to_string())).ok()
    }

    /// From `start_date`, which is in the range, to the first moment after `end_date`.
    pub fn range(&mut self, tz: &TimeZone) -> (Timestamp, Timestamp) {
        let (start, end) = (self.moment("start_date"), self.moment("end_date"));
        Moment::range(start, end, tz).unwrap_or_else(|| {
            self.error("end_date", "RANGE", "`end_date` is before `start_date`");
            (Timestamp::MIN, Timestamp::END)
        })
    }

    /// A whole number from 1 to `max`.
    pub fn limit(&mut self, default: u32, max: u32) -> u32 {
        let Some(text) = self.one("limit") else {
            return default;
        };
        match text.parse() {
            Ok(limit) if (1..=max).contains(&limit) => limit,
            _ => {
                let detail = format!("`limit` is a whole number from 1 to {max}");
                self.error("limit", "RANGE", detail);
                default
            }
        }
    }

    /// One of a few names.
    pub fn one_of<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        names: impl FnOnce() -> String,
    ) -> Option<T> {
        let read = read(self.one(name)?);
        if read.is_none() {
            self.error(name, "ONE_OF", format!("`{name}` is one of {}", names()));
        }
        read
    }

    /// The code of a known currency.
    pub fn currency_code(&mut self, text: &str, vocabulary: &Vocabulary) -> Option<String> {
        let known = vocabulary.currencies.get(text).map(|currency| currency.code().to_owned());
        if known.is_none() {
            let detail =
                "`currency` is one of the codes of ISO 4217 and the configured crypto codes";
            self.error("currency", "ONE_OF", detail);
        }
        known
    }

    pub fn account(&mut self) -> Option<AccountId> {
        let read = account_id(self.one("account_id")?);
        if read.is_none() {
            self.error("account_id", "ACCOUNT_ID", "`account_id` is a whole number");
        }
        read
    }

    pub fn finish(self) -> Result<()> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(QueryError::Invalid(self.errors).into())
    }
}

/// The item that the path names.
pub struct Id(pub TransactionId);

impl FromRequestParts<App> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = path_part(parts, "id").await?;
        match Uuid::try_parse(&text) {
            Ok(id) => Ok(Self(TransactionId(id))),
            Err(_) => Err(Error::BadTransactionId { text: text.chars().take(64).collect() }),
        }
    }
}

/// The account that the path names.
pub struct PathAccount(pub AccountId);

impl FromRequestParts<App> for PathAccount {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = path_part(parts, "id").await?;
        let bad = || Error::BadAccountId { text: text.chars().take(64).collect() };
        account_id(&text).map(Self).ok_or_else(bad)
    }
}

/// The transfer that the path names.
pub struct PathTransfer(pub TransferId);

impl FromRequestParts<App> for PathTransfer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = path_part(parts, "id").await?;
        match Uuid::try_parse(&text) {
            Ok(id) => Ok(Self(TransferId(id))),
            Err(_) => Err(Error::BadTransferId { text: text.chars().take(64).collect() }),
        }
    }
}

/// The API key that the path names.
pub struct PathKey(pub KeyId);

impl FromRequestParts<App> for PathKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = path_part(parts, "id").await?;
        let bad = || Error::BadKeyId { text: text.chars().take(64).collect() };
        KeyId::parse(&text).map(Self).ok_or_else(bad)
    }
}

/// Reads an account's number as it is written; the equity accounts' are negative.
fn account_id(text: &str) -> Option<AccountId> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(AccountId(number))
}

/// The user that the path names.
pub struct PathUser(pub UserId);

impl FromRequestParts<App> for PathUser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = path_part(parts, "user_id").await?;
        UserId::parse(&text).map(Self).map_err(|detail| Error::BadUserId { detail })
    }
}

async fn path_part(parts: &mut Parts, name: &str) -> Result<String> {
    let params: std::result::Result<RawPathParams, RawPathParamsRejection> =
        RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| Error::BadPath)?;
    let found = params.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.to_owned()).ok_or(Error::NoRoute)
}

/// What a write says to make a repeat of it harmless. A repeat is one that means the same, however its
/// JSON, its parameters and its bytes on the way are written.
pub struct Key(Option<Scope>);

struct Scope {
    /// A hash that has the client's own key in it, so that it cannot be made without that.
    route_and_key: [u8; 16],
    /// The decoded parameters, in an order of their own.
    params: Vec<(String, String)>,
}

impl FromRequestParts<App> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(key) = keys.next().map(HeaderValue::as_bytes) else {
            return Ok(Self(None));
        };
        let bad = |detail: String| Error::BadHeader { name: "Idempotency-Key", detail };
        if keys.next().is_some() {
            return Err(bad("it stands more than once".to_owned()));
        }
        if !is_visible(key, IDEMPOTENCY_KEY_CHARS_MAX) {
            let detail =
                format!("1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters are expected");
            return Err(bad(detail));
        }
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        let mut params: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        params.sort_unstable();
        let route_and_key = fingerprint(&[method.as_bytes(), path.as_bytes(), key]).to_be_bytes();
        Ok(Self(Some(Scope { route_and_key, params })))
    }
}

impl Key {
    /// The key of this caller for this body; one without a letter means the same as an empty object.
    #[must_use]
    pub fn bind(&self, caller: &Caller, body: &str) -> Option<IdempotencyKey> {
        let scope = self.0.as_ref()?;
        let body = if body.trim().is_empty() { "{}" } else { body };
        // What is no JSON is refused, so it has no meaning to be compared.
        let meaning = canonical(body).unwrap_or_else(|| body.as_bytes().to_vec());
        Some(scope.bind(caller, &meaning))
    }

    /// The key of this caller for these items of a batch, however they are sent together.
    #[must_use]
    pub fn bind_items(&self, caller: &Caller, items: &[&str]) -> Option<IdempotencyKey> {
        let scope = self.0.as_ref()?;
        Some(scope.bind(caller, &canonical_items(items.iter().copied())))
    }
}

impl Scope {
    fn bind(&self, caller: &Caller, meaning: &[u8]) -> IdempotencyKey {
        let (kind, name) = caller.key_space();
        let mut parts = vec![&self.route_and_key[..], meaning];
        for (name, value) in &self.params {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
        IdempotencyKey {
            scope: fingerprint(&[kind, &name, &self.route_and_key]),
            fingerprint: fingerprint(&parts),
        }
    }
}

/// Whether the client would rather not wait for the work (`Prefer: respond-async`, RFC 7240).
pub struct PrefersAsync(pub bool);

impl PrefersAsync {
    /// The preference as it is sent and confirmed.
    pub const NAME: &str = "respond-async";
}

impl FromRequestParts<App> for PrefersAsync {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let values = parts.headers.get_all("prefer").iter();
        let mut wishes =
            values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        Ok(Self(wishes.any(|wish| {
            let name = wish.split_once(';').map_or(wish, |(name, _)| name);
            name.trim().eq_ignore_ascii_case(Self::NAME)
        })))
    }
}

/// The version that a writer saw (`If-Match`); `None` is any.
pub struct IfMatch(pub Option<u32>);

impl FromRequestParts<App> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = value.to_str().ok().map(str::trim).filter(|_| values.next().is_none());
        match text {
            Some("*") => Ok(Self(None)),
            Some(text) => match version_of(text) {
                Some(version) => Ok(Self(Some(version))),
                None => Err(bad_if_match()),
            },
            None => Err(bad_if_match()),
        }
    }
}

fn bad_if_match() -> Error {
    let detail = "one version in quotes as the ETag header gave it, or *, is expected".to_owned();
    Error::BadHeader { name: "If-Match", detail }
}

/// Reads the cursor of a question with this digest; without one the answer begins at its beginning.
pub fn position(cursor: Option<&str>, digest: u128) -> Result<Option<i64>> {
    match cursor {
        None => Ok(None),
        Some(text) => match cursor::decode_number(text, digest) {
            Some(position) => Ok(Some(position)),
            None => Err(QueryError::BadCursor.into()),
        },
    }
}

/// The fields of a body that nobody asked for.
pub fn unknown_fields(fields: &Fields<'_>) -> Vec<FieldError> {
    let unknown = fields.0.iter().map(|(name, _)| {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        FieldError::new(pointer, "UNKNOWN_FIELD", format!("there is no field `{name}`"))
    });
    unknown.collect()
}

fn version_of(tag: &str) -> Option<u32> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// Whether a reader has this version already (`If-None-Match`).
#[must_use]
pub fn has_version(headers: &HeaderMap, version: u32) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || version_of(tag.strip_prefix("W/").unwrap_or(tag)) == Some(version)
    })
}

/// Whether the text has 1 to `max` visible ASCII characters and nothing else.
pub(crate) fn is_visible(text: &[u8], max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}
