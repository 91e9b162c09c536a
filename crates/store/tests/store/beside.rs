//! A store that another process holds answers by its socket what it answers itself.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::query::{
    AccountsQuery, EntriesQuery, Order, Paging, Query, TransfersQuery, Whose,
};
use daybook_core::sample::{Sampler, Users};
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    AccountId, AccountPatch, EventSeq, Rejection, Submission, Timestamp, TransactionId, TransferId,
};
use daybook_store::{Claim, CommandSocket, Error, RemoteError, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Books, Fallible, On, pairs, payment, user};

/// Books that are served on their socket, and the store that a client sees.
struct Beside {
    books: Books,
    remote: Arc<dyn Store>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Beside {
    async fn open() -> Fallible<Self> {
        let books = Books::open(On::Sqlite).await?;
        let path = PathBuf::from(books.url.trim_start_matches("sqlite:"));
        assert!(daybook_store::connect(&books.url).await?.is_none(), "nobody listens yet");
        let (socket, stop) = (CommandSocket::beside(&path)?, CancellationToken::new());
        let serving = tokio::spawn(socket.serve(Arc::clone(&books.store), stop.clone()));
        let remote = daybook_store::connect(&books.url).await?.ok_or("nobody listens")?;
        Ok(Self { books, remote, stop, serving })
    }

    /// Asks both for the same; the answer is what both say.
    async fn same<T: Debug, A>(&self, ask: impl Fn(Arc<dyn Store>) -> A) -> T
    where
        A: Future<Output = daybook_store::Result<T>>,
    {
        let (own, theirs) =
            (ask(Arc::clone(&self.books.store)).await, ask(Arc::clone(&self.remote)).await);
        assert_eq!(format!("{theirs:?}"), format!("{own:?}"));
        own.unwrap()
    }

    async fn commit(&self, actions: Vec<Action>) -> Fallible<daybook_core::Reply> {
        let at = self.books.now();
        let submission = Submission { at, key: None, atomic: false, actions };
        Ok(self.remote.commit(submission).await?)
    }
}

fn asked(filters: &[(&str, &str)]) -> Query {
    Query::parse(&pairs(filters), Some(&user("ann")), &Vocabulary::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_of_a_command_has_the_same_answer() -> Fallible<()> {
    let beside = Beside::open().await?;
    let users = Users::new(user("ann"), vec![user("bob")]);
    let items: Vec<Action> =
        Sampler::new(3, users, beside.books.now()).oldest_first(200).map(Action::Record).collect();
    let reply = beside.commit(items).await?;
    assert!(reply.verdicts.iter().all(Result::is_ok));
    assert_eq!(reply.seq, beside.books.store.seq());
    let id = beside.same(|store| async move { store.events(EventSeq(0), 10).await }).await;
    let daybook_core::Subject::Item(id) = id[0].subject else { panic!("no item") };
    beside.same(|store| async move { store.transaction(id).await }).await;
    let nothing = TransactionId(Uuid::nil());
    beside.same(|store| async move { store.transaction(nothing).await }).await;
    for filters in [
        &[][..],
        &[("limit", "7")],
        &[("page", "2"), ("page_size", "50")],
        &[("search_query", "\"card payment\" cafe star"), ("sort", "best"), ("limit", "100")],
        &[("status", "completed"), ("status", "pending"), ("currency", "EUR")],
        &[("metadata.merchant_name[exists]", "true"), ("metadata.card_last_four[gte]", "5000")],
        &[("metadata.merchant_name[ne]", "Starbucks"), ("metadata.n[lt]", "3")],
        &[("start_date", "2024-01-01"), ("min_amount", "10.5"), ("max_amount", "99")],
    ] {
        let query = asked(filters);
        let page = beside.same(|store| store_page(store, query.clone())).await;
        if let Some(next) = page.next {
            let paging = Paging::Cursor { after: Some(next), limit: 7 };
            let query = Query { paging, order: Order::Newest, ..query };
            beside.same(|store| store_page(store, query.clone())).await;
        }
    }
    beside.same(|store| async move { store.users(None, 10).await }).await;
    beside.same(|store| async move { store.users(Some(user("ann")), 10).await }).await;
    beside.same(|store| async move { store.link(EventSeq(7)).await }).await;
    beside.same(|store| async move { store.link(EventSeq(7_000)).await }).await;
    beside.same(|store| async move { store.followers().await }).await;
    let claim = |done| Claim {
        follower: "audit".to_owned(),
        owner: "me".to_owned(),
        lease: std::time::Duration::from_secs(5),
        from: EventSeq(3),
        done,
    };
    assert_eq!(beside.remote.follow(claim(None)).await?, Some(EventSeq(3)));
    assert_eq!(beside.remote.follow(claim(Some(EventSeq(9)))).await?, Some(EventSeq(9)));
    beside.same(|store| async move { store.followers().await }).await;
    assert!(!beside.remote.unfollow("audit".to_owned()).await?);
    beside.same(|store| async move { store.verify(&|_, _| {}).await }).await;
    Ok(())
}

async fn store_page(
    store: Arc<dyn Store>,
    query: Query,
) -> daybook_store::Result<daybook_store::Page> {
    store.transactions(query).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_has_the_same_answers() -> Fallible<()> {
    let beside = Beside::open().await?;
    let books = &beside.books;
    for body in [
        r#"{"account_id":1,"user_id":"ann","currency":"BTC","initial_balance":"0.12345678"}"#,
        r#"{"account_id":2,"user_id":"bob","currency":"BTC","metadata":{"n":1.50}}"#,
        r#"{"name":"Fees","currency":"BTC","overdraft_limit":"unlimited"}"#,
    ] {
        let vocabulary = Vocabulary::default();
        let new = daybook_core::NewAccount::parse(body, None, &vocabulary)?;
        let reply = beside.commit(vec![Action::Open(new)]).await?;
        assert!(reply.verdicts[0].is_ok(), "{reply:?}");
    }
    let mut ids = Vec::new();
    for (number, more) in [
        (1, r#","reference":"a""#),
        (2, r#","pending":true,"expires_in":60"#),
        (3, r#","pending":true"#),
    ] {
        let vocabulary = Vocabulary::default();
        let id = TransferId(Uuid::from_u128(number * 16));
        let body = payment(1, 2, "0.001", more);
        let new = daybook_core::NewTransfer::parse(&body, id, &vocabulary)?;
        let reply = beside.commit(vec![Action::Transfer(new)]).await?;
        assert!(reply.verdicts[0].is_ok(), "{reply:?}");
        ids.push(id);
    }
    let amount = daybook_core::Amount::parse_any("0.0004")?;
    let by = TransferId(Uuid::from_u128(9 * 16));
    let (post, void) = (ids[1], ids[2]);
    let actions = vec![
        Action::Post { id: post, owner: None, amount: Some(amount) },
        Action::Void { id: void, owner: Some(user("bob").into()) },
        Action::Rollback { id: ids[0], owner: None, by },
        Action::Void { id: post, owner: None },
    ];
    let reply = beside.commit(actions).await?;
    let refused = reply.verdicts.iter().filter(|verdict| verdict.is_err()).count();
    assert_eq!(refused, 1, "{reply:?}");
    for id in [1, 2, 3, -5].map(AccountId) {
        beside.same(|store| async move { store.account(id).await }).await;
        let at = books.now();
        beside.same(|store| async move { store.balance_at(id, at).await }).await;
        let (from, to) = (Timestamp::MIN, Timestamp::END);
        let query = EntriesQuery { account: id, from, to, before: None, limit: 10 };
        beside
            .same(|store| {
                let query = query.clone();
                async move { store.entries(query).await }
            })
            .await;
    }
    let query =
        AccountsQuery { user_id: None, currency: None, status: None, after: None, limit: 2 };
    let listed = beside
        .same(|store| {
            let query = query.clone();
            async move { store.accounts(query).await }
        })
        .await;
    assert!(listed.has_more);
    for id in ids.into_iter().chain([by, TransferId(Uuid::nil())]) {
        beside.same(|store| async move { store.transfer(id).await }).await;
    }
    for whose in [Whose::All, Whose::Account(AccountId(1)), Whose::User(user("bob"))] {
        let query =
            TransfersQuery { whose, status: None, reference: None, before: None, limit: 100 };
        let listed = beside
            .same(|store| {
                let query = query.clone();
                async move { store.transfers(query).await }
            })
            .await;
        assert!(listed.items.len() > 3, "{listed:?}");
    }
    beside.same(|store| async move { store.events(EventSeq(0), 100).await }).await;
    beside.same(|store| async move { store.verify(&|_, _| {}).await }).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_by_the_socket_is_replayed_and_refused_as_any_other() -> Fallible<()> {
    let beside = Beside::open().await?;
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":"1.50",
        "source":"bank","external_id":"7"}"#;
    let submission = |fingerprint, new| Submission {
        at: beside.books.now(),
        key: Some(IdempotencyKey { scope: u128::MAX, fingerprint }),
        atomic: true,
        actions: vec![Action::Record(new)],
    };
    let new = beside.books.parse(body)?;
    let first = beside.remote.commit(submission(1, new.clone())).await?;
    let again = beside.books.store.commit(submission(1, new.clone())).await?;
    assert!(!first.replayed && again.replayed);
    assert_eq!((&again.verdicts, again.seq), (&first.verdicts, first.seq));
    assert_eq!(beside.remote.commit(submission(1, new.clone())).await?, again);
    let reused = beside.remote.commit(submission(2, new)).await?;
    assert_eq!(reused.verdicts, [Err(Rejection::KeyReused)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_tells_how_far_it_is() -> Fallible<()> {
    let beside = Beside::open().await?;
    for name in ["ann", "bob", "carol"] {
        let body = format!(r#"{{"user_id":"{name}","transaction_type":"card","amount":1}}"#);
        beside.books.record(&body).await?;
    }
    let seen = Mutex::new(Vec::new());
    beside.remote.verify(&|done, all| seen.lock().push((done, all))).await?;
    let seen = seen.into_inner();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&(3, 3)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commands_do_not_need_is_not_asked() -> Fallible<()> {
    let beside = Beside::open().await?;
    let revoked = Action::Revoke { id: daybook_core::KeyId(1) };
    let reformed = Action::Reform {
        id: AccountId(1),
        owner: None,
        version: None,
        patch: AccountPatch::parse("{}")?,
    };
    for action in [revoked, reformed] {
        let refused = beside.commit(vec![action]).await.expect_err("it is not sent").to_string();
        assert!(refused.contains("commands do not ask a server"), "{refused}");
    }
    let (remote, ann) = (&beside.remote, user("ann"));
    let history = remote.history(TransactionId(Uuid::nil())).await;
    let refused = history.expect_err("it is not asked");
    assert!(matches!(refused, Error::Remote(RemoteError::NotAsked { .. })), "{refused:?}");
    assert!(remote.shred(ann).await.is_err());
    assert!(remote.status().await.is_err());
    // The connection is as good as before.
    beside.same(|store| async move { store.users(None, 10).await }).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_says_so_to_who_asks_next() -> Fallible<()> {
    let beside = Beside::open().await?;
    beside.stop.cancel();
    beside.serving.await?;
    let lost = beside.remote.users(None, 10).await.expect_err("nobody is there");
    assert!(matches!(lost, Error::Remote(RemoteError::Lost { .. })), "{lost:?}");
    let new = beside.books.parse(r#"{"user_id":"ann","transaction_type":"card","amount":1}"#)?;
    let submission = Submission::one(beside.books.now(), Action::Record(new));
    let lost = beside.remote.commit(submission).await.expect_err("nobody is there");
    assert!(matches!(lost, Error::Remote(RemoteError::Lost { .. })), "{lost:?}");
    assert_eq!(beside.books.store.seq(), EventSeq(0));
    assert!(daybook_store::connect(&beside.books.url).await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_ends_with_who_asked_and_with_the_store() -> Fallible<()> {
    let beside = Beside::open().await?;
    let users = Users::numbered("u", 300)?;
    let items = Sampler::new(3, users, beside.books.now()).oldest_first(4_000);
    let reply = beside.commit(items.map(Action::Record).collect()).await?;
    assert_eq!(reply.verdicts.len(), 4_000);
    // A client that goes takes its connection with it, and the server what it did for it.
    let held = Arc::strong_count(&beside.books.store);
    let remote = daybook_store::connect(&beside.books.url).await?.ok_or("nobody listens")?;
    let begun = Notify::new();
    let progress = |_, _| begun.notify_one();
    tokio::select! {
        verified = remote.verify(&progress) => panic!("nobody went before {verified:?}"),
        () = begun.notified() => {}
    }
    drop(remote);
    let begun = std::time::Instant::now();
    while Arc::strong_count(&beside.books.store) > held {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "it still verifies");
        tokio::task::yield_now().await;
    }
    // A store that closes does not wait for the end of a long look.
    let store = Arc::clone(&beside.books.store);
    let closing = Mutex::new(Some(Arc::clone(&store)));
    let close = |_, _| {
        if let Some(store) = closing.lock().take() {
            tokio::spawn(async move { store.close().await });
        }
    };
    let closed = store.verify(&close).await.expect_err("the store closed");
    assert!(matches!(closed, Error::Closed), "{closed:?}");
    Ok(())
}
