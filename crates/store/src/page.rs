//! Cutting pages, whichever store the items come from.

use daybook_core::cursor::Position;
use daybook_core::query::{Paging, Query};
use daybook_core::{Timestamp, Transaction, TransactionId};
use uuid::Uuid;

use crate::Page;

/// Every item lies behind this place: older, or as old with a lower id.
pub const START: Position = Position {
    tier: 0,
    created_at: Timestamp::from_micros(i64::MAX),
    id: TransactionId(Uuid::max()),
};

/// How many items to pass over, and how many to show.
pub fn window(paging: &Paging) -> (u64, usize) {
    match paging {
        Paging::Page { page, size } => ((page - 1) * u64::from(*size), *size as usize),
        Paging::Cursor { limit, .. } => (0, *limit as usize),
    }
}

/// The place to go on from.
pub fn after(paging: &Paging) -> Option<Position> {
    match paging {
        Paging::Page { .. } => None,
        Paging::Cursor { after, .. } => *after,
    }
}

/// Whether the page says how many items there are in all.
pub fn is_numbered(query: &Query) -> bool {
    matches!(query.paging, Paging::Page { .. })
}

/// Whether the question is about no time in particular.
pub fn is_all_time(query: &Query) -> bool {
    query.from == Timestamp::MIN && query.to == Timestamp::END
}

/// Whether the total of a page is the number of all items of the user.
pub fn counts_all(query: &Query) -> bool {
    is_numbered(query) && is_all_time(query) && !query.needs_items() && !query.needs_index()
}

/// The page of a user who is not known.
pub fn empty(query: &Query) -> Page {
    Page { total: is_numbered(query).then_some(0), ..Page::default() }
}

/// Keeps the page's items, each with its tier; one item more says that there is a next page.
pub fn cut(mut items: Vec<(u8, Transaction)>, limit: usize) -> Page {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(tier, last)| Position {
        tier: *tier,
        created_at: last.created_at,
        id: last.id,
    });
    let items = items.into_iter().map(|(_, item)| item).collect();
    Page { items, next, ..Page::default() }
}
