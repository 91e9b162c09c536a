//! A small store with sealed fields, to ask what was accepted as a question.

use std::sync::{Arc, LazyLock};

use daybook_core::cursor::Position;
use daybook_core::query::Paging;
use daybook_core::sample::{Sampler, Users};
use daybook_core::{
    Action, Query, Secrets, Submission, Timestamp, Transaction, TransactionId, UserId,
};
use daybook_store::{Error, MasterKey, Masters, Options, Page, Sealing, Store};
use tokio::runtime::Runtime;

/// Items of the one user that is asked about: a few pages.
const ITEMS: u64 = 150;
/// The largest page, and one that does not divide it.
const PAGE: u32 = 100;
const STEP: u32 = 37;

struct Books {
    runtime: Runtime,
    store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

static BOOKS: LazyLock<Books> = LazyLock::new(open);

fn open() -> Books {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("books.db").display());
    let master = MasterKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let masters = Masters { current: master.expect("a key"), older: Vec::new() };
    let sealing = Sealing { masters, secrets: Arc::new(Secrets::default()), searched: false };
    let options = Options { sealing: Some(sealing), ..Options::default() };
    let store = runtime.block_on(daybook_store::open(&url, options)).expect("a store");
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let items = Sampler::new(1, Users::new(user(), Vec::new()), at).oldest_first(ITEMS);
    let actions = items.map(Action::Record).collect();
    let submission = Submission { at, key: None, atomic: false, actions };
    let reply = runtime.block_on(store.commit(submission)).expect("a commit");
    assert!(reply.verdicts.iter().all(Result::is_ok), "{:?}", reply.verdicts);
    Books { runtime, store, _folder: folder }
}

pub fn user() -> UserId {
    UserId::parse("ann").expect("a user")
}

/// Runs it to its end.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    BOOKS.runtime.block_on(future)
}

/// What the store answers; `None` when the question is one that it may refuse.
pub fn ask(query: &Query, paging: Paging) -> Option<Page> {
    let query = Query { paging, ..query.clone() };
    match wait(BOOKS.store.transactions(query)) {
        Ok(page) => Some(page),
        Err(Error::TooBroad { .. } | Error::Sealed { .. }) => None,
        Err(wrong) => panic!("an accepted question got no answer: {wrong:?}"),
    }
}

/// However the answer is paged, it is the same; and the total is what there is.
pub fn pages_agree(query: &Query) {
    let mut by_number = Vec::new();
    let mut total = None;
    for page in 1..=ITEMS.div_ceil(u64::from(PAGE)) {
        let Some(page) = ask(query, Paging::Page { page, size: PAGE }) else {
            return;
        };
        by_number.extend(ids(&page.items));
        total = page.total;
    }
    assert_eq!(total, Some(by_number.len() as u64), "{query:?}");
    let (mut by_cursor, mut after): (Vec<TransactionId>, Option<Position>) = Default::default();
    loop {
        let page = ask(query, Paging::Cursor { after, limit: STEP }).expect("as before");
        by_cursor.extend(ids(&page.items));
        assert!(by_cursor.len() <= by_number.len(), "{query:?} goes round");
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(by_cursor, by_number, "{query:?}");
}

fn ids(items: &[Transaction]) -> impl Iterator<Item = TransactionId> + '_ {
    items.iter().map(|item| item.id)
}
