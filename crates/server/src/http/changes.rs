//! What the event log says: the versions of one item, and what changed since a reader last asked.

use std::collections::HashMap;

use axum::response::Response;
use daybook_core::id::fnv128;
use daybook_core::limits::SYNC_PAGE_MAX;
use daybook_core::query::QueryError;
use daybook_core::{
    Event, EventSeq, EventType, Rejection, Subject, Timestamp, TransactionId, UserId, cursor,
};
use daybook_store::Changes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer;
use super::books::Books;
use super::caller::CanRead;
use super::error::{Error, Result};
use super::request::{Id, Params, Reader, position};
use super::schema::{
    HistoryBody, IdParam, OwnerParam, ReadHeaders, ReadProblems, SyncBody, SyncParams,
};
use super::transactions::{check_owner, owner};

/// Changes in one answer when the reader does not say.
const LIMIT_DEFAULT: u32 = 100;

#[derive(Serialize)]
struct History<'a> {
    items: Vec<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    version: u32,
    event_type: EventType,
    at: Timestamp,
    seq: EventSeq,
    transaction: &'a RawValue,
}

/// Lists every version of a transaction, oldest first; a deleted one's too.
#[utoipa::path(
    get, path = "/api/v1/transactions/{id}/history", tag = "feed",
    operation_id = "getTransactionHistory",
    params(IdParam, OwnerParam, ReadHeaders),
    responses((status = 200, description = "The versions.", body = HistoryBody), ReadProblems),
)]
pub async fn history(
    CanRead(caller): CanRead,
    books: Books,
    Id(id): Id,
    params: Params,
) -> Result<Response> {
    let owner = owner(&caller, &params)?;
    let events = books.history(id).await?;
    let first = events.first().ok_or(Rejection::NotFound { id })?;
    let user = first.user_id.as_ref().ok_or(Rejection::NotFound { id })?;
    check_owner(id, owner.as_ref(), user)?;
    let items = events.iter().map(|event| {
        Ok(Version {
            version: event.version,
            event_type: event.event_type,
            at: event.at,
            seq: event.seq,
            transaction: raw(event)?,
        })
    });
    answer::of(&History { items: items.collect::<Result<_>>()? })
}

/// Says what happened to a user's items since a cursor; without one, since the beginning.
///
/// Within one answer an item stands once, as it is after all of the answer's changes. A cursor is
/// a position in the log and never becomes invalid.
#[utoipa::path(
    get, path = "/api/v1/transactions/sync", tag = "feed", operation_id = "syncTransactions",
    params(SyncParams, ReadHeaders),
    responses((status = 200, description = "The changes.", body = SyncBody), ReadProblems),
)]
pub async fn sync(CanRead(caller): CanRead, books: Books, params: Params) -> Result<Response> {
    params.only(&["user_id", "cursor", "limit"])?;
    let mut reader = Reader::new(&params);
    let named = reader.user();
    let (cursor, limit) = (reader.one("cursor"), reader.limit(LIMIT_DEFAULT, SYNC_PAGE_MAX));
    reader.finish()?;
    let user = caller.about(named)?.ok_or(QueryError::MissingUser)?;
    let digest = digest(&user);
    // A client that was given no cursor yet may send an empty one.
    let cursor = cursor.filter(|text| !text.is_empty());
    let after = EventSeq(position(cursor, digest)?.unwrap_or(0));
    let changes = books.changes(user, after, limit).await?;
    answer::of(&Sync::of(&changes, digest)?)
}

fn digest(user: &UserId) -> u128 {
    fnv128(&[b"sync", user.as_str().as_bytes()])
}

#[derive(Serialize)]
struct Sync<'a> {
    added: Vec<&'a RawValue>,
    modified: Vec<&'a RawValue>,
    removed: Vec<Removed>,
    next_cursor: String,
    has_more: bool,
}

#[derive(Serialize)]
struct Removed {
    id: TransactionId,
}

impl<'a> Sync<'a> {
    /// Folds the events of each item into one change.
    fn of(changes: &'a Changes, digest: u128) -> Result<Self> {
        let mut places: HashMap<TransactionId, usize> = HashMap::new();
        let mut items: Vec<(TransactionId, EventType, &Event)> = Vec::new();
        for event in &changes.events {
            let Subject::Item(id) = event.subject else { continue };
            let place = *places.entry(id).or_insert(items.len());
            match items.get_mut(place) {
                Some((_, _, last)) => *last = event,
                None => items.push((id, event.event_type, event)),
            }
        }
        let mut sync = Self {
            added: Vec::new(),
            modified: Vec::new(),
            removed: Vec::new(),
            next_cursor: cursor::encode_number(changes.next.0, digest),
            has_more: changes.has_more,
        };
        for (id, first, last) in items {
            let was_there = first != EventType::Created;
            match last.event_type {
                EventType::Deleted if was_there => sync.removed.push(Removed { id }),
                // The reader never saw it.
                EventType::Deleted => {}
                _ if was_there => sync.modified.push(raw(last)?),
                _ => sync.added.push(raw(last)?),
            }
        }
        Ok(sync)
    }
}

/// The item as the log has it, sent without reading it again.
fn raw(event: &Event) -> Result<&RawValue> {
    serde_json::from_str(&event.body).map_err(|error| Error::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64, id: u128, event_type: EventType) -> Event {
        Event {
            seq: EventSeq(seq),
            event_type,
            at: Timestamp::default(),
            user_id: UserId::parse("ann").ok(),
            subject: Subject::Item(TransactionId(uuid::Uuid::from_u128(id))),
            version: 1,
            previous: None,
            body: format!("{{\"seq\":{seq}}}").into(),
        }
    }

    #[test]
    fn an_item_stands_once_in_an_answer_as_it_is_after_it() {
        use EventType::{Created as C, Deleted as D, Updated as U};
        let log = [(1, C), (2, C), (1, U), (3, U), (3, U), (2, D), (4, D), (5, U), (5, D)];
        let events = (1..).zip(log).map(|(seq, (id, kind))| event(seq, id, kind)).collect();
        let changes = Changes { events, next: EventSeq(9), has_more: false };
        let sync = Sync::of(&changes, 1).expect("JSON");
        let bodies =
            |raws: &[&RawValue]| raws.iter().map(|r| r.get().to_owned()).collect::<Vec<_>>();
        assert_eq!(bodies(&sync.added), [r#"{"seq":3}"#]);
        assert_eq!(bodies(&sync.modified), [r#"{"seq":5}"#]);
        let removed: Vec<u128> = sync.removed.iter().map(|r| r.id.0.as_u128()).collect();
        assert_eq!(removed, [4, 5]);
    }
}
