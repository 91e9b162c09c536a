//! The proof of the ledger, for operators.

use axum::extract::State;
use axum::response::Response;

use super::answer;
use super::books::Books;
use super::caller::IsOperator;
use super::error::Result;
use super::request::Params;
use super::schema::{LedgerVerifiedBody, ReadHeaders, ReadProblems};
use crate::app::App;

/// Proves every balance, hold, statement and feed item of the ledger from its transfers.
///
/// Only one look at the ledger is taken at a time: who asks while one is under way waits for its
/// answer. When it takes longer than a request may, ask again.
#[utoipa::path(
    get, path = "/api/v1/ledger/verify", tag = "ledger", operation_id = "verifyLedger",
    params(ReadHeaders),
    responses(
        (status = 200, description = "What was found.", body = LedgerVerifiedBody),
        ReadProblems,
    ),
)]
pub async fn verify(
    State(app): State<App>,
    _: IsOperator,
    _: Books,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    answer::of(&*app.look_at_ledger().await?)
}
