//! Transfers between accounts: made, held, posted, voided, rolled back, and listed.

use axum::extract::{Request, State};
use axum::response::Response;
use daybook_core::id::fnv128;
use daybook_core::json::Fields;
use daybook_core::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use daybook_core::query::{TransfersQuery, Whose};
use daybook_core::transfer::parse_capture;
use daybook_core::{Action, EventSeq, NewTransfer, Outcome, Owner, Rejection, TransferStatus};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::accounts::own;
use super::answer;
use super::batch::{self, Items};
use super::books::Books;
use super::caller::{Caller, CanReadLedger, CanWriteLedger};
use super::error::Result;
use super::limit::JsonBody;
use super::request::{Key, Params, PathTransfer, PrefersAsync, Reader, position, unknown_fields};
use super::schema::{
    BatchParams, BodyProblems, CaptureBody, NewTransferBody, PreferHeader, ReadHeaders,
    ReadProblems, RefusedTransferBatchBody, TransferAccepted, TransferBatchDone, TransferBody,
    TransferCreated, TransferPage, TransferParam, TransferWritten, TransfersParams, WriteHeaders,
    WriteProblems,
};
use crate::app::{App, new_transfer_id};

/// Moves money from one account to another, or holds it with `pending`.
///
/// With `execute_at` a worker does it then, and with `Prefer: respond-async` as soon as it can; it
/// tries again what fails for a passing reason. A `reference` is unique among the transfers of a
/// source: the same content sent again answers 200 and the transfer that there is already.
#[utoipa::path(
    post, path = "/api/v1/transfers", tag = "transfers", operation_id = "createTransfer",
    params(PreferHeader, WriteHeaders), request_body = NewTransferBody,
    responses(TransferCreated, TransferAccepted, TransferWritten, WriteProblems),
)]
pub async fn create(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    params: Params,
    PrefersAsync(prefers_async): PrefersAsync,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let mut new = read(body.text(), &caller, &app)?;
    // A preference may be passed over; when something happened is no work to leave to others.
    let later = prefers_async && new.created_at.is_none();
    new.queued |= later;
    let key = key.bind(&caller, body.text());
    let done = app.commit_one(key, Action::Transfer(new)).await?;
    let later = if done.replayed { was_left(&done.outcome).unwrap_or(later) } else { later };
    if later { answer::accepted(&done) } else { answer::done(&done) }
}

/// Whether the first answer left the transfer to a worker, whatever a repeat prefers; `None` where a
/// scheduled one does not tell.
fn was_left(outcome: &Outcome) -> Option<bool> {
    #[derive(Deserialize)]
    struct Left {
        execute_at: Option<IgnoredAny>,
        next_attempt: Option<IgnoredAny>,
    }
    let Outcome::Created(recorded) = outcome else { return Some(false) };
    let left: Left = serde_json::from_str(&recorded.body).ok()?;
    match (left.next_attempt, left.execute_at) {
        (None, _) => Some(false),
        (Some(_), None) => Some(true),
        (Some(_), Some(_)) => None,
    }
}

/// Makes up to 10 000 transfers in one commit.
///
/// The results stand in the order of the items, and a later item sees what an earlier one moved.
/// With `atomic=true` the items are the legs of one movement: one refused item refuses all.
#[utoipa::path(
    post, path = "/api/v1/transfers/batch", tag = "transfers", operation_id = "createTransfers",
    params(BatchParams, WriteHeaders),
    request_body(content(
        (Vec<NewTransferBody> = "application/json"), (String = "application/x-ndjson"))),
    responses(
        TransferBatchDone,
        (status = 422, description = "Atomic, and an item was refused: nothing was moved, and \
         `results` says why. Or the batch is empty, or its key was used for another.",
         body = RefusedTransferBatchBody, content_type = "application/problem+json"),
        BodyProblems,
    ),
)]
pub async fn create_batch(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    params: Params,
    key: Key,
    request: Request,
) -> Result<Response> {
    let items = Items {
        name: "transfer",
        read: |item, caller, app| read(item, caller, app).map(Action::Transfer),
    };
    batch::commit(&app, caller, &params, key, request, items).await
}

fn read(body: &str, caller: &Caller, app: &App) -> std::result::Result<NewTransfer, Rejection> {
    let new = NewTransfer::parse(body, new_transfer_id(), app.vocabulary())?;
    Ok(NewTransfer { owner: caller.owner(), ..new })
}

