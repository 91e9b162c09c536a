//! API keys: created, listed, rotated and revoked by administrators.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use daybook_core::json::Fields;
use daybook_core::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use daybook_core::{Action, FieldError, KeyId, NewKey, Outcome, Rejection, Timestamp};

use super::answer;
use super::caller::IsAdmin;
use super::error::{Error, Result};
use super::limit::JsonBody;
use super::request::{Key, Params, PathKey, Reader, position, unknown_fields};
use super::schema::{
    KeyBody, KeyCreated, KeyPage, KeyParam, KeyWithSecretBody, ListParams, NewKeyBody,
    ReadProblems, RotateKeyBody, WriteHeaders, WriteProblems,
};
use crate::app::{App, Done, now};
use crate::auth::Scope;
use crate::auth::api_keys::{GRACE_MAX, Pepper, Shown};

const GRACE_S_MAX: u64 = GRACE_MAX.as_secs();
/// Of what cursors of this list are.
const LIST: u128 = 0x0061_7069_6b65_7973;

fn pepper(app: &App) -> Result<&Pepper> {
    app.api_keys().pepper().ok_or(Error::KeysOff)
}

/// Creates an API key for a service.
///
/// The answer is the only one that has the secret: what is stored is a keyed hash of it. The same
/// request with the same idempotency key is answered without it.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "access", operation_id = "createKey",
    params(WriteHeaders), request_body = NewKeyBody,
    responses(KeyCreated, WriteProblems),
)]
pub async fn create(
    State(app): State<App>,
    IsAdmin(caller): IsAdmin,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let minted = pepper(&app)?.mint();
    let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    let new = NewKey::parse(body.text(), (minted.id, minted.hash), &known, now())?;
    let key = key.bind(&caller, body.text());
    let done = app.commit_one(key, Action::Issue(new)).await?;
    written(&app, &done, StatusCode::CREATED, Some(&minted.secret)).await
}

/// Gives an API key another secret, which only this answer has.
///
/// The secret that it had opens for `grace_seconds` more, so that the service can be given the new
/// one without a break.
#[utoipa::path(
    post, path = "/api/v1/keys/{id}/rotate", tag = "access", operation_id = "rotateKey",
    params(KeyParam, WriteHeaders), request_body = Option<RotateKeyBody>,
    responses(
        (status = 200, description = "The key, with its new secret.", body = KeyWithSecretBody),
        WriteProblems,
    ),
)]
pub async fn rotate(
    State(app): State<App>,
    IsAdmin(caller): IsAdmin,
    PathKey(id): PathKey,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let grace_s = read_grace(body.text())?;
    let minted = pepper(&app)?.mint_again(id);
    let until = now().micros().saturating_add(i64::try_from(grace_s * 1_000_000).unwrap_or(0));
    let until = (grace_s > 0).then(|| Timestamp::from_micros(until));
    let key = key.bind(&caller, body.text());
    let action = Action::Renew { id, hash: minted.hash, until };
    let done = app.commit_one(key, action).await?;
    app.api_keys().forget(id);
    written(&app, &done, StatusCode::OK, Some(&minted.secret)).await
}

fn read_grace(body: &str) -> std::result::Result<u64, Rejection> {
    if body.trim().is_empty() {
        return Ok(0);
    }
    let mut fields = Fields::parse(body)?;
    let grace = fields.take("grace_seconds").map(|raw| serde_json::from_str::<u64>(raw.get()));
    let mut errors = unknown_fields(&fields);
    match grace {
        None if errors.is_empty() => return Ok(0),
        Some(Ok(grace)) if grace <= GRACE_S_MAX && errors.is_empty() => return Ok(grace),
        None | Some(Ok(0..=GRACE_S_MAX)) => {}
        Some(_) => {
            let detail = format!("a whole number of seconds up to {GRACE_S_MAX} is expected");
            errors.insert(0, FieldError::new("/grace_seconds", "RANGE", detail));
        }
    }
    Err(Rejection::Invalid(errors))
}

/// Revokes an API key: it opens nothing any more.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "access", operation_id = "revokeKey",
    params(KeyParam, WriteHeaders),
    responses((status = 204, description = "It opens nothing any more."), WriteProblems),
)]
pub async fn revoke(
    State(app): State<App>,
    IsAdmin(caller): IsAdmin,
    PathKey(id): PathKey,
    params: Params,
    key: Key,
) -> Result<Response> {
    params.only(&[])?;
    let key = key.bind(&caller, "");
    let done = app.commit_one(key, Action::Revoke { id }).await?;
    app.api_keys().forget(id);
    let mut response = answer::json(StatusCode::NO_CONTENT, "");
    response.headers_mut().remove(header::CONTENT_TYPE);
    answer::put_commit(response.headers_mut(), done.seq, done.replayed);
    Ok(response)
}

/// Reads an API key, without its secret.
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "access", operation_id = "getKey",
    params(KeyParam),
    responses((status = 200, description = "The key.", body = KeyBody), ReadProblems),
)]
pub async fn get(
    State(app): State<App>,
    _: IsAdmin,
    PathKey(id): PathKey,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    let key = app.store().api_key(id).await?.ok_or(Rejection::KeyNotFound { id })?;
    answer::of(&Shown::of(&key, None))
}

/// Lists API keys, those that are over included, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "access", operation_id = "listKeys",
    params(ListParams),
    responses((status = 200, description = "A page.", body = KeyPage), ReadProblems),
)]
pub async fn list(State(app): State<App>, _: IsAdmin, params: Params) -> Result<Response> {
    params.only(&["cursor", "limit"])?;
    let mut reader = Reader::new(&params);
    let limit = reader.limit(PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    let cursor = reader.one("cursor");
    reader.finish()?;
    let after = KeyId(position(cursor, LIST)?.unwrap_or(-1));
    let found = app.store().api_keys(after, limit).await?;
    let items = found.items.iter().map(|key| Shown::of(key, None)).collect();
    let shown = daybook_store::List { items, has_more: found.has_more };
    answer::list(&shown, |shown| shown.key.id.0, LIST, limit)
}

/// The key as it stands, with its secret unless this is a repeated answer.
async fn written(
    app: &App,
    done: &Done,
    status: StatusCode,
    secret: Option<&str>,
) -> Result<Response> {
    let (Outcome::Created(recorded) | Outcome::Updated(recorded) | Outcome::Unchanged(recorded)) =
        &done.outcome
    else {
        return Err(Error::Unanswered);
    };
    let daybook_core::Subject::Key(id) = recorded.subject else { return Err(Error::Unanswered) };
    let key = app.store().api_key(id).await?.ok_or(Error::Unanswered)?;
    let secret = secret.filter(|_| !done.replayed);
    let mut response = answer::of(&Shown::of(&key, secret))?;
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::CREATED {
        let path = HeaderValue::try_from(format!("/api/v1/keys/{id}"));
        headers.insert(header::LOCATION, path.map_err(|error| Error::Internal(error.into()))?);
    }
    answer::put_commit(headers, done.seq, done.replayed);
    Ok(response)
}
