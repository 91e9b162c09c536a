//! Tokens: given in development, and what the caller's own one says.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use daybook_core::json::Fields;
use daybook_core::{AccountId, ApiKey, FieldError, KeyId, Rejection, Timestamp, UserId};
use serde::Serialize;

use super::answer;
use super::caller::HasToken;
use super::error::{Error, Result};
use super::limit::JsonBody;
use super::request::{Params, unknown_fields};
use super::schema::{self, BodyProblems, MeBody, ReadProblems, TokenBody, TokenRequest};
use crate::app::App;
use crate::auth::Subject;

#[derive(Serialize)]
struct Token {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// Gives a token for a user; in development mode only.
#[utoipa::path(
    post, path = "/api/v1/auth/token", tag = "access", operation_id = "issueToken",
    security(()), request_body = TokenRequest,
    responses(
        (status = 200, description = "The token.", body = TokenBody),
        (status = 422, description = "A field breaks a rule.", body = schema::Problem,
         content_type = "application/problem+json"),
        BodyProblems,
    ),
)]
pub async fn token(State(app): State<App>, params: Params, body: JsonBody) -> Result<Response> {
    let signer = app.signer().filter(|_| app.is_open()).ok_or(Error::TokensOff)?;
    params.only(&[])?;
    let user = read_user(body.text())?;
    let ttl = app.settings().token_ttl;
    let access_token = signer.issue(&Subject::User(user), ttl)?;
    let token = Token { access_token, token_type: "bearer", expires_in: ttl.as_secs() };
    let mut response = answer::of(&token)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn read_user(body: &str) -> std::result::Result<UserId, Rejection> {
    let mut fields = Fields::parse(body)?;
    let user = match fields.take("user_id").map(|raw| serde_json::from_str::<String>(raw.get())) {
        None => Err(("REQUIRED", "the field user_id is required".to_owned())),
        Some(Err(_)) => Err(("TYPE", "a text in quotes is expected here".to_owned())),
        Some(Ok(text)) => UserId::parse(&text).map_err(|detail| ("USER_ID", detail)),
    };
    fields.0.retain(|(name, _)| name != "user_id");
    let mut errors = unknown_fields(&fields);
    match user {
        Ok(user) if errors.is_empty() => return Ok(user),
        Ok(_) => {}
        Err((code, detail)) => errors.insert(0, FieldError::new("/user_id", code, detail)),
    }
    Err(Rejection::Invalid(errors))
}

#[derive(Serialize)]
struct Me {
    user_id: Option<UserId>,
    scopes: Vec<&'static str>,
    /// Of an API key only.
    #[serde(flatten)]
    key: Option<MyKey>,
}

#[derive(Serialize)]
struct MyKey {
    key_id: KeyId,
    name: String,
    users: Vec<UserId>,
    accounts: Vec<AccountId>,
    expires_at: Option<Timestamp>,
}

impl From<&ApiKey> for MyKey {
    fn from(key: &ApiKey) -> Self {
        let ApiKey { id, name, users, accounts, expires_at, .. } = key.clone();
        Self { key_id: id, name, users, accounts, expires_at }
    }
}

/// Says whom the caller's token or API key speaks for.
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "access", operation_id = "getMe",
    responses((status = 200, description = "The caller.", body = MeBody), ReadProblems),
)]
pub async fn me(HasToken(identity): HasToken, params: Params) -> Result<Response> {
    params.only(&[])?;
    let scopes = identity.scopes.iter().map(|scope| scope.name()).collect();
    let user_id = match identity.subject {
        Subject::User(user) => Some(user),
        Subject::Service(_) => None,
    };
    let key = identity.key.as_deref().map(MyKey::from);
    answer::of(&Me { user_id, scopes, key })
}
