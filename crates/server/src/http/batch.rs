//! Many items in one request: a JSON array, or one JSON object a line.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use daybook_core::json::JsonError;
use daybook_core::limits::BATCH_ITEMS_MAX;
use daybook_core::write_set::Recorded;
use daybook_core::{Action, NewTransaction, Outcome, Rejection, Reply};
use serde_json::value::RawValue;

use super::answer;
use super::budget::Meter;
use super::caller::{Caller, CanWrite};
use super::error::{Error, Problem, Result};
use super::limit;
use super::request::{Key, Params, Reader};
use super::schema::{
    BatchDone, BatchParams, BodyProblems, NewTransactionBody, RefusedBatchBody, WriteHeaders,
};
use crate::app::{App, new_id};

/// A body larger than this is read by a thread that may take its time.
const INLINE_BYTES_MAX: usize = 32 * 1024;
/// What one result takes on average; only a first guess for a buffer.
const RESULT_BYTES: usize = 720;

/// Records up to 10 000 transactions in one commit.
///
/// The results stand in the order of the items. With `atomic=true` one refused item refuses all.
#[utoipa::path(
    post, path = "/api/v1/transactions/batch", tag = "feed", operation_id = "createTransactions",
    params(BatchParams, WriteHeaders),
    request_body(content(
        (Vec<NewTransactionBody> = "application/json"), (String = "application/x-ndjson"))),
    responses(
        BatchDone,
        (status = 422, description = "Atomic, and an item was refused: nothing was recorded, and \
         `results` says why. Or the batch is empty, or its key was used for another.",
         body = RefusedBatchBody, content_type = "application/problem+json"),
        BodyProblems,
    ),
)]
pub async fn create(
    State(app): State<App>,
    CanWrite(caller): CanWrite,
    params: Params,
    key: Key,
    request: Request,
) -> Result<Response> {
    let items = Items { name: "transaction", read: record };
    commit(&app, caller, &params, key, request, items).await
}

/// What the items of a batch are.
#[derive(Clone, Copy)]
pub(super) struct Items {
    /// Under this name a result shows its item.
    pub name: &'static str,
    pub read: fn(&str, &Caller, &App) -> std::result::Result<Action, Rejection>,
}

/// Reads a batch, commits it and says what became of each item.
pub(super) async fn commit(
    app: &App,
    caller: Caller,
    params: &Params,
    key: Key,
    request: Request,
    items: Items,
) -> Result<Response> {
    let atomic = atomic(params)?;
    let (parts, body) = request.into_parts();
    let form = Form::of(&parts.headers)?;
    let _place = app.batch_place().await.ok_or(Error::Overloaded)?;
    let bytes = limit::read(&parts.headers, body, app.settings().batch_body_max, app).await?;
    let text = String::from_utf8(bytes.into()).map_err(|_| Error::NotUtf8)?;
    let is_large = text.len() > INLINE_BYTES_MAX;
    let read = {
        let app = app.clone();
        let meter = parts.extensions.get::<Arc<Meter>>().cloned();
        move || {
            let texts = form.split(&text)?;
            let key = key.bind_items(&caller, &texts);
            if let Some(meter) = meter {
                meter.pay_for_items(texts.len())?;
            }
            let actions = texts.into_iter().map(|item| (items.read)(item, &caller, &app));
            let actions = actions.map(|action| action.unwrap_or_else(Action::Refused));
            Ok::<_, Error>((key, actions.collect()))
        }
    };
    let (key, actions) = if is_large { apart(read).await?? } else { read()? };
    let reply = app.commit(key, atomic, actions).await?;
    let response = move || results(reply, atomic, items.name);
    if is_large { apart(response).await? } else { response() }
}

/// Runs work that takes long enough to be in the way of other requests.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.into()))
}

fn atomic(params: &Params) -> Result<bool> {
    params.only(&["atomic"])?;
    let mut reader = Reader::new(params);
    let atomic = match reader.one("atomic") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            reader.error("atomic", "ONE_OF", "`atomic` is true or false");
            false
        }
    };
    reader.finish()?;
    Ok(atomic)
}

/// How the items of a body are told apart.
#[derive(Clone, Copy)]
enum Form {
    Array,
    Lines,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self> {
        if limit::is_one_of(headers, &["application/json"]) {
            return Ok(Self::Array);
        }
        if limit::is_one_of(headers, &["application/x-ndjson", "application/ndjson"]) {
            return Ok(Self::Lines);
        }
        Err(Error::UnsupportedMediaType { expected: "application/json or application/x-ndjson" })
    }

