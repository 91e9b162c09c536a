//! The feed's items: recorded, read, changed and erased one at a time.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use daybook_core::{Action, NewTransaction, Owner, Patch, Query, Rejection, TransactionId, UserId};

use super::answer;
use super::books::Books;
use super::caller::{Caller, CanRead, CanWrite};
use super::error::Result;
use super::limit::JsonBody;
use super::request::{self, Id, IfMatch, Key, Params, Reader};
use super::schema::{
    Created, Erased, FeedParams, IdParam, IfMatchHeader, IfNoneMatchHeader, NewTransactionBody,
    OwnerParam, Page, PatchBody, ReadHeaders, ReadProblems, ReplacementBody, TransactionBody,
    WriteHeaders, WriteProblems, Written,
};
use crate::app::{App, new_id};

/// Records a transaction.
///
/// A record that is known already, by its `source` and `external_id` or by its `id`, updates the item
/// when it is newer and changes nothing when it is not; the answer is 200 then, not 201, and the
/// header `X-Daybook-Result` says what became of it. Newer is a higher `source_version` or a later
/// `source_updated_at`; without either, a pending record with another status, if it has a `source`. A
/// record that contradicts what is stored is refused (409) with both. Fields whose names begin with
/// `_`, `search_content` and `updated_at` are passed over.
#[utoipa::path(
    post, path = "/api/v1/transactions", tag = "feed", operation_id = "createTransaction",
    params(WriteHeaders), request_body = NewTransactionBody,
    responses(Created, Written, WriteProblems),
)]
pub async fn create(
    State(app): State<App>,
    CanWrite(caller): CanWrite,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let new = NewTransaction::parse(body.text(), new_id(), caller.user(), app.vocabulary())?;
    caller.check(&new.user_id)?;
    let key = key.bind(&caller, body.text());
    answer::done(&app.commit_one(key, Action::Record(new)).await?)
}

/// Lists a user's feed, newest first: filtered, searched, and paged by number or by cursor.
#[utoipa::path(
    get, path = "/api/v1/transactions", tag = "feed", operation_id = "listTransactions",
    params(FeedParams, ReadHeaders),
    responses(
        (status = 200, description = "A page.", body = Page),
        ReadProblems,
    ),
)]
pub async fn list(
    State(app): State<App>,
    CanRead(caller): CanRead,
    books: Books,
    Params(pairs): Params,
) -> Result<Response> {
    let query = Query::parse(&pairs, caller.user(), app.vocabulary())?;
    caller.check(&query.user_id)?;
    let (digest, paging) = (query.digest, query.paging.clone());
    let page = books.transactions(query).await?;
    answer::page(&page, &paging, digest)
}

/// Reads a transaction.
#[utoipa::path(
    get, path = "/api/v1/transactions/{id}", tag = "feed", operation_id = "getTransaction",
    params(IdParam, OwnerParam, IfNoneMatchHeader,
           ReadHeaders),
    responses(
        (status = 200, description = "The item.", body = TransactionBody,
         headers(("ETag" = String, description = "The item's version, in quotes."))),
        (status = 304, description = "The reader's copy is the newest one."),
        ReadProblems,
    ),
)]
pub async fn get(
    CanRead(caller): CanRead,
    books: Books,
    Id(id): Id,
    params: Params,
    headers: HeaderMap,
) -> Result<Response> {
    let owner = owner(&caller, &params)?;
    let item = books.transaction(id).await?.ok_or(Rejection::NotFound { id })?;
    check_owner(id, owner.as_ref(), &item.user_id)?;
    if request::has_version(&headers, item.version) {
        return Ok(answer::not_modified(item.version));
    }
    Ok(answer::item(&item))
}

/// Changes the status, amount, side, metadata or time of a transaction (JSON merge patch, RFC 7396).
///
/// A side that nobody said follows from the metadata, as it does when the item is recorded.
#[utoipa::path(
    patch, path = "/api/v1/transactions/{id}", tag = "feed", operation_id = "patchTransaction",
    params(IdParam, OwnerParam, IfMatchHeader,
           WriteHeaders),
    request_body(content(
        (PatchBody = "application/json"), (PatchBody = "application/merge-patch+json"))),
    responses(Written, WriteProblems),
)]
pub async fn patch(
    State(app): State<App>,
    CanWrite(caller): CanWrite,
    Id(id): Id,
    params: Params,
    IfMatch(version): IfMatch,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    let owner = owner(&caller, &params)?;
    let patch = Patch::parse(body.text())?;
    let key = key.bind(&caller, body.text());
    answer::done(&app.commit_one(key, Action::Amend { id, owner, version, patch }).await?)
}

/// Replaces every field of a transaction that may change; what `GET` answered is such a body.
#[utoipa::path(
    put, path = "/api/v1/transactions/{id}", tag = "feed", operation_id = "replaceTransaction",
    params(IdParam, OwnerParam, IfMatchHeader,
           WriteHeaders),
    request_body = ReplacementBody,
    responses(Written, WriteProblems),
)]
pub async fn put(
    State(app): State<App>,
    CanWrite(caller): CanWrite,
    Id(id): Id,
    params: Params,
    IfMatch(version): IfMatch,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    let owner = owner(&caller, &params)?;
    let patch = Patch::parse_full(body.text(), app.vocabulary())?;
    let key = key.bind(&caller, body.text());
    answer::done(&app.commit_one(key, Action::Amend { id, owner, version, patch }).await?)
}

/// Erases a transaction from feed, search and statistics; the event log keeps the trace.
#[utoipa::path(
    delete,
    path = "/api/v1/transactions/{id}",
    tag = "feed",
    operation_id = "deleteTransaction",
    params(IdParam, OwnerParam, IfMatchHeader, WriteHeaders),
    responses(Erased, WriteProblems)
)]
pub async fn delete(
    State(app): State<App>,
    CanWrite(caller): CanWrite,
    Id(id): Id,
    params: Params,
    IfMatch(version): IfMatch,
    key: Key,
) -> Result<Response> {
    let owner = owner(&caller, &params)?;
    let key = key.bind(&caller, "");
    answer::done(&app.commit_one(key, Action::Erase { id, owner, version }).await?)
}

/// Whose item it must be: the caller's own, or that of whom a caller names who may name others.
pub(super) fn owner(caller: &Caller, params: &Params) -> Result<Option<Owner>> {
    params.only(&["user_id"])?;
    let mut reader = Reader::new(params);
    let named = reader.user();
    // This is no filter: who it must be may not be left open by an empty name.
    if named.is_none() && !params.0.is_empty() && reader.errors.is_empty() {
        reader.error("user_id", "USER_ID", "the user id is empty");
    }
    reader.finish()?;
    match named.filter(|_| caller.user().is_none()) {
        Some(named) => {
            caller.check(&named)?;
            Ok(Some(named.into()))
        }
        None => Ok(caller.owner()),
    }
}

pub(super) fn check_owner(id: TransactionId, owner: Option<&Owner>, user: &UserId) -> Result<()> {
    if owner.is_some_and(|owner| !owner.has_user(user)) {
        return Err(Rejection::NotYours { id }.into());
    }
    Ok(())
}