/// Lists transfers, last submitted first.
#[utoipa::path(
    get, path = "/api/v1/transfers", tag = "transfers", operation_id = "listTransfers",
    params(TransfersParams, ReadHeaders),
    responses((status = 200, description = "A page.", body = TransferPage), ReadProblems),
)]
pub async fn list(
    CanReadLedger(caller): CanReadLedger,
    books: Books,
    params: Params,
) -> Result<Response> {
    params.only(&["account_id", "user_id", "status", "reference", "cursor", "limit"])?;
    let mut reader = Reader::new(&params);
    let (account, named) = (reader.account(), reader.user());
    let status = reader.one_of("status", TransferStatus::from_name, TransferStatus::names);
    let reference = reader.one("reference").map(str::to_owned);
    let limit = reader.limit(PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    let cursor = reader.one("cursor");
    reader.finish()?;
    let whose = match account {
        Some(id) => {
            let named = named.filter(|_| caller.user().is_none());
            if let Some(named) = &named {
                caller.check(named)?;
            }
            let owner = named.map(Owner::User).or_else(|| caller.owner());
            own(id, books.account(id).await?, owner.as_ref())?;
            Whose::Account(id)
        }
        None => caller.about(named)?.map_or(Whose::All, Whose::User),
    };
    let (kind, name) = match &whose {
        Whose::All => ("all", String::new()),
        Whose::Account(id) => ("account", id.to_string()),
        Whose::User(user) => ("user", user.to_string()),
    };
    let digest = fnv128(&[
        b"transfers",
        kind.as_bytes(),
        name.as_bytes(),
        status.map_or("", TransferStatus::name).as_bytes(),
        reference.is_some().to_string().as_bytes(),
        reference.as_deref().unwrap_or("").as_bytes(),
    ]);
    let before = position(cursor, digest)?.map(EventSeq);
    let query = TransfersQuery { whose, status, reference, before, limit };
    let found = books.transfers(query).await?;
    answer::list(&found, |transfer| transfer.number.0, digest, limit)
}

/// Reads a transfer.
#[utoipa::path(
    get, path = "/api/v1/transfers/{id}", tag = "transfers", operation_id = "getTransfer",
    params(TransferParam, ReadHeaders),
    responses(
        (status = 200, description = "The transfer.", body = TransferBody,
         headers(("ETag" = String, description = "The transfer's version, and its \
                                                  failed attempts, in quotes."))),
        ReadProblems,
    ),
)]
pub async fn get(
    CanReadLedger(caller): CanReadLedger,
    books: Books,
    PathTransfer(id): PathTransfer,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    let found = books.transfer(id).await?.ok_or(Rejection::TransferNotFound { id })?;
    if let Some(owner) = caller.owner() {
        let mut is_theirs = false;
        for account in [found.source, found.destination] {
            let holding = books.account(account).await?;
            is_theirs |= holding.is_some_and(|h| owner.has_account(&h.account));
        }
        if !is_theirs {
            return Err(Rejection::NotYourTransfer { id }.into());
        }
    }
    Ok(answer::transfer(&found))
}

/// Moves what a transfer holds, or a part of it; the rest is free again.
///
/// With a user's token only the owner of the source may.
#[utoipa::path(
    post, path = "/api/v1/transfers/{id}/post", tag = "transfers", operation_id = "postTransfer",
    params(TransferParam, WriteHeaders),
    request_body = Option<CaptureBody>,
    responses(TransferWritten, WriteProblems),
)]
pub async fn post(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    PathTransfer(id): PathTransfer,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let amount = parse_capture(body.text())?;
    let key = key.bind(&caller, body.text());
    let owner = caller.owner();
    answer::done(&app.commit_one(key, Action::Post { id, owner, amount }).await?)
}

/// Lets go of what a transfer holds, or takes back one that waits to be done.
///
/// With a user's token only the owner of the destination may let go of a hold, and only the owner
/// of the source take back what waits.
#[utoipa::path(
    post,
    path = "/api/v1/transfers/{id}/void",
    tag = "transfers",
    operation_id = "voidTransfer",
    params(TransferParam, WriteHeaders),
    responses(TransferWritten, WriteProblems)
)]
pub async fn void(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    PathTransfer(id): PathTransfer,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    let action = Action::Void { id, owner: caller.owner() };
    decide(&app, &caller, &params, &key, &body, action).await
}

/// Undoes a complete transfer by a new opposite one, which `rolled_back_by` names.
///
/// With a user's token only the owner of the destination may.
#[utoipa::path(
    post,
    path = "/api/v1/transfers/{id}/rollback",
    tag = "transfers",
    operation_id = "rollBackTransfer",
    params(TransferParam, WriteHeaders),
    responses(TransferWritten, WriteProblems)
)]
pub async fn roll_back(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    PathTransfer(id): PathTransfer,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    let action = Action::Rollback { id, owner: caller.owner(), by: new_transfer_id() };
    decide(&app, &caller, &params, &key, &body, action).await
}

/// Commits a decision on a transfer that says all by its path.
async fn decide(
    app: &App,
    caller: &Caller,
    params: &Params,
    key: &Key,
    body: &JsonBody,
    action: Action,
) -> Result<Response> {
    params.only(&[])?;
    nothing(body.text())?;
    let key = key.bind(caller, "");
    answer::done(&app.commit_one(key, action).await?)
}

/// A body that says nothing: no byte, or an object without a field.
fn nothing(body: &str) -> std::result::Result<(), Rejection> {
    if body.trim().is_empty() {
        return Ok(());
    }
    let unknown = unknown_fields(&Fields::parse(body)?);
    if unknown.is_empty() { Ok(()) } else { Err(Rejection::Invalid(unknown)) }
}
