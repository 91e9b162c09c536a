//! Accounts: opened, read, changed, and their statements.

use axum::extract::State;
use axum::response::Response;
use daybook_core::id::fnv128;
use daybook_core::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use daybook_core::query::{AccountsQuery, EntriesQuery};
use daybook_core::{
    AccountId, AccountPatch, AccountStatus, Action, Currency, EventSeq, Holding, NewAccount, Owner,
    Rejection, Timestamp, UserId,
};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::answer;
use super::books::Books;
use super::caller::{CanReadLedger, CanWriteLedger};
use super::error::Result;
use super::limit::JsonBody;
use super::request::{IfMatch, Key, Params, PathAccount, Reader, position};
use super::schema::{
    AccountAnswer, AccountCreated, AccountPage, AccountParam, AccountPatchBody, AccountWritten,
    AccountsParams, AtParam, EntriesParams, EntryPage, IfMatchHeader, NewAccountBody, ReadHeaders,
    ReadProblems, WriteHeaders, WriteProblems,
};
use crate::app::{App, now};

/// Opens an account.
///
/// The opening balance is moved from the equity account of the currency in the same commit. With
/// a user's token an account is the user's own, and opens empty and without an overdraft.
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "accounts", operation_id = "openAccount",
    params(WriteHeaders), request_body = NewAccountBody,
    responses(AccountCreated, WriteProblems),
)]
pub async fn create(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    params: Params,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let new = NewAccount::parse(body.text(), caller.user(), app.vocabulary())?;
    match &new.user_id {
        Some(user_id) => caller.check(user_id)?,
        None => caller.check_operator("open an account that belongs to nobody")?,
    }
    if new.gives_money() {
        caller.check_operator("give an account money or an overdraft")?;
    }
    let key = key.bind(&caller, body.text());
    answer::done(&app.commit_one(key, Action::Open(new)).await?)
}

/// Lists accounts in the order of their numbers.
///
/// With a user's token they are the user's own. The equity account of each currency, which opening
/// balances come from, has a negative number.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "accounts", operation_id = "listAccounts",
    params(AccountsParams, ReadHeaders),
    responses((status = 200, description = "A page.", body = AccountPage), ReadProblems),
)]
pub async fn list(
    State(app): State<App>,
    CanReadLedger(caller): CanReadLedger,
    books: Books,
    params: Params,
) -> Result<Response> {
    params.only(&["user_id", "currency", "status", "cursor", "limit"])?;
    let mut reader = Reader::new(&params);
    let named = reader.user();
    let currency = reader.one("currency");
    let currency = currency.and_then(|code| reader.currency_code(code, app.vocabulary()));
    let status = reader.one_of("status", AccountStatus::from_name, AccountStatus::names);
    let limit = reader.limit(PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    let cursor = reader.one("cursor");
    reader.finish()?;
    let user_id = caller.about(named)?;
    let digest = fnv128(&[
        b"accounts",
        user_id.as_ref().map_or("", UserId::as_str).as_bytes(),
        currency.as_deref().unwrap_or("").as_bytes(),
        status.map_or("", AccountStatus::name).as_bytes(),
    ]);
    let after = position(cursor, digest)?.map(AccountId);
    let query = AccountsQuery { user_id, currency, status, after, limit };
    let found = books.accounts(query).await?;
    answer::list(&found, |holding| holding.account.id.0, digest, limit)
}

/// What an account held at a moment.
#[derive(Serialize)]
struct Past {
    account_id: AccountId,
    currency: Currency,
    balance: String,
    at: Timestamp,
}

/// Reads an account, or with `at` the balance that it had at a past moment.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}", tag = "accounts", operation_id = "getAccount",
    params(AccountParam, AtParam, ReadHeaders),
    responses(
        (status = 200, description = "The account, or its balance at a moment.",
         body = AccountAnswer,
         headers(("ETag" = String, description = "The account's version, in quotes; a balance \
                                                  at a moment has none."))),
        ReadProblems,
    ),
)]
pub async fn get(
    CanReadLedger(caller): CanReadLedger,
    books: Books,
    PathAccount(id): PathAccount,
    params: Params,
) -> Result<Response> {
    params.only(&["at"])?;
    let mut reader = Reader::new(&params);
    let at = reader.moment("at").map(|moment| moment.start(&TimeZone::UTC));
    reader.finish()?;
    let Some(at) = at else {
        let holding = books.account(id).await?;
        return Ok(answer::account(&own(id, holding, caller.owner().as_ref())?));
    };
    let holding = own(id, books.balance_at(id, at).await?, caller.owner().as_ref())?;
    if at > now() && at > newest(&books, &holding).await? {
        let mut reader = Reader::new(&params);
        reader.error("at", "IN_FUTURE", "`at` lies in the future; nobody knows that balance yet");
        reader.finish()?;
    }
    let currency = holding.account.currency;
    let balance = holding.funds.balance.to_text(currency);
    answer::of(&Past { account_id: id, currency, balance, at })
}

