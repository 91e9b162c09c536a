//! A store that fails, under the ledger's worker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery};
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transfer::{Entry, Retry};
use daybook_core::{
    AccountId, Action, ApiKey, Event, EventSeq, Holding, KeyId, Query, Reply, Submission,
    Timestamp, Transaction, TransactionId, Transfer, TransferId, UserId,
};
use daybook_server::app::{Ledger, Settings};
use daybook_store::{
    Changes, Claim, Difference, Due, Error, Follower, LeaseHolder, LedgerVerified, List, Page,
    Progress, Reader, Result, Status, Store, Verified, WorkLease,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Api, Place, transfer};

/// Which commits of the worker fail.
#[derive(Clone, Copy)]
enum Fault {
    None,
    /// Those that try this transfer.
    Trying(TransferId),
    /// Those that try this transfer or note that it failed.
    Touching(TransferId),
    /// All, as if too much waited.
    Busy,
    /// None; but a look at the ledger finds a difference.
    Difference,
    /// None; but the ledger cannot be looked at.
    Unreadable,
}

struct Failing {
    inner: Arc<dyn Store>,
    fault: Mutex<Fault>,
    refused: AtomicUsize,
}

impl Failing {
    fn check(&self, submission: &Submission) -> Result<()> {
        let fault = *self.fault.lock();
        let attempts = |action: &Action| matches!(action, Action::Attempt { .. });
        let fails = submission.actions.iter().any(|action| match (fault, action) {
            (Fault::Trying(bad), Action::Attempt { id, failure: None, .. })
            | (Fault::Touching(bad), Action::Attempt { id, .. }) => *id == bad,
            (Fault::Busy, action) => attempts(action),
            _ => false,
        });
        if !fails {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(match fault {
            Fault::Busy => Error::Busy,
            _ => broken(),
        })
    }
}

fn broken() -> Error {
    Error::Driver("broken".into())
}

#[async_trait]
impl Store for Failing {
    async fn commit(&self, submission: Submission) -> Result<Reply> {
        self.check(&submission)?;
        self.inner.commit(submission).await
    }
    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>> {
        self.inner.transaction(id).await
    }
    async fn transactions(&self, query: Query) -> Result<Page> {
        self.inner.transactions(query).await
    }
    async fn statistics(&self, u: UserId, s: Span, c: Vec<String>) -> Result<Vec<Statistics>> {
        self.inner.statistics(u, s, c).await
    }
    async fn series(
        &self,
        u: UserId,
        s: Span,
        c: Vec<String>,
        i: Interval,
        g: GroupBy,
    ) -> Result<Vec<Series>> {
        self.inner.series(u, s, c, i, g).await
    }
    async fn account(&self, id: AccountId) -> Result<Option<Holding>> {
        self.inner.account(id).await
    }
    async fn accounts(&self, query: AccountsQuery) -> Result<List<Holding>> {
        self.inner.accounts(query).await
    }
    async fn balance_at(&self, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
        self.inner.balance_at(id, at).await
    }
    async fn entries(&self, query: EntriesQuery) -> Result<Option<List<Entry>>> {
        self.inner.entries(query).await
    }
    async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>> {
        self.inner.transfer(id).await
    }
    async fn transfers(&self, query: TransfersQuery) -> Result<List<Transfer>> {
        self.inner.transfers(query).await
    }
    async fn due(&self, at: Timestamp, limit: u32) -> Result<Due> {
        self.inner.due(at, limit).await
    }
    async fn history(&self, id: TransactionId) -> Result<Vec<Event>> {
        self.inner.history(id).await
    }
    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes> {
        self.inner.changes(user, after, limit).await
    }
    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.inner.users(after, limit).await
    }
    async fn events(&self, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
        self.inner.events(after, limit).await
    }
    async fn follow(&self, claim: Claim) -> Result<Option<EventSeq>> {
        self.inner.follow(claim).await
    }
    async fn lease(&self, asked: WorkLease) -> Result<LeaseHolder> {
        self.inner.lease(asked).await
    }
    async fn link(&self, seq: EventSeq) -> Result<Option<[u8; 32]>> {
        self.inner.link(seq).await
    }
    async fn api_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        self.inner.api_key(id).await
    }
    async fn api_keys(&self, after: KeyId, limit: u32) -> Result<List<ApiKey>> {
        self.inner.api_keys(after, limit).await
    }
    async fn api_keys_used(&self, used: Vec<(KeyId, Timestamp)>) -> Result<()> {
        self.inner.api_keys_used(used).await
    }
    async fn followers(&self) -> Result<Vec<Follower>> {
        self.inner.followers().await
    }
    async fn unfollow(&self, name: String) -> Result<bool> {
        self.inner.unfollow(name).await
    }
    async fn reader(&self, at_least: EventSeq) -> Result<Reader> {
        self.inner.reader(at_least).await
    }
    fn seq(&self) -> EventSeq {
        self.inner.seq()
    }
    async fn status(&self) -> Result<Status> {
        self.inner.status().await
    }
    async fn backup(&self, target: &Path, progress: Progress<'_>) -> Result<()> {
        self.inner.backup(target, progress).await
    }
    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        self.inner.verify(progress).await
    }
    async fn verify_ledger(&self) -> Result<LedgerVerified> {
        let mut found = self.inner.verify_ledger().await?;
        let fault = *self.fault.lock();
        match fault {
            Fault::Unreadable => return Err(broken()),
            Fault::Difference => {
                let what = "a cent is missing".to_owned();
                found.differences.push(Difference { part: "ledger", what });
            }
            Fault::None | Fault::Trying(_) | Fault::Touching(_) | Fault::Busy => {}
        }
        Ok(found)
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

/// Three transfers wait on a store that does not fail yet.
async fn books(retry: Retry) -> (Api, Arc<Failing>, Vec<String>) {
    let place = Place::new().await;
    let inner = place.open().await;
    let (fault, refused) = (Mutex::new(Fault::None), AtomicUsize::new(0));
    let store = Arc::new(Failing { inner, fault, refused });
    let ledger = Ledger { retry, poll: Duration::from_millis(10), ..Ledger::default() };
    let settings = Settings { ledger, ..Settings::default() };
    let api = Api::over(store.clone(), settings, place);
    api.open(1, None, "100.00").await;
    api.open(2, None, "0").await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let call = api.post("/transfers", transfer(1, 2, "1").to_string());
        let transfer = call.header("prefer", "respond-async").expect(202).await.json();
        made.push(transfer["id"].as_str().expect("an id").to_owned());
    }
    (api, store, made)
}

