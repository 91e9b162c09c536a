//! `/ledger/verify`, and what the ledger says in `/metrics`.

use std::time::Duration;

use daybook_server::app::{Ledger, Settings};
use daybook_server::auth::Scope;
use daybook_server::work::Verifier;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Api, service_token, transfer, user_token};

#[tokio::test]
async fn operators_see_that_the_ledger_adds_up() {
    let api = Api::new().await;
    for series in ["ok", "differences", "verified_seconds"] {
        assert_eq!(api.metric(&format!("daybook_ledger_{series}")).await, None);
    }
    api.open(1, Some("ann"), "10.00").await;
    api.open(2, Some("bob"), "0").await;
    api.post("/transfers", transfer(1, 2, "4").to_string()).expect(201).await;
    let look = api.get("/ledger/verify").expect(200).await.json();
    assert_eq!((&look["accounts"], &look["transfers"]), (&json!(3), &json!(2)));
    assert_eq!((&look["ok"], &look["differences"]), (&json!(true), &json!([])));
    assert!(look["verified_at"].is_string() && look["seconds"].as_f64().is_some_and(|s| s < 60.0));
    assert_eq!(api.metric("daybook_ledger_ok").await.as_deref(), Some("1"));
    assert_eq!(api.metric("daybook_ledger_differences").await.as_deref(), Some("0"));
    let seconds = api.metric("daybook_ledger_verified_timestamp_seconds").await.expect("a series");
    assert!(seconds.parse::<f64>().expect("a number") > 1.7e9, "{seconds}");
    api.get("/ledger/verify?deep=true").expect(400).await;
}

#[tokio::test]
async fn all_who_ask_at_once_get_one_answer() {
    let api = Api::new().await;
    api.open(1, None, "10.00").await;
    let asking = (0..8).map(|_| api.get("/ledger/verify").expect(200));
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let later = api.get("/ledger/verify").expect(200).await.json();
    assert_ne!(later["verified_at"], answers[0].json()["verified_at"]);
}

#[tokio::test]
async fn only_operators_may_look() {
    let api = Api::guarded().await;
    let look = || api.get("/ledger/verify");
    look().expect(401).await;
    for token in [
        user_token("ann"),
        service_token(&[Scope::LedgerRead, Scope::LedgerWrite]),
        service_token(&[Scope::FeedRead]),
    ] {
        assert_eq!(look().token(&token).expect(403).await.code(), "MISSING_SCOPE");
    }
    for scope in [Scope::Ops, Scope::Admin] {
        look().token(&service_token(&[scope])).expect(200).await;
    }
}

#[tokio::test]
async fn the_ledger_is_looked_at_every_so_often() {
    let every = |every: Option<Duration>| Settings {
        ledger: Ledger { verify_every: every, ..Ledger::default() },
        ..Settings::default()
    };
    assert!(Verifier::new(Api::with(every(None)).await.app.clone()).is_none());
    let api = Api::with(every(Some(Duration::from_millis(20)))).await;
    let stop = CancellationToken::new();
    let verifier = Verifier::new(api.app.clone()).expect("it is on");
    let running = tokio::spawn(verifier.run(stop.clone()));
    let waiting = async {
        while api.metric("daybook_ledger_ok").await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a look");
    stop.cancel();
    running.await.expect("no panic");
}
