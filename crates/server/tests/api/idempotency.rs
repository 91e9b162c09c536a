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

#[tokio::test]
async fn the_same_written_otherwise_is_a_repeat() {
    let api = Api::new().await;
    let post =
        |body: &str| api.post("/transactions", body.to_owned()).header("idempotency-key", "k");
    let first = post(r#"{"user_id":"ann","transaction_type":"other","amount":4.5,"metadata":{"a":1,"b":"\u00e9"}}"#)
        .expect(201)
        .await;
    for body in [
        r#"{"amount":4.50,"transaction_type":"other","user_id":"ann","metadata":{"b":"é","a":1.0}}"#,
        " {\"metadata\" : {\"a\":1e0, \"b\":\"\u{e9}\"},\n\"amount\":45E-1,\"user_id\":\"a\\u006en\",
          \"transaction_type\":\"other\" }\r\n",
    ] {
        let again = post(body).expect(201).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{body}");
        assert_eq!(again.body, first.body, "{body}");
    }
    for body in [
        r#"{"user_id":"ann","transaction_type":"other","amount":4.51,"metadata":{"a":1,"b":"é"}}"#,
        r#"{"user_id":"ann","transaction_type":"other","amount":"4.5","metadata":{"a":1,"b":"é"}}"#,
        r#"{"user_id":"ann","transaction_type":"other","amount":4.5,"metadata":{"a":"1","b":"é"}}"#,
        r#"{"user_id":"ann","transaction_type":"other","amount":4.5,"metadata":{"a":1}}"#,
        r#"{"user_id":"ann","transaction_type":"other","amount":4.5,"metadata":{"b":1,"a":"é"}}"#,
        r#"{"user_id":"bob","transaction_type":"other","amount":4.5,"metadata":{"a":1,"b":"é"}}"#,
    ] {
        assert_eq!(post(body).expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED", "{body}");
    }
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    let change = |method: &str, body: &str| {
        let path = format!("/transactions/{id}?user_id=ann");
        api.call(method, &path).header("idempotency-key", "k").json(body.to_owned())
    };
    for (method, one, same, other) in [
        (
            "PATCH",
            r#"{"amount":5,"metadata":{"x":[1,2]}}"#,
            r#"{"metadata":{"x":[1.0, 2]},"amount":5.00}"#,
            r#"{"amount":5,"metadata":{"x":[2,1]}}"#,
        ),
        (
            "PUT",
            r#"{"user_id":"ann","transaction_type":"other","status":"completed","currency":"USD","amount":6,
                "created_at":"2024-01-01T00:00:00Z","metadata":{}}"#,
            r#"{"metadata":{},"created_at":"2024-01-01T00:00:00Z","amount":6.0,"currency":"USD",
                "status":"completed","transaction_type":"other","user_id":"ann"}"#,
            r#"{"user_id":"ann","transaction_type":"other","status":"completed","currency":"USD","amount":7,
                "created_at":"2024-01-01T00:00:00Z","metadata":{}}"#,
        ),
    ] {
        let first = change(method, one).expect(200).await;
        let again = change(method, same).expect(200).await;
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
        assert_eq!(change(method, other).expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_batch_is_its_items_however_they_are_sent() {
    let api = Api::new().await;
    let item = |amount: &str| {
        format!(r#"{{"user_id":"ann","transaction_type":"other","amount":{amount}}}"#)
    };
    let send = |content_type: &str, body: String| {
        let call = api.call("POST", "/transactions/batch").header("idempotency-key", "k");
        call.header("content-type", content_type).body(body)
    };
    let (json, lines) = ("application/json", "application/x-ndjson");
    let first = send(json, format!("[{},{},\"x\"]", item("1"), item("2"))).expect(200).await;
    for (content_type, body) in [
        (json, format!("[ {} ,\n{}, \"\\u0078\" ]", item("1.0"), item("20e-1"))),
        (lines, format!("{}\n\n{}\r\n\"x\"\n", item("1.00"), item("2"))),
        (lines, format!("  {}\n{}\n \"x\"", item("1"), item("2.0"))),
    ] {
        let again = send(content_type, body.clone()).expect(200).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{body}");
        assert_eq!(again.body, first.body, "{body}");
    }
    for (content_type, body) in [
        (json, format!("[{},{},\"x\"]", item("2"), item("1"))),
        (json, format!("[{},{}]", item("1"), item("2"))),
        (lines, format!("{}\n{}\nx", item("1"), item("2"))),
    ] {
        let answer = send(content_type, body.clone()).expect(422).await;
        assert_eq!(answer.code(), "IDEMPOTENCY_KEY_REUSED", "{body}");
    }
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 2);
}

/// A preference is no part of what is asked for, and a repeat is told what the first was told.
#[tokio::test]
async fn another_preference_is_the_same_request() {
    let api = crate::support::ann_and_bob().await;
    let body = |amount: &str| crate::support::transfer(1, 2, amount).to_string();
    let send = |key: &str, prefer: &str, body: String| {
        api.post("/transfers", body).header("idempotency-key", key).header("prefer", prefer)
    };
    for (key, first, status, others) in [
        ("a", "respond-async", 202, ["wait=10", "respond-async, wait=5"]),
        ("b", "wait=10", 201, ["respond-async", "handling=lenient"]),
    ] {
        let answer = send(key, first, body("1")).expect(status).await;
        for other in others {
            let again = send(key, other, body("1")).expect(status).await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{key} {other}");
            assert_eq!(again.body, answer.body, "{key} {other}");
            let applied = again.header("preference-applied");
            assert_eq!(applied.is_some(), status == 202, "{key} {other}");
        }
        let answer = send(key, first, body("2")).expect(422).await;
        assert_eq!(answer.code(), "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_request_has_one_key() {
    let api = Api::new().await;
    for second in ["k", "other"] {
        let call = api.post("/transactions", card().to_string()).header("idempotency-key", "k");
        let answer = call.header("idempotency-key", second).expect(400).await;
        assert_eq!(answer.code(), "INVALID_HEADER");
        assert!(answer.text().contains("Idempotency-Key"), "{}", answer.text());
    }
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 0);
}

#[tokio::test]
async fn parameters_in_another_order_are_the_same_request() {
    let api = Api::new().await;
    let id = api.record(card()).await["id"].as_str().expect("an id").to_owned();
    let delete = |query: &str| {
        let path = format!("/transactions/{id}?{query}");
        api.call("DELETE", &path).header("idempotency-key", "k")
    };
    delete("user_id=ann").expect(204).await;
    let again = delete("user%5Fid=%61nn").expect(204).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(delete("user_id=bob").expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
}