fn number(id: &str) -> TransferId {
    TransferId(id.parse().expect("a UUID"))
}

const HASTY: Retry = Retry { attempts_max: 1_000, base_us: 10_000, cap_us: 50_000, chance: 0 };

#[tokio::test]
async fn one_that_the_store_cannot_settle_sinks_no_other() {
    let (api, store, made) = books(HASTY).await;
    *store.fault.lock() = Fault::Trying(number(&made[0]));
    let _worker = api.settler();
    for id in &made[1..] {
        let done = api.until_status(id, "complete").await;
        assert_eq!(done["retry_count"], 0);
    }
    let path = format!("/transfers/{}", made[0]);
    let tried = api.until(&path, |transfer| transfer["retry_count"] != 0).await;
    assert_eq!(
        (&tried["last_error"]["kind"], &tried["last_error"]["code"]),
        (&json!("unknown"), &json!("STORE_FAILED"))
    );
    assert!(!tried.to_string().contains("broken"));
    *store.fault.lock() = Fault::None;
    api.until_status(&made[0], "complete").await;
    assert_eq!(api.money(2).await[0], "3.00");
    api.prove().await;
}

#[tokio::test]
async fn unknown_failures_end_too() {
    let (api, store, made) = books(Retry { attempts_max: 3, ..HASTY }).await;
    *store.fault.lock() = Fault::Trying(number(&made[2]));
    let _worker = api.settler();
    let failed = api.until_status(&made[2], "failed").await;
    assert_eq!((&failed["retry_count"], &failed["next_attempt"]), (&json!(3), &Value::Null));
    assert_eq!(api.money(2).await[0], "2.00");
}

#[tokio::test]
async fn a_failure_that_cannot_be_noted_is_waited_out() {
    let (api, store, made) = books(HASTY).await;
    *store.fault.lock() = Fault::Touching(number(&made[0]));
    let _worker = api.settler();
    for id in &made[1..] {
        api.until_status(id, "complete").await;
    }
    let waits = api.get(&format!("/transfers/{}", made[0])).expect(200).await.json();
    assert_eq!((&waits["status"], &waits["retry_count"]), (&json!("pending"), &json!(0)));
    *store.fault.lock() = Fault::None;
    api.until_status(&made[0], "complete").await;
    api.prove().await;
}

#[tokio::test]
async fn a_busy_store_is_asked_less_and_less_and_costs_no_attempt() {
    let (api, store, made) = books(Retry { base_us: 10_000, cap_us: 60_000_000, ..HASTY }).await;
    *store.fault.lock() = Fault::Busy;
    let begun = std::time::Instant::now();
    let _worker = api.settler();
    let asked = async |times| {
        while store.refused.load(Ordering::Relaxed) < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // At least half of 10, 20, 40 and 80 milliseconds, and so on, lies between them.
        let refused = store.refused.load(Ordering::Relaxed);
        let least = Duration::from_millis(5 * ((1 << (refused - 1)) - 1));
        assert!(begun.elapsed() >= least, "{refused} times in {:?}", begun.elapsed());
    };
    tokio::time::timeout(Duration::from_secs(20), asked(5)).await.expect("five times");
    // News does not make it more.
    for _ in 0..20 {
        let call = api.post("/transfers", transfer(1, 2, "1").to_string());
        call.header("prefer", "respond-async").expect(202).await;
    }
    tokio::time::timeout(Duration::from_secs(20), asked(7)).await.expect("seven times");
    *store.fault.lock() = Fault::None;
    for id in &made {
        assert_eq!(api.until_status(id, "complete").await["retry_count"], 0);
    }
    api.until("/accounts/2", |account| account["balance"] == "23.00").await;
    api.prove().await;
}

#[tokio::test]
async fn a_difference_is_told_to_operators_and_to_prometheus() {
    let (api, store, _) = books(HASTY).await;
    *store.fault.lock() = Fault::Unreadable;
    let answer = api.get("/ledger/verify").expect(500).await;
    assert!(!answer.text().contains("broken"), "{}", answer.text());
    assert_eq!(api.metric("daybook_ledger_ok").await, None);
    *store.fault.lock() = Fault::Difference;
    let look = api.get("/ledger/verify").expect(200).await.json();
    assert_eq!(look["ok"], false);
    let expected = json!([{"part": "ledger", "what": "a cent is missing"}]);
    assert_eq!(look["differences"], expected);
    assert_eq!(api.metric("daybook_ledger_ok").await.as_deref(), Some("0"));
    assert_eq!(api.metric("daybook_ledger_differences").await.as_deref(), Some("1"));
    *store.fault.lock() = Fault::None;
    api.get("/ledger/verify").expect(200).await;
    assert_eq!(api.metric("daybook_ledger_ok").await.as_deref(), Some("1"));
}
