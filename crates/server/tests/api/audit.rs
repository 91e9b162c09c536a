//! What an auditor reads: who was refused, and what the event log says, signed.

use daybook_core::{Event, EventSeq, EventType};
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::api_keys::Pepper;
use daybook_server::auth::{Scope, Trust};
use daybook_server::checkpoint::{Signer, Verifier};
use serde_json::{Value, json};

use crate::support::{Api, SECRET, service_token, user_token};

const ITEM: &str = r#"{"transaction_type":"card","amount":1}"#;

/// The notes about refusals in the event log, without their times.
async fn refusals(api: &Api) -> Vec<Value> {
    api.app.note_refusals().await;
    let events = api.app.store().events(EventSeq(0), 1_000).await.expect("events");
    let refused = |event: &&Event| event.event_type == EventType::Refused;
    let published = |event: &Event| {
        let mut published = serde_json::to_value(event).expect("JSON");
        let note = published["audit"].take();
        json!({"user_id": published["user_id"], "note": note})
    };
    events.iter().filter(refused).map(published).collect()
}

#[tokio::test]
async fn refused_logins_and_rights_are_written_down() {
    let api = Api::guarded().await;
    let mine = api.post("/transactions", ITEM).token(&user_token("ann")).expect(201).await.json();
    let id = mine["id"].as_str().expect("an id");
    for _ in 0..3 {
        api.get("/transactions").token("not.a.token").from("192.0.2.7").expect(401).await;
    }
    // Nobody tried anything.
    api.get("/transactions").expect(401).await;
    let path = format!("/transactions/{id}");
    api.get(&path).token(&user_token("mallory")).from("192.0.2.8").expect(403).await;
    let found = refusals(&api).await;
    let note = |user: Option<&str>, status: u16, code: &str, route: &str, address: &str, count| {
        json!({"user_id": user, "note": {
            "status": status, "code": code, "method": "GET", "route": route, "address": address,
            "count": count,
        }})
    };
    let bad = note(None, 401, "INVALID_TOKEN", "/api/v1/transactions", "192.0.2.7", 3);
    let route = "/api/v1/transactions/{id}";
    let foreign = note(Some("mallory"), 403, "NOT_YOUR_TRANSACTION", route, "192.0.2.8", 1);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&bad) && found.contains(&foreign), "{found:?}");
    assert_eq!(refusals(&api).await.len(), 2, "each is written once");
    // It shows in nobody's feed.
    let page = api.get("/transactions/sync").token(&user_token("mallory")).expect(200).await.json();
    assert_eq!(page["added"], json!([]));
}

#[tokio::test]
async fn a_flood_of_bad_tokens_writes_little() {
    let api = Api::guarded().await;
    for number in 0..500 {
        let address = format!("10.0.{}.{}", number / 250, number % 250);
        api.get("/transactions").token("bad").from(&address).expect(401).await;
    }
    let found = refusals(&api).await;
    assert!(found.len() < 40, "{}", found.len());
    let counts = found.iter().map(|found| found["note"]["count"].as_u64().expect("a count"));
    assert_eq!(counts.sum::<u64>(), 500);
}

#[tokio::test]
async fn an_operator_gets_a_signed_checkpoint() {
    let trust = Auth::Trust(Box::new(Trust::secret(SECRET)));
    let checkpoints = Some(Signer::secret(b"of checkpoints"));
    let api = Api::with(Settings { auth: trust, checkpoints, ..Settings::default() }).await;
    let operator = service_token(&[Scope::Ops]);
    let before = api.get("/checkpoint").token(&operator).expect(200).await.json();
    assert_eq!(before, json!({"seq": 0, "link": null, "checkpoint": null}));
    api.post("/transactions", ITEM).token(&user_token("ann")).expect(201).await;
    let after = api.get("/checkpoint").token(&operator).expect(200).await.json();
    let signed = after["checkpoint"].as_str().expect("a checkpoint");
    let checkpoint = Verifier::secret(b"of checkpoints").check(signed).expect("our own");
    assert_eq!((checkpoint.seq, json!(checkpoint.link)), (EventSeq(1), after["link"].clone()));
    let link = api.app.store().link(EventSeq(1)).await.expect("a store").expect("a link");
    assert!(checkpoint.is_of(&link));
    // It opens nothing.
    api.get("/auth/me").token(signed).expect(401).await;
    api.get("/checkpoint").token(&user_token("ann")).expect(403).await;
}

#[tokio::test]
async fn refused_items_of_a_batch_and_the_key_that_sent_them_are_written_down() {
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    let keys = Some(Pepper::new(b"0123456789abcdef0123456789abcdef"));
    let api = Api::with(Settings { auth, keys, ..Settings::default() }).await;
    let body = json!({"name": "ann only", "scopes": ["feed:write"], "users": ["ann"]});
    let admin = service_token(&[Scope::Admin]);
    let key = api.post("/keys", body.to_string()).token(&admin).expect(201).await.json();
    let item = |user: &str| json!({"user_id": user, "transaction_type": "card", "amount": 1});
    let batch = json!([item("ann"), item("bob"), item("eve")]).to_string();
    let secret = key["secret"].as_str().expect("a secret");
    let answer = api.post("/transactions/batch", batch).token(secret).expect(200).await.json();
    assert_eq!(answer["failed"], 2, "{answer}");
    let found = refusals(&api).await;
    let note = &found.first().expect("a note")["note"];
    let told = ["status", "code", "count", "key_id"].map(|name| note[name].clone());
    assert_eq!(told, [json!(403), json!("NOT_YOUR_USER"), json!(2), key["key_id"].clone()]);
}
