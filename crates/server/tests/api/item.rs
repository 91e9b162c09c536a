//! `/transactions/{id}`: reading, changing and erasing.

use serde_json::json;

use crate::support::{Api, card, service_token, user_token};

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
        assert!(detail.starts_with("Invalid transaction ID format"), "{detail}");
    }
    for method in ["PATCH", "PUT"] {
        api.call(method, "/transactions/42").json("{}").expect(400).await;
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
    let item = api.post("/transactions", body.to_string()).token(&ann).expect(201).await.json();
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
    api.get(&format!("{path}?user_id=ann")).token(&bob).expect(403).await;
    api.get(&path).token(&ann).expect(200).await;
    let service = service_token(&[daybook_server::auth::Scope::FeedRead]);
    api.get(&path).token(&service).expect(200).await;
    let answer = api.call("DELETE", &path).token(&service).expect(403).await;
    assert_eq!(answer.code(), "MISSING_SCOPE");
    let body = card().to_string();
    let answer = api.post("/transactions", body).token(&bob).expect(403).await;
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
    let answer = api.call("PATCH", &path).json(patch.to_string()).expect(200).await;
    let item = answer.json();
    assert_eq!(answer.header("etag"), Some("\"2\""));
    assert_eq!((&item["version"], &item["status"]), (&json!(2), &json!("completed")));
    assert_eq!(item["metadata"], json!({"merchant_name": "Starbucks", "note": "lunch"}));
    assert_eq!(item["created_at"], "2024-01-16T00:00:00.000000Z");
    assert!(item["updated_at"].is_string());
    assert!(answer.text().contains("\"amount\":12.50"));
    let merge = api.call("PATCH", &path).header("content-type", "application/merge-patch+json");
    merge.body(r#"{"metadata":{"note":"dinner"}}"#).expect(200).await;
    let answer = api.call("PATCH", &path).json(r#"{"status":"pending"}"#).expect(409).await;
    assert_eq!(answer.code(), "ILLEGAL_STATUS_MOVE");
    for (field, value) in [
        ("user_id", json!("bob")),
        ("currency", json!("EUR")),
        ("id", json!(1)),
        ("product", json!("P2P")),
    ] {
        let answer = api.call("PATCH", &path).json(json!({field: value}).to_string()).expect(422);
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
    let put = api.call("PUT", &path).json(full.to_string()).expect(200).await;
    assert_eq!(put.json()["metadata"], json!({"a": 1}));
    assert_eq!(put.json()["version"], 2);
    let missing = api.call("PUT", &path).json("{}").expect(422).await;
    assert_eq!(missing.faults().len(), 4, "{}", missing.text());
    let mut moved = full.clone();
    moved["user_id"] = json!("bob");
    let answer = api.call("PUT", &path).json(moved.to_string()).expect(422).await;
    assert_eq!(answer.faults(), [("/user_id".to_owned(), "IMMUTABLE".to_owned())]);
}

#[tokio::test]
async fn an_erased_item_is_gone_and_its_history_stays() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    api.call("PATCH", &path).json(r#"{"amount":2}"#).expect(200).await;
    let answer = api.call("DELETE", &path).expect(204).await;
    assert!(answer.body.is_empty() && answer.header("x-commit-seq").is_some());
    api.get(&path).expect(404).await;
    api.call("DELETE", &path).expect(404).await;
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 0);
    let history = api.get(&format!("{path}/history")).expect(200).await.json();
    let items = history["items"].as_array().expect("items");
    let names: Vec<&str> = items.iter().filter_map(|v| v["event_type"].as_str()).collect();
    assert_eq!(names, ["transaction.created", "transaction.updated", "transaction.deleted"]);
    let versions: Vec<_> = items.iter().map(|v| v["version"].clone()).collect();
    assert_eq!(versions, [1, 2, 3]);
    for version in items {
        assert!(version["at"].is_string() && version["seq"].is_number());
        assert_eq!(version["transaction"]["id"], item["id"]);
    }
    api.get(&format!("{path}/history?user_id=bob")).expect(403).await;
    api.get(&format!("{path}/history?page=1")).expect(400).await;
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let api = Api::new().await;
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let patch =
        |tag: &str| api.call("PATCH", &path).header("if-match", tag).json(r#"{"amount":2}"#);
    patch("\"1\"").expect(200).await;
    assert_eq!(patch("\"1\"").expect(409).await.code(), "STALE_VERSION");
    patch("*").expect(200).await;
    for tag in ["2", "W/\"2\"", "\"x\"", "\"1\", \"2\"", ""] {
        assert_eq!(patch(tag).expect(400).await.code(), "INVALID_HEADER", "{tag}");
    }
    let delete = |tag: &str| api.call("DELETE", &path).header("if-match", tag);
    delete("\"1\"").expect(409).await;
    let full = json!({"status": "completed", "amount": 9, "metadata": {},
                      "created_at": "2024-02-01"});
    let put = |tag: &str| api.call("PUT", &path).header("if-match", tag).json(full.to_string());
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
