//! `/transfers`: what the worker does later.

use std::time::Duration;

use daybook_core::transfer::Retry;
use daybook_server::app::{Ledger, Settings};
use serde_json::{Value, json};

use crate::support::{Api, Call, transfer};

/// A worker that tries again after some milliseconds.
fn hasty(attempts_max: u32) -> Settings {
    let retry = Retry { attempts_max, base_us: 10_000, cap_us: 50_000, chance: 0 };
    Settings { ledger: Ledger { retry, ..Ledger::default() }, ..Settings::default() }
}

async fn books(settings: Settings) -> Api {
    let api = Api::with(settings).await;
    api.open(1, Some("ann"), "100.00").await;
    api.open(2, Some("bob"), "0").await;
    api
}

fn later<'a>(api: &'a Api, body: &Value) -> Call<'a> {
    api.post("/transfers", body.to_string()).header("prefer", "respond-async")
}

fn id(transfer: &Value) -> String {
    transfer["id"].as_str().expect("an id").to_owned()
}

/// Waits until the worker has counted so many attempts with an outcome.
async fn counted(api: &Api, outcome: &str, is_enough: impl Fn(u64) -> bool) {
    let series = format!("daybook_ledger_attempts_total{{outcome=\"{outcome}\"}}");
    let counting = async {
        loop {
            let count = api.metric(&series).await.expect("a series");
            if is_enough(count.parse().expect("a number")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(20), counting).await;
    counted.unwrap_or_else(|_| panic!("{series} is not what was expected"));
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_answered_202() {
    let api = books(Settings::default()).await;
    let answer = later(&api, &transfer(1, 2, "30")).expect(202).await;
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let made = answer.json();
    assert_eq!((&made["status"], &made["posted_at"]), (&json!("pending"), &Value::Null));
    assert!(made["next_attempt"].is_string());
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/transfers/{}", id(&made))));
    // Nothing is reserved, and nothing is in a feed yet.
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
    let feed =
        async || api.get("/transactions?user_id=bob").expect(200).await.json()["total"].clone();
    assert_eq!(feed().await, 0);
    let _worker = api.settler();
    let done = api.until_status(&id(&made), "complete").await;
    assert_eq!((&done["next_attempt"], &done["retry_count"]), (&Value::Null, &json!(0)));
    assert!(done["last_attempt"].is_string() && done["posted_at"].is_string());
    assert_eq!(api.money(1).await, ["70.00", "70.00"]);
    assert_eq!(feed().await, 1);
    counted(&api, "complete", |n| n == 1).await;
    api.prove().await;
}

#[tokio::test]
async fn news_wakes_the_worker_at_once() {
    let ledger = Ledger { poll: Duration::from_secs(3_600), ..Ledger::default() };
    let api = books(Settings { ledger, ..Settings::default() }).await;
    let _worker = api.settler();
    for n in 0..5 {
        let made = later(&api, &transfer(1, 2, "1")).expect(202).await.json();
        let done = api.until_status(&id(&made), "complete").await;
        assert_eq!(done["retry_count"], 0, "{n}");
    }
    let batch = json!([{"source_account_id": 1, "destination_account_id": 2, "amount": 1,
                        "execute_at": "2020-01-01"}]);
    let made = api.post("/transfers/batch", batch.to_string()).expect(200).await.json();
    api.until_status(&id(&made["results"][0]["transfer"]), "complete").await;
}

#[tokio::test]
async fn the_preference_is_read_as_its_standard_says() {
    let api = books(Settings::default()).await;
    for (header, status) in [
        ("respond-async", 202),
        ("Respond-Async, wait=10", 202),
        ("wait=10, respond-async;x=1", 202),
        ("return=minimal", 201),
        ("respond-asyncly", 201),
    ] {
        let body = transfer(1, 2, "1").to_string();
        api.post("/transfers", body).header("prefer", header).expect(status).await;
    }
    // What has happened is no work for later.
    let mut past = transfer(1, 2, "1");
    let entries = api.get("/accounts/1/entries?limit=1").expect(200).await.json();
    past["created_at"] = entries["items"][0]["posted_at"].clone();
    let answer = later(&api, &past).expect(201).await;
    assert_eq!(answer.header("preference-applied"), None);
    assert_eq!(answer.json()["status"], "complete");
}

#[tokio::test]
async fn a_key_leaves_one_transfer_to_the_worker() {
    let api = books(Settings::default()).await;
    let send = || later(&api, &transfer(1, 2, "30")).header("idempotency-key", "k");
    let first = send().expect(202).await;
    let _worker = api.settler();
    api.until_status(&id(&first.json()), "complete").await;
    let again = send().expect(202).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("preference-applied"), Some("respond-async"));
    let at_once = api.post("/transfers", transfer(1, 2, "30").to_string());
    // A preference is no part of what is asked for.
    let at_once = at_once.header("idempotency-key", "k").expect(202).await;
    assert_eq!(at_once.body, first.body);
    assert_eq!(api.money(1).await[0], "70.00");
    let mut named = transfer(1, 2, "1");
    named["reference"] = json!("r");
    later(&api, &named).expect(202).await;
    let known = later(&api, &named).expect(200).await;
    assert_eq!(known.header("preference-applied"), None);
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_once() {
    let api = books(Settings::default()).await;
    for (body, status, code) in [
        (transfer(1, 9, "1"), 404, "ACCOUNT_NOT_FOUND"),
        (transfer(1, 2, "0"), 422, "VALIDATION_FAILED"),
        (transfer(1, 2, "0.001"), 422, "VALIDATION_FAILED"),
    ] {
        assert_eq!(later(&api, &body).expect(status).await.code(), code, "{body}");
    }
}

#[tokio::test]
async fn a_scheduled_transfer_is_done_when_its_time_comes() {
    let api = books(Settings::default()).await;
    let _worker = api.settler();
    let mut never = transfer(1, 2, "1");
    never["execute_at"] = json!("2199-01-01");
    let never = api.post("/transfers", never.to_string()).expect(201).await.json();
    let mut soon = transfer(1, 2, "2");
    let at = daybook_server::app::now().micros() + 300_000;
    let at = daybook_core::Timestamp::from_micros(at).to_string();
    soon["execute_at"] = json!(at);
    let soon = api.post("/transfers", soon.to_string()).expect(201).await.json();
    assert_eq!((&soon["status"], &soon["next_attempt"]), (&json!("pending"), &json!(at)));
    let done = api.until_status(&id(&soon), "complete").await;
    assert!(done["posted_at"].as_str() >= Some(&at), "{done}");
    let waiting = api.get("/transfers?status=pending").expect(200).await.json();
    assert_eq!(crate::support::ids(&waiting), [id(&never)]);
    for action in ["post", "rollback"] {
        let path = format!("/transfers/{}/{action}", id(&never));
        api.call("POST", &path).expect(409).await;
    }
    let path = format!("/transfers/{}/void", id(&never));
    let voided = api.call("POST", &path).expect(200).await.json();
    assert_eq!((&voided["status"], &voided["next_attempt"]), (&json!("rollback"), &Value::Null));
}

#[tokio::test]
async fn an_expired_hold_is_let_go() {
    let api = books(Settings::default()).await;
    let mut body = transfer(1, 2, "30");
    body["pending"] = json!(true);
    body["expires_in"] = json!(1);
    let held = api.post("/transfers", body.to_string()).expect(201).await.json();
    assert!(held["expires_at"].is_string());
    assert_eq!(api.money(1).await, ["100.00", "70.00"]);
    let post = format!("/transfers/{}/post", id(&held));
    // Nobody lets go of it yet, but it cannot be posted any more.
    let expired = async {
        loop {
            let body = r#"{"amount":"1000"}"#;
            let answer = api.post(&post, body).send().await;
            match &*answer.code() {
                "MORE_THAN_HELD" => tokio::time::sleep(Duration::from_millis(20)).await,
                code => break code.to_owned(),
            }
        }
    };
    let code = tokio::time::timeout(Duration::from_secs(20), expired).await.expect("in time");
    assert_eq!(code, "HOLD_EXPIRED");
    assert_eq!(api.money(1).await, ["100.00", "70.00"]);
    let _worker = api.settler();
    let failed = api.until_status(&id(&held), "failed").await;
    assert_eq!(failed["last_error"]["code"], "HOLD_EXPIRED");
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
    counted(&api, "expired", |n| n == 1).await;
    let feed = api.get("/transactions?user_id=bob").expect(200).await.json();
    assert_eq!(feed["items"][0]["status"], "failed");
    let answer = api.post(&post, "{}").expect(409).await;
    assert_eq!(answer.code(), "ILLEGAL_STATUS_MOVE");
    api.prove().await;
}

#[tokio::test]
async fn a_hold_for_later_is_held_by_the_worker() {
    let api = books(Settings::default()).await;
    let mut body = transfer(1, 2, "30");
    body["pending"] = json!(true);
    let made = later(&api, &body).expect(202).await.json();
    let _worker = api.settler();
    let path = format!("/transfers/{}", id(&made));
    let held = api.until(&path, |transfer| transfer["next_attempt"].is_null()).await;
    assert_eq!((&held["status"], &held["held_amount"]), (&json!("pending"), &json!("30.00")));
    assert_eq!(api.money(1).await, ["100.00", "70.00"]);
    counted(&api, "held", |n| n == 1).await;
    api.call("POST", &format!("{path}/post")).expect(200).await;
    assert_eq!(api.money(2).await[0], "30.00");
}

#[tokio::test]
async fn too_little_money_is_tried_again_until_there_is_more() {
    let api = books(hasty(1_000)).await;
    let _worker = api.settler();
    let made = later(&api, &transfer(2, 1, "50")).expect(202).await.json();
    let path = format!("/transfers/{}", id(&made));
    let tried = api.until(&path, |transfer| transfer["retry_count"].as_u64() >= Some(2)).await;
    assert_eq!(tried["status"], "pending");
    assert_eq!(
        (&tried["last_error"]["kind"], &tried["last_error"]["code"]),
        (&json!("temporary"), &json!("INSUFFICIENT_FUNDS"))
    );
    assert!(tried["next_attempt"].as_str() > tried["last_attempt"].as_str());
    api.post("/transfers", transfer(1, 2, "60").to_string()).expect(201).await;
    let done = api.until_status(&id(&made), "complete").await;
    assert_eq!(done["next_attempt"], Value::Null);
    assert_eq!(api.money(2).await[0], "10.00");
    counted(&api, "retried", |n| n >= 2).await;
    api.prove().await;
}

#[tokio::test]
async fn a_frozen_account_is_waited_for() {
    let api = books(hasty(1_000)).await;
    let freeze =
        |status: &str| api.call("PATCH", "/accounts/2").json(json!({"status": status}).to_string());
    freeze("frozen").expect(200).await;
    let _worker = api.settler();
    let made = later(&api, &transfer(1, 2, "5")).expect(202).await.json();
    let path = format!("/transfers/{}", id(&made));
    let tried = api.until(&path, |transfer| transfer["retry_count"] != 0).await;
    assert_eq!(tried["last_error"]["code"], "ACCOUNT_FROZEN");
    freeze("open").expect(200).await;
    api.until_status(&id(&made), "complete").await;
}

#[tokio::test]
async fn what_fails_for_good_is_not_tried_again() {
    let api = books(hasty(1_000)).await;
    let made = later(&api, &transfer(2, 1, "5")).expect(202).await.json();
    api.call("PATCH", "/accounts/2").json(r#"{"status":"closed"}"#).expect(200).await;
    let _worker = api.settler();
    let failed = api.until_status(&id(&made), "failed").await;
    assert_eq!(
        ["retry_count", "next_attempt", "posted_at"].map(|name| &failed[name]),
        [&json!(1), &Value::Null, &Value::Null]
    );
    let error = &failed["last_error"];
    assert_eq!((&error["kind"], &error["code"]), (&json!("permanent"), &json!("ACCOUNT_CLOSED")));
    assert!(error["detail"].as_str().is_some_and(|detail| detail.contains("closed")));
    counted(&api, "failed", |n| n == 1).await;
    for action in ["post", "void", "rollback"] {
        let path = format!("/transfers/{}/{action}", id(&made));
        assert_eq!(api.call("POST", &path).expect(409).await.code(), "ILLEGAL_STATUS_MOVE");
    }
}

#[tokio::test]
async fn attempts_end() {
    let api = books(hasty(3)).await;
    let _worker = api.settler();
    let made = later(&api, &transfer(2, 1, "50")).expect(202).await.json();
    let failed = api.until_status(&id(&made), "failed").await;
    assert_eq!((&failed["retry_count"], &failed["next_attempt"]), (&json!(3), &Value::Null));
    assert_eq!(failed["last_error"]["code"], "INSUFFICIENT_FUNDS");
    counted(&api, "retried", |n| n == 2).await;
    counted(&api, "failed", |n| n == 1).await;
    let feed = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!(feed["total"], 0);
    api.prove().await;
}

#[tokio::test]
async fn thousands_that_wait_are_done_page_by_page() {
    let api = books(Settings::default()).await;
    let mut item = transfer(1, 2, "0.01");
    item["execute_at"] = json!("2020-01-01");
    let items = Value::Array(vec![item; 1_200]).to_string();
    api.post("/transfers/batch", items).expect(200).await;
    let _worker = api.settler();
    api.until("/accounts/2", |account| account["balance"] == "12.00").await;
    counted(&api, "complete", |n| n == 1_200).await;
    assert_eq!(api.get("/transfers?status=pending").expect(200).await.json()["items"], json!([]));
    api.until("/health", |health| health["status"] == "healthy").await;
    api.prove().await;
}

#[tokio::test]
async fn a_worker_that_stops_leaves_the_rest_to_the_next() {
    let api = books(Settings::default()).await;
    drop(api.settler());
    let made = later(&api, &transfer(1, 2, "1")).expect(202).await.json();
    let _next = api.settler();
    api.until_status(&id(&made), "complete").await;
}
