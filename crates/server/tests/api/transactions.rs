//! `POST /transactions`: what is recorded, and what is refused.

use daybook_core::kind::KINDS;
use serde_json::{Value, json};

use crate::support::{Api, card};

#[tokio::test]
async fn a_recorded_item_comes_back_as_the_contract_says() {
    let api = Api::new().await;
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":150.00,"currency":"USD",
        "metadata":{"z":1.10,"merchant_name":"Starbucks","card_last_four":"5678"},
        "created_at":"2024-01-15T12:30:00+02:00"}"#;
    let answer = api.post("/transactions", body).expect(201).await;
    let item = answer.json();
    let id = item["id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/transactions/{id}")));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-commit-seq").is_some());
    assert!(answer.text().contains(r#""amount":150.00,"#), "{}", answer.text());
    assert!(answer.text().contains(r#""metadata":{"z":1.10,"#), "{}", answer.text());
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
    let body = json!({"user_id": "a\u{7}b", "transaction_type": "gift", "amount": true,
        "currency": "XXQ", "status": "done", "side": 1, "product": "Boat", "metadata": [],
        "external_id": "", "created_at": "2023-02-29", "colour": "red"});
    let answer = api.post("/transactions", body.to_string()).expect(422).await;
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
    let answer = Api::new().await.post("/transactions", "{}").expect(422).await;
    let required = |name: &str| (format!("/{name}"), "REQUIRED".to_owned());
    let expected: Vec<_> = ["user_id", "transaction_type", "amount"].map(required).into();
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
        assert!(text.contains(&format!("\"amount\":{shown},")), "{amount}: {text}");
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
        assert_eq!(post(amount, "USD").expect(400).await.code(), "MALFORMED_JSON", "{amount}");
    }
}

#[tokio::test]
async fn what_is_no_json_object_is_malformed() {
    let api = Api::new().await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for body in ["", "{", "[]", "\"text\"", "nul", "{\"user_id\":}", "{} {}", "{,}", deep.as_str()]
    {
        let answer = api.post("/transactions", body.to_owned()).expect(400).await;
        assert_eq!(answer.code(), "MALFORMED_JSON", "{body}");
    }
    let duplicate = r#"{"user_id":"ann","amount":1,"amount":2,"transaction_type":"card"}"#;
    assert_eq!(api.post("/transactions", duplicate).expect(400).await.code(), "DUPLICATE_KEY");
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
    assert!([400, 422].contains(&answer.status.as_u16()), "{}", answer.text());
    let keys = |n: usize| {
        let pairs: Vec<String> = (0..n).map(|i| format!("\"k{i}\":1")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    post(keys(64)).expect(201).await;
    post(keys(65)).expect(422).await;
    post(format!("{{\"{}\":1}}", "k".repeat(101))).expect(422).await;
    post(format!("{{\"k\":\"{}\"}}", "x".repeat(17_000))).expect(422).await;
    let answer = post(r#"{"a":1,"a":2}"#.to_owned()).expect(422).await;
    assert_eq!(answer.faults(), [("/metadata".to_owned(), "DUPLICATE_KEY".to_owned())]);
}

#[tokio::test]
async fn the_same_external_record_is_one_item() {
    let api = Api::new().await;
    let mut body = card();
    body["source"] = json!("bank");
    body["external_id"] = json!("42");
    body["status"] = json!("pending");
    let first = api.record(body.clone()).await;
    let again = api.post("/transactions", body.to_string()).expect(200).await;
    assert_eq!(
        (again.json()["id"].clone(), again.json()["version"].clone()),
        (first["id"].clone(), json!(1))
    );
    body["status"] = json!("completed");
    let newer = api.post("/transactions", body.to_string()).expect(200).await.json();
    assert_eq!((&newer["id"], &newer["version"]), (&first["id"], &json!(2)));
    assert_eq!(newer["status"], "completed");
    body["status"] = json!("pending");
    let older = api.post("/transactions", body.to_string()).expect(200).await.json();
    assert_eq!((&older["version"], &older["status"]), (&json!(2), &json!("completed")));
    let page = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!(page["total"], 1);
    body.as_object_mut().expect("an object").remove("source");
    let answer = api.post("/transactions", body.to_string()).expect(422).await;
    assert_eq!(answer.faults()[0].0, "/source");
}
