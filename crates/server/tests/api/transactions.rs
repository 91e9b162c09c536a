//! `/transactions` and `/transactions/{id}`: recording, reading, changing and erasing.

use daybook_core::kind::KINDS;
use serde_json::{Value, json};

use crate::support::{Api, service_token, user_token};

fn card() -> Value {
    json!({"user_id": "ann", "transaction_type": "card", "amount": 150.00, "currency": "USD",
           "metadata": {"merchant_name": "Starbucks", "card_last_four": "5678"},
           "created_at": "2024-01-15T10:30:00Z"})
}

#[tokio::test]
async fn a_recorded_item_comes_back_as_the_contract_says() {
    let api = Api::new().await;
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":150.00,"currency":"USD",
        "metadata":{"z":1.10,"merchant_name":"Starbucks","card_last_four":"5678"},
        "created_at":"2024-01-15T12:30:00+02:00"}"#;
    let answer = api.post("/transactions", body).expect(201).await;
    let item = answer.json();
    let id = item["id"].as_str().expect("an id");
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/api/v1/transactions/{id}"))
    );
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-commit-seq").is_some());
    assert!(
        answer.text().contains(r#""amount":150.00,"#),
        "{}",
        answer.text()
    );
    assert!(
        answer.text().contains(r#""metadata":{"z":1.10,"#),
        "{}",
        answer.text()
    );
    for (name, expected) in [
        ("user_id", json!("ann")),
        ("transaction_type", json!("card")),
        ("product", json!("Card")),
        ("status", json!("completed")),
        ("side", json!("debit")),
        ("currency", json!("USD")),
        ("source", Value::Null),
        ("external_id", Value::Null),
        ("version", json!(1)),
        ("created_at", json!("2024-01-15T10:30:00.000000Z")),
        ("updated_at", Value::Null),
    ] {
        assert_eq!(item[name], expected, "{name}");
    }
    assert!(item["display"]["title"].is_string());
    let read = api.get(&format!("/transactions/{id}")).expect(200).await;
    assert_eq!(read.body, answer.body);
    assert_eq!(read.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn every_kind_can_be_recorded_as_its_example_says() {
    let api = Api::new().await;
    for kind in KINDS {
        let mut body: Value = serde_json::from_str(kind.example()).expect("JSON");
        body["user_id"] = json!("ann");
        let item = api.record(body).await;
        assert_eq!(item["transaction_type"], kind.transaction_type().name());
    }
}

#[tokio::test]
async fn every_broken_field_is_named_in_one_answer() {
    let api = Api::new().await;
    let body = json!({"user_id": "a b", "transaction_type": "gift", "amount": true,
        "currency": "XXQ", "status": "done", "side": 1, "product": "Boat", "metadata": [],
        "external_id": "", "created_at": "2023-02-29", "colour": "red"});
    let answer = api
        .post("/transactions", body.to_string())
        .expect(422)
        .await;
    assert_eq!(answer.code(), "VALIDATION_FAILED");
    let faults = answer.faults();
    for (pointer, code) in [
        ("/user_id", "USER_ID"),
        ("/transaction_type", "UNKNOWN_TYPE"),
        ("/amount", "TYPE"),
        ("/currency", "UNKNOWN_CURRENCY"),
        ("/status", "UNKNOWN_STATUS"),
        ("/side", "TYPE"),
        ("/product", "UNKNOWN_PRODUCT"),
        ("/metadata", "TYPE"),
        ("/external_id", "LENGTH"),
        ("/created_at", "TIME"),
        ("/colour", "UNKNOWN_FIELD"),
    ] {
        let found = faults.iter().any(|(p, c)| p == pointer && c == code);
        assert!(found, "{pointer} {code} is not in {faults:?}");
    }
}

#[tokio::test]
async fn missing_fields_are_named() {
    let answer = Api::new()
        .await
        .post("/transactions", "{}")
        .expect(422)
        .await;
    let required = |name: &str| (format!("/{name}"), "REQUIRED".to_owned());
    let expected: Vec<_> = ["user_id", "transaction_type", "amount"]
        .map(required)
        .into();
    assert_eq!(answer.faults(), expected);
}

#[tokio::test]
async fn amounts_are_read_from_their_digits() {
    let api = Api::new().await;
    let post = |amount: &str, currency: &str| {
        let body = format!(
            r#"{{"user_id":"ann","transaction_type":"other","amount":{amount},"currency":"{currency}"}}"#
        );
        api.post("/transactions", body)
    };
    for (amount, currency, shown) in [
        ("1234567890123456789", "USD", "1234567890123456789.00"),
        ("\"0.10\"", "EUR", "0.10"),
        ("1.5e2", "USD", "150.00"),
        ("7", "JPY", "7"),
        ("0.000000000000000001", "ETH", "0.000000000000000001"),
        ("99999999999999999999.99", "USD", "99999999999999999999.99"),
    ] {
        let answer = post(amount, currency).expect(201).await;
        let text = answer.text();
        assert!(
            text.contains(&format!("\"amount\":{shown},")),
            "{amount}: {text}"
        );
    }
    for (amount, currency) in [
        ("1.005", "USD"),
        ("1.5", "JPY"),
        ("1e400", "USD"),
        ("\"NaN\"", "USD"),
        ("\"Infinity\"", "USD"),
        ("\"\"", "USD"),
        ("\"1,50\"", "USD"),
        ("100000000000000000000", "USD"),
        ("null", "USD"),
        ("[1]", "USD"),
    ] {
        let answer = post(amount, currency).expect(422).await;
        assert_eq!(answer.faults().len(), 1, "{amount}: {}", answer.text());
        assert_eq!(answer.faults()[0].0, "/amount");
    }
    for amount in ["NaN", "Infinity", "01", "+1", "1.", ".5", "0x10"] {
        assert_eq!(
            post(amount, "USD").expect(400).await.code(),
            "MALFORMED_JSON",
            "{amount}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_object_is_malformed() {
    let api = Api::new().await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for body in [
        "",
        "{",
        "[]",
        "\"text\"",
        "nul",
        "{\"user_id\":}",
        "{} {}",
        "{,}",
        deep.as_str(),
    ] {
        let answer = api.post("/transactions", body.to_owned()).expect(400).await;
        assert_eq!(answer.code(), "MALFORMED_JSON", "{body}");
    }
    let duplicate = r#"{"user_id":"ann","amount":1,"amount":2,"transaction_type":"card"}"#;
    assert_eq!(
        api.post("/transactions", duplicate)
            .expect(400)
            .await
            .code(),
        "DUPLICATE_KEY"
    );
    let latin: &[u8] = b"{\"user_id\":\"Jos\xe9\"}";
    api.post("/transactions", latin).expect(400).await;
    let surrogate = r#"{"user_id":"\ud800","transaction_type":"card","amount":1}"#;
    let answer = api.post("/transactions", surrogate).send().await;
    assert!(answer.status.is_client_error());
}

#[tokio::test]
async fn metadata_has_limits() {
    let api = Api::new().await;
    let post = |metadata: String| {
        let body = format!(
            r#"{{"user_id":"ann","transaction_type":"other","amount":1,"metadata":{metadata}}}"#
        );
        api.post("/transactions", body)
    };
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    post(nested(5)).expect(201).await;
    post(nested(6)).expect(422).await;
    let answer = post(nested(1_000)).send().await;
    assert!(
        [400, 422].contains(&answer.status.as_u16()),
        "{}",
        answer.text()
    );
    let keys = |n: usize| {
        let pairs: Vec<String> = (0..n).map(|i| format!("\"k{i}\":1")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    post(keys(64)).expect(201).await;
    post(keys(65)).expect(422).await;
    post(format!("{{\"{}\":1}}", "k".repeat(101)))
        .expect(422)
        .await;
    post(format!("{{\"k\":\"{}\"}}", "x".repeat(17_000)))
        .expect(422)
        .await;
    let answer = post(r#"{"a":1,"a":2}"#.to_owned()).expect(422).await;
    assert_eq!(
        answer.faults(),
        [("/metadata".to_owned(), "DUPLICATE_KEY".to_owned())]
    );
}

#[tokio::test]
async fn the_same_external_record_is_one_item() {
    let api = Api::new().await;
    let mut body = card();
    body["source"] = json!("bank");
    body["external_id"] = json!("42");
    body["status"] = json!("pending");
    let first = api.record(body.clone()).await;
    let again = api
        .post("/transactions", body.to_string())
        .expect(200)
        .await;
    assert_eq!(
        (again.json()["id"].clone(), again.json()["version"].clone()),
        (first["id"].clone(), json!(1))
    );
    body["status"] = json!("completed");
    let newer = api
        .post("/transactions", body.to_string())
        .expect(200)
        .await
        .json();
    assert_eq!((&newer["id"], &newer["version"]), (&first["id"], &json!(2)));
    assert_eq!(newer["status"], "completed");
    body["status"] = json!("pending");
    let older = api
        .post("/transactions", body.to_string())
        .expect(200)
        .await
        .json();
    assert_eq!(
        (&older["version"], &older["status"]),
        (&json!(2), &json!("completed"))
    );
    let page = api
        .get("/transactions?user_id=ann")
        .expect(200)
        .await
        .json();
    assert_eq!(page["total"], 1);
    body.as_object_mut().expect("an object").remove("source");
    let answer = api
        .post("/transactions", body.to_string())
        .expect(422)
        .await;
    assert_eq!(answer.faults()[0].0, "/source");
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_told_so() {
    let api = Api::new().await;
    for (method, path) in [
        ("GET", "/transactions/42"),
        ("GET", "/transactions/0190-zz/history"),
        ("DELETE", "/transactions/42"),
    ] {
        let answer = api.call(method, path).expect(400).await;
        let detail = answer.json()["detail"].as_str().expect("a text").to_owned();
        assert!(
            detail.starts_with("Invalid transaction ID format"),
            "{detail}"
        );
    }
    for method in ["PATCH", "PUT"] {
        api.call(method, "/transactions/42")
            .json("{}")
            .expect(400)
            .await;
    }
}

#[tokio::test]
async fn an_id_that_is_not_there_is_not_found() {
    let api = Api::new().await;
    let path = "/transactions/01900000-0000-7000-8000-000000000000";
    let full = json!({"status": "completed", "amount": 1, "metadata": {},
                      "created_at": "2024-01-15"});
    for (call, body) in [
        (api.get(path), ""),
        (api.get(&format!("{path}/history")), ""),
        (api.call("DELETE", path), ""),
        (api.call("PATCH", path), "{}"),
        (api.call("PUT", path), &full.to_string()),
    ] {
        let answer = call.body(body.to_owned()).expect(404).await;
        assert_eq!(answer.code(), "TRANSACTION_NOT_FOUND");
    }
}

#[tokio::test]
async fn somebody_elses_item_is_forbidden() {
    let api = Api::guarded().await;
    let (ann, bob) = (user_token("ann"), user_token("bob"));
    let mut body = card();
    body.as_object_mut().expect("an object").remove("user_id");
    let item = api
        .post("/transactions", body.to_string())
        .token(&ann)
        .expect(201)
        .await
        .json();
    assert_eq!(item["user_id"], "ann");
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    for (call, body) in [
        (api.get(&path), ""),
        (api.get(&format!("{path}/history")), ""),
        (api.call("PATCH", &path), r#"{"amount":1}"#),
        (api.call("DELETE", &path), ""),
    ] {
        let answer = call.token(&bob).body(body).expect(403).await;
        assert_eq!(answer.code(), "NOT_YOUR_TRANSACTION");
    }
    // The token's user wins over the parameter.
    api.get(&format!("{path}?user_id=ann"))
        .token(&bob)
        .expect(403)
        .await;
    api.get(&path).token(&ann).expect(200).await;
    let service = service_token(&[daybook_server::auth::Scope::FeedRead]);
    api.get(&path).token(&service).expect(200).await;
    let answer = api.call("DELETE", &path).token(&service).expect(403).await;
    assert_eq!(answer.code(), "MISSING_SCOPE");
    let body = card().to_string();
    let answer = api
        .post("/transactions", body)
        .token(&bob)
        .expect(403)
        .await;
    assert_eq!(answer.code(), "NOT_YOUR_USER");
}

#[tokio::test]
async fn without_a_token_a_named_user_owns_only_own_items() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    api.get(&format!("{path}?user_id=bob")).expect(403).await;
    api.get(&format!("{path}?user_id=ann")).expect(200).await;
    api.get(&path).expect(200).await;
}

#[tokio::test]
async fn a_patch_changes_what_may_change() {
    let api = Api::new().await;
    let mut body = card();
    body["status"] = json!("pending");
    let item = api.record(body).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let patch = json!({"status": "completed", "amount": "12.50",
        "metadata": {"card_last_four": null, "note": "lunch"},
        "created_at": "2024-01-16T00:00:00Z"});
    let answer = api
        .call("PATCH", &path)
        .json(patch.to_string())
        .expect(200)
        .await;
    let item = answer.json();
    assert_eq!(answer.header("etag"), Some("\"2\""));
    assert_eq!(
        (&item["version"], &item["status"]),
        (&json!(2), &json!("completed"))
    );
    assert_eq!(
        item["metadata"],
        json!({"merchant_name": "Starbucks", "note": "lunch"})
    );
    assert_eq!(item["created_at"], "2024-01-16T00:00:00.000000Z");
    assert!(item["updated_at"].is_string());
    assert!(answer.text().contains("\"amount\":12.50"));
    let merge = api
        .call("PATCH", &path)
        .header("content-type", "application/merge-patch+json");
    merge
        .body(r#"{"metadata":{"note":"dinner"}}"#)
        .expect(200)
        .await;
    let answer = api
        .call("PATCH", &path)
        .json(r#"{"status":"pending"}"#)
        .expect(409)
        .await;
    assert_eq!(answer.code(), "ILLEGAL_STATUS_MOVE");
    for (field, value) in [
        ("user_id", json!("bob")),
        ("currency", json!("EUR")),
        ("id", json!(1)),
        ("product", json!("P2P")),
        ("side", json!("credit")),
    ] {
        let answer = api
            .call("PATCH", &path)
            .json(json!({field: value}).to_string())
            .expect(422);
        let expected = [(format!("/{field}"), "IMMUTABLE".to_owned())];
        assert_eq!(answer.await.faults(), expected);
    }
    for patch in [
        r#"{"amount":1.005}"#,
        r#"{"amount":null}"#,
        r#"{"status":"done"}"#,
        r#"{"colour":1}"#,
        r#"{"metadata":[]}"#,
        r#"{"created_at":"never"}"#,
        r#"{"metadata":{"card_last_four":"1"}}"#,
    ] {
        api.call("PATCH", &path).json(patch).expect(422).await;
    }
    api.call("PATCH", &path).json("[]").expect(400).await;
}

#[tokio::test]
async fn a_replacement_names_every_field_that_may_change() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let full = json!({"status": "completed", "amount": 9, "metadata": {"a": 1},
                      "created_at": "2024-02-01", "user_id": "ann", "transaction_type": "card"});
    let put = api
        .call("PUT", &path)
        .json(full.to_string())
        .expect(200)
        .await;
    assert_eq!(put.json()["metadata"], json!({"a": 1}));
    assert_eq!(put.json()["version"], 2);
    let missing = api.call("PUT", &path).json("{}").expect(422).await;
    assert_eq!(missing.faults().len(), 4, "{}", missing.text());
    let mut moved = full.clone();
    moved["user_id"] = json!("bob");
    let answer = api
        .call("PUT", &path)
        .json(moved.to_string())
        .expect(422)
        .await;
    assert_eq!(
        answer.faults(),
        [("/user_id".to_owned(), "IMMUTABLE".to_owned())]
    );
}

#[tokio::test]
async fn an_erased_item_is_gone_and_its_history_stays() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    api.call("PATCH", &path)
        .json(r#"{"amount":2}"#)
        .expect(200)
        .await;
    let answer = api.call("DELETE", &path).expect(204).await;
    assert!(answer.body.is_empty() && answer.header("x-commit-seq").is_some());
    api.get(&path).expect(404).await;
    api.call("DELETE", &path).expect(404).await;
    assert_eq!(
        api.get("/transactions?user_id=ann")
            .expect(200)
            .await
            .json()["total"],
        0
    );
    let history = api.get(&format!("{path}/history")).expect(200).await.json();
    let items = history["items"].as_array().expect("items");
    let names: Vec<&str> = items
        .iter()
        .filter_map(|v| v["event_type"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "transaction.created",
            "transaction.updated",
            "transaction.deleted"
        ]
    );
    let versions: Vec<_> = items.iter().map(|v| v["version"].clone()).collect();
    assert_eq!(versions, [1, 2, 3]);
    for version in items {
        assert!(version["at"].is_string() && version["seq"].is_number());
        assert_eq!(version["transaction"]["id"], item["id"]);
    }
    api.get(&format!("{path}/history?user_id=bob"))
        .expect(403)
        .await;
    api.get(&format!("{path}/history?page=1")).expect(400).await;
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let patch = |tag: &str| {
        api.call("PATCH", &path)
            .header("if-match", tag)
            .json(r#"{"amount":2}"#)
    };
    patch("\"1\"").expect(200).await;
    assert_eq!(patch("\"1\"").expect(409).await.code(), "STALE_VERSION");
    patch("*").expect(200).await;
    for tag in ["2", "W/\"2\"", "\"x\"", "\"1\", \"2\"", ""] {
        assert_eq!(
            patch(tag).expect(400).await.code(),
            "INVALID_HEADER",
            "{tag}"
        );
    }
    let delete = |tag: &str| api.call("DELETE", &path).header("if-match", tag);
    delete("\"1\"").expect(409).await;
    let full = json!({"status": "completed", "amount": 9, "metadata": {},
                      "created_at": "2024-02-01"});
    let put = |tag: &str| {
        api.call("PUT", &path)
            .header("if-match", tag)
            .json(full.to_string())
    };
    put("\"1\"").expect(409).await;
    put("\"2\"").expect(200).await;
    delete("\"3\"").expect(204).await;
}

#[tokio::test]
async fn a_reader_with_the_newest_version_gets_no_body() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let get = |tag: &str| api.get(&path).header("if-none-match", tag);
    for tag in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = get(tag).expect(304).await;
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), Some("\"1\""));
    }
    get("\"2\"").expect(200).await;
}

#[tokio::test]
async fn a_key_pays_once() {
    let api = Api::new().await;
    let post = |key: &str, body: &Value| {
        api.post("/transactions", body.to_string())
            .header("idempotency-key", key)
    };
    let first = post("k1", &card()).expect(201).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = post("k1", &card()).expect(201).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let mut other = card();
    other["amount"] = json!(1);
    assert_eq!(
        post("k1", &other).expect(422).await.code(),
        "IDEMPOTENCY_KEY_REUSED"
    );
    post("k2", &card()).expect(201).await;
    for key in ["", "has space", &"k".repeat(256), "tab\there"] {
        assert_eq!(
            post(key, &card()).expect(400).await.code(),
            "INVALID_HEADER"
        );
    }
    let path = format!(
        "/transactions/{}",
        first.json()["id"].as_str().expect("an id")
    );
    let delete = || api.call("DELETE", &path).header("idempotency-key", "k1");
    delete().expect(204).await;
    assert_eq!(
        delete().expect(204).await.header("idempotent-replayed"),
        Some("true")
    );
    assert_eq!(
        api.get("/transactions?user_id=ann")
            .expect(200)
            .await
            .json()["total"],
        1
    );
}

#[tokio::test]
async fn a_refusal_does_not_use_up_a_key() {
    let api = Api::new().await;
    let path = "/transactions/01900000-0000-7000-8000-000000000000";
    let patch = || {
        api.call("PATCH", path)
            .header("idempotency-key", "k")
            .json(r#"{"amount":2}"#)
    };
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
        let call = api
            .post("/transactions", body.to_string())
            .token(&user_token(user));
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
        let call = api
            .post("/transactions", body.clone())
            .header("idempotency-key", "together");
        call.send()
    };
    let answers = futures_util::future::join_all((0..50).map(|_| post())).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let replayed = answers
        .iter()
        .filter(|a| a.header("idempotent-replayed").is_some())
        .count();
    assert_eq!(replayed, 49);
    assert_eq!(
        api.get("/transactions?user_id=ann")
            .expect(200)
            .await
            .json()["total"],
        1
    );
}