/// The latest time that the log knows of: that of its newest event or of the account's newest entry.
/// Where the clock of this process is behind, they are past all the same.
async fn newest(books: &Books, holding: &Holding) -> Result<Timestamp> {
    let before = EventSeq(books.seq().0 - 1);
    let last = books.events(before, 1).await?.pop();
    Ok(last.map_or(holding.funds.posted_at, |event| event.at.max(holding.funds.posted_at)))
}

/// Changes an account's name, metadata, overdraft limit or status (JSON merge patch, RFC 7396).
///
/// A frozen account neither gives nor takes money until it is open again. An account without
/// money and holds may be closed, for good. With a user's token only name and metadata change.
#[utoipa::path(
    patch, path = "/api/v1/accounts/{id}", tag = "accounts", operation_id = "patchAccount",
    params(AccountParam, IfMatchHeader, WriteHeaders),
    request_body(content(
        (AccountPatchBody = "application/json"),
        (AccountPatchBody = "application/merge-patch+json"))),
    responses(AccountWritten, WriteProblems),
)]
pub async fn patch(
    State(app): State<App>,
    CanWriteLedger(caller): CanWriteLedger,
    PathAccount(id): PathAccount,
    params: Params,
    IfMatch(version): IfMatch,
    key: Key,
    body: JsonBody,
) -> Result<Response> {
    params.only(&[])?;
    let patch = AccountPatch::parse(body.text())?;
    if patch.is_for_operators() {
        caller.check_operator("change the overdraft or the status of an account")?;
    }
    let key = key.bind(&caller, body.text());
    let owner = caller.owner();
    answer::done(&app.commit_one(key, Action::Reform { id, owner, version, patch }).await?)
}

/// Lists the movements of an account, newest first, with the balance after each: its statement.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/entries", tag = "accounts", operation_id = "listEntries",
    params(AccountParam, EntriesParams, ReadHeaders),
    responses((status = 200, description = "A page.", body = EntryPage), ReadProblems),
)]
pub async fn entries(
    CanReadLedger(caller): CanReadLedger,
    books: Books,
    PathAccount(id): PathAccount,
    params: Params,
) -> Result<Response> {
    params.only(&["start_date", "end_date", "cursor", "limit"])?;
    let mut reader = Reader::new(&params);
    let (from, to) = reader.range(&TimeZone::UTC);
    let limit = reader.limit(PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    let cursor = reader.one("cursor");
    reader.finish()?;
    let digest = fnv128(&[
        b"entries",
        &id.0.to_be_bytes(),
        &from.micros().to_be_bytes(),
        &to.micros().to_be_bytes(),
    ]);
    let before = position(cursor, digest)?.map(EventSeq);
    let owner = caller.owner();
    if owner.is_some() {
        own(id, books.account(id).await?, owner.as_ref())?;
    }
    let query = EntriesQuery { account: id, from, to, before, limit };
    let found = books.entries(query).await?.ok_or(Rejection::AccountNotFound { id })?;
    answer::list(&found, |entry| entry.number.0, digest, limit)
}

/// The account when it is there and belongs to `owner`; without one it may be anybody's.
pub(super) fn own(
    id: AccountId,
    holding: Option<Holding>,
    owner: Option<&Owner>,
) -> Result<Holding> {
    let holding = holding.ok_or(Rejection::AccountNotFound { id })?;
    if owner.is_some_and(|owner| !owner.has_account(&holding.account)) {
        return Err(Rejection::NotYourAccount { id }.into());
    }
    Ok(holding)
}
