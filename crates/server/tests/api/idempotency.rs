//! `Idempotency-Key`

use serde_json::{Value, json};

use crate::support::{Api, card, user_token};

#[tokio::test]
async fn a_key_pays_once() {
    let api = Api::new().await;
    let post = |key: &str, body: &Value| {
        api.post("/transactions", body.to_string()).header("idempotency-key", key)
    };
    let first = post("k1", &card()).expect(201).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = post("k1", &card()).expect(201).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let mut other = card();
    other["amount"] = json!(1);
    assert_eq!(post("k1", &other).expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
    post("k2", &card()).expect(201).await;
    for key in ["", "has space", &"k".repeat(256), "tab\there"] {
        assert_eq!(post(key, &card()).expect(400).await.code(), "INVALID_HEADER");
    }
    let path = format!("/transactions/{}", first.json()["id"].as_str().expect("an id"));
    let delete = || api.call("DELETE", &path).header("idempotency-key", "k1");
    delete().expect(204).await;
    assert_eq!(delete().expect(204).await.header("idempotent-replayed"), Some("true"));
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 1);
}

#[tokio::test]
async fn a_refusal_does_not_use_up_a_key() {
    let api = Api::new().await;
    let path = "/transactions/01900000-0000-7000-8000-000000000000";
    let patch = || api.call("PATCH", path).header("idempotency-key", "k").json(r#"{"amount":2}"#);
    patch().expect(404).await;
    let again = patch().expect(404).await;
    assert_eq!(again.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn callers_do_not_share_keys() {
    let api = Api::guarded().await;
    let mut body = card();
    body.as_object_mut().expect("an object").remove("user_id");
    let mut seen = Vec::new();
    for user in ["ann", "bob"] {
        let call = api.post("/transactions", body.to_string()).token(&user_token(user));
        let answer = call.header("idempotency-key", "k").expect(201).await;
        assert_eq!(answer.header("idempotent-replayed"), None);
        seen.push(answer.json()["user_id"].clone());
    }
    assert_eq!(seen, ["ann", "bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_clients_with_one_key_make_one_row() {
    let api = Api::new().await;
    let body = card().to_string();
    let post = || {
        let call = api.post("/transactions", body.clone()).header("idempotency-key", "together");
        call.send()
    };
    let answers = futures_util::future::join_all((0..50).map(|_| post())).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let replayed = answers.iter().filter(|a| a.header("idempotent-replayed").is_some()).count();
    assert_eq!(replayed, 49);
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 1);
}
