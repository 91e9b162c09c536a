//! A signed statement of what the event log says now, for operators.

use axum::extract::State;
use axum::response::Response;
use daybook_core::EventSeq;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::caller::IsOperator;
use super::error::{Error, Result};
use super::request::Params;
use super::schema::ReadProblems;
use crate::app::App;
use crate::checkpoint::Checkpoint;

/// What the event log says.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointBody {
    /// The newest event; 0 before the first.
    #[schema(value_type = i64)]
    seq: EventSeq,
    /// The link of that event in the hash chain, in hexadecimal digits.
    link: Option<String>,
    /// Both, signed as a JSON web signature; null where there is nothing to sign with.
    checkpoint: Option<String>,
}

/// Says what the newest event is and which link of the hash chain it has, signed.
///
/// Keep it where whoever can write to the store cannot: `daybook verify --checkpoint` proves with it
/// that no event up to this one was changed, removed or added.
#[utoipa::path(
    get, path = "/api/v1/checkpoint", tag = "access", operation_id = "getCheckpoint",
    responses(
        (status = 200, description = "The newest event.", body = CheckpointBody),
        ReadProblems,
    ),
)]
pub async fn get(State(app): State<App>, _: IsOperator, params: Params) -> Result<Response> {
    params.only(&[])?;
    let seq = app.store().seq();
    let checkpoint = app.store().link(seq).await?.map(|link| Checkpoint::new(seq, &link));
    let signed = checkpoint.as_ref().zip(app.settings().checkpoints.as_ref());
    let signed = signed.map(|(checkpoint, signer)| signer.sign(checkpoint)).transpose();
    let signed = signed.map_err(|error| Error::Internal(Box::new(error)))?;
    let link = checkpoint.map(|checkpoint| checkpoint.link);
    answer::of(&CheckpointBody { seq, link, checkpoint: signed })
}