    fn split(self, text: &str) -> Result<Vec<&str>> {
        let items: Vec<&str> = match self {
            Self::Array => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
                    Rejection::Malformed(JsonError::Malformed { reason: error.to_string() })
                })?;
                items.into_iter().map(RawValue::get).collect()
            }
            Self::Lines => {
                text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect()
            }
        };
        if items.is_empty() {
            return Err(Error::EmptyBatch);
        }
        if items.len() > BATCH_ITEMS_MAX {
            return Err(Error::BatchTooLong { max: BATCH_ITEMS_MAX });
        }
        Ok(items)
    }
}

fn record(item: &str, caller: &Caller, app: &App) -> std::result::Result<Action, Rejection> {
    let new = NewTransaction::parse(item, new_id(), caller.user(), app.vocabulary())?;
    if !caller.speaks_for(&new.user_id) {
        return Err(Rejection::NotYourUser { user_id: new.user_id });
    }
    Ok(Action::Record(new))
}

/// How many items of a batch the caller had no right to, and what the first of them was told.
#[derive(Clone, Copy)]
pub(super) struct Forbidden {
    pub code: &'static str,
    pub items: u64,
}

/// What became of the items of a batch.
#[derive(Default)]
struct Counts {
    created: usize,
    updated: usize,
    unchanged: usize,
    ignored: usize,
    failed: usize,
}

impl Counts {
    /// Counts an accepted item, and answers with the status that it alone would have had.
    fn count<'a>(&mut self, outcome: &'a Outcome) -> Result<(u16, &'a Recorded)> {
        let (count, status, recorded) = match outcome {
            Outcome::Created(recorded) => (&mut self.created, 201, recorded),
            Outcome::Updated(recorded) => (&mut self.updated, 200, recorded),
            Outcome::Unchanged(recorded) => (&mut self.unchanged, 200, recorded),
            Outcome::Ignored(recorded) => (&mut self.ignored, 200, recorded),
            // A batch erases nothing.
            Outcome::Deleted(_) => return Err(Error::Unanswered),
        };
        *count += 1;
        Ok((status, recorded))
    }
}

fn results(reply: Reply, atomic: bool, item_name: &str) -> Result<Response> {
    // A key that was used for another batch says nothing about single items.
    if reply.verdicts.iter().any(|verdict| matches!(verdict, Err(Rejection::KeyReused))) {
        return Err(Rejection::KeyReused.into());
    }
    let mut out = Vec::with_capacity(reply.verdicts.len() * RESULT_BYTES + 128);
    let mut counts = Counts::default();
    // Items that broke a rule themselves.
    let (items, mut broken) = (reply.verdicts.len(), 0_usize);
    let mut forbidden: Option<Forbidden> = None;
    out.extend_from_slice(b"{\"results\":[");
    for (index, verdict) in reply.verdicts.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        match verdict {
            Ok(outcome) => {
                let (status, recorded) = counts.count(&outcome)?;
                let result = answer::result(&outcome);
                let head = format!(
                    "{comma}{{\"index\":{index},\"status\":{status},\"result\":\"{result}\",\
                     \"{item_name}\":"
                );
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(recorded.body.as_bytes());
            }
            Err(rejection) => {
                counts.failed += 1;
                broken += usize::from(!matches!(rejection, Rejection::BatchRefused));
                let problem = Problem::from(Error::from(rejection));
                if problem.status == StatusCode::FORBIDDEN {
                    let first = Forbidden { code: problem.code, items: 0 };
                    forbidden.get_or_insert(first).items += 1;
                }
                let status = problem.status.as_u16();
                let head = format!("{comma}{{\"index\":{index},\"status\":{status},\"error\":");
                out.extend_from_slice(head.as_bytes());
                problem.write(None, &mut out);
            }
        }
        out.push(b'}');
    }
    let Counts { created, updated, unchanged, ignored, failed } = counts;
    let sums = format!(
        "],\"created\":{created},\"updated\":{updated},\"unchanged\":{unchanged},\
         \"ignored\":{ignored},\"failed\":{failed}"
    );
    out.extend_from_slice(sums.as_bytes());
    let mut response = if atomic && failed > 0 {
        // Its members stand in a problem.
        let members = out.split_off(1);
        Error::BatchRefused { broken, items, members }.into_response()
    } else {
        out.push(b'}');
        answer::json(StatusCode::OK, out)
    };
    if let Some(forbidden) = forbidden {
        response.extensions_mut().insert(forbidden);
    }
    if created + updated + unchanged + ignored > 0 {
        answer::put_commit(response.headers_mut(), reply.seq, reply.replayed);
    }
    Ok(response)
}
