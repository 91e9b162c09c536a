//! `/transfers/{id}/post`, `/void` and `/rollback`, and the feed items that follow a transfer.

use serde_json::{Value, json};

use crate::support::{act, ann_and_bob, hold, ids, make, transfer};

#[tokio::test]
async fn a_hold_is_posted_whole_or_in_part() {
    let api = ann_and_bob().await;
    let id = hold(&api, "30").await;
    let held = api.get(&format!("/transfers/{id}")).expect(200).await.json();
    assert_eq!(
        ["status", "amount", "held_amount", "posted_at", "expires_at"].map(|name| &held[name]),
        [&json!("pending"), &json!("30.00"), &json!("30.00"), &Value::Null, &Value::Null]
    );
    assert_eq!(api.money(1).await, ["100.00", "70.00"]);
    let payee = api.get("/accounts/2").expect(200).await.json();
    assert_eq!((&payee["pending_in"], &payee["balance"]), (&json!("30.00"), &json!("0.00")));
    // No content type, no body.
    let posted = act(&api, &id, "post").expect(200).await;
    assert_eq!(posted.header("etag"), Some("\"2\""));
    assert!(posted.header("x-commit-seq").is_some());
    assert_eq!(posted.json()["status"], "complete");
    assert_eq!(api.money(1).await, ["70.00", "70.00"]);
    assert_eq!(act(&api, &id, "post").expect(409).await.code(), "ILLEGAL_STATUS_MOVE");
    for body in ["null", "{}"] {
        let id = hold(&api, "0.01").await;
        let posted = act(&api, &id, "post").json(body).expect(200).await.json();
        assert_eq!(posted["amount"], "0.01");
        act(&api, &id, "rollback").expect(200).await;
    }
    let id = hold(&api, "30").await;
    let part = |amount: &str| act(&api, &id, "post").json(json!({"amount": amount}).to_string());
    assert_eq!(part("30.01").expect(422).await.code(), "MORE_THAN_HELD");
    for (amount, code) in [("0", "NOT_POSITIVE"), ("-1", "NOT_POSITIVE"), ("x", "AMOUNT")] {
        let expected = [("/amount".to_owned(), code.to_owned())];
        assert_eq!(part(amount).expect(422).await.faults(), expected);
    }
    assert_eq!(part("0.001").expect(422).await.faults()[0].1, "AMOUNT");
    let posted = part("12.34").expect(200).await.json();
    assert_eq!((&posted["amount"], &posted["held_amount"]), (&json!("12.34"), &json!("30.00")));
    assert_eq!(api.money(1).await, ["57.66", "57.66"]);
    api.prove().await;
}

#[tokio::test]
async fn a_post_with_a_key_is_repeated_and_another_body_is_not() {
    let api = ann_and_bob().await;
    let id = hold(&api, "30").await;
    let post = |body: &'static str| {
        act(&api, &id, "post").header("content-type", "application/json").body(body)
    };
    let keyed = |body| post(body).header("idempotency-key", "k");
    let first = keyed(r#"{"amount":"10"}"#).expect(200).await;
    let again = keyed(r#"{"amount":"10"}"#).expect(200).await;
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(keyed("").expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(post(r#"{"amount":"10"}"#).expect(409).await.code(), "ILLEGAL_STATUS_MOVE");
    let [first, again] =
        [(); 2].map(|()| act(&api, &id, "rollback").header("idempotency-key", "k"));
    let first = first.expect(200).await;
    assert_eq!(again.expect(200).await.body, first.body);
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
}

#[tokio::test]
async fn a_void_lets_go() {
    let api = ann_and_bob().await;
    let id = hold(&api, "100").await;
    let answer = api.post("/transfers", transfer(1, 3, "0.01").to_string()).expect(422).await;
    assert_eq!(answer.code(), "INSUFFICIENT_FUNDS");
    assert_eq!(act(&api, &id, "rollback").expect(409).await.code(), "STILL_HELD");
    let voided = act(&api, &id, "void").json("{}").expect(200).await.json();
    assert_eq!((&voided["status"], &voided["posted_at"]), (&json!("rollback"), &Value::Null));
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
    for action in ["void", "post", "rollback"] {
        assert_eq!(act(&api, &id, action).expect(409).await.code(), "ILLEGAL_STATUS_MOVE");
    }
    let answer = act(&api, &id, "void").json(r#"{"amount":1}"#).expect(422).await;
    assert_eq!(answer.faults(), [("/amount".to_owned(), "UNKNOWN_FIELD".to_owned())]);
    act(&api, &id, "rollback").json("[").expect(400).await;
}

#[tokio::test]
async fn a_rollback_is_an_opposite_transfer() {
    let api = ann_and_bob().await;
    let made = make(&api, &transfer(1, 2, "40")).await;
    let id = made["id"].as_str().expect("an id");
    let answer = act(&api, id, "void").expect(409).await;
    assert_eq!(answer.code(), "ILLEGAL_STATUS_MOVE");
    let undone = act(&api, id, "rollback").expect(200).await.json();
    assert_eq!((&undone["id"], &undone["status"]), (&json!(id), &json!("rollback")));
    let by = undone["rolled_back_by"].as_str().expect("an id").to_owned();
    let opposite = api.get(&format!("/transfers/{by}")).expect(200).await.json();
    assert_eq!(
        ["status", "source_account_id", "destination_account_id", "amount", "rolls_back"]
            .map(|name| &opposite[name]),
        [&json!("complete"), &json!(2), &json!(1), &json!("40.00"), &json!(id)]
    );
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
    assert_eq!(act(&api, &by, "rollback").expect(409).await.code(), "IS_ROLLBACK");
    assert_eq!(act(&api, id, "rollback").expect(409).await.code(), "ILLEGAL_STATUS_MOVE");
    let entries = api.get("/accounts/1/entries").expect(200).await.json();
    assert_eq!(entries["items"].as_array().expect("items").len(), 3);
    // What was spent cannot be taken back.
    let spent = make(&api, &transfer(1, 2, "10")).await;
    make(&api, &transfer(2, 3, "10")).await;
    let answer = act(&api, spent["id"].as_str().expect("an id"), "rollback").expect(422).await;
    assert_eq!(answer.code(), "INSUFFICIENT_FUNDS");
    api.prove().await;
}

#[tokio::test]
async fn a_transfer_between_users_is_in_both_feeds_from_the_same_commit() {
    let api = ann_and_bob().await;
    let mut body = transfer(1, 2, "30");
    body["reference"] = json!("dinner");
    body["pending"] = json!(true);
    let answer = api.post("/transfers", body.to_string()).expect(201).await;
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let seq = answer.header("x-commit-seq").expect("a position").to_owned();
    let feed = async |user: &str, status: &str| {
        let call = api.get(&format!("/transactions?user_id={user}&status={status}"));
        let page = call.header("x-min-commit-seq", &seq).expect(200).await.json();
        page["items"][0].clone()
    };
    let (sent, received) = (feed("ann", "pending").await, feed("bob", "pending").await);
    for (item, side, direction, peer) in
        [(&sent, "debit", "sent", "bob"), (&received, "credit", "received", "ann")]
    {
        assert_eq!((&item["transfer_id"], &item["transaction_type"]), (&json!(id), &json!("p2p")));
        assert_eq!((&item["side"], item["amount"].as_f64()), (&json!(side), Some(30.0)));
        let metadata = &item["metadata"];
        assert_eq!(
            ["direction", "peer_id", "reference"].map(|name| &metadata[name]),
            [&json!(direction), &json!(peer), &json!("dinner")]
        );
    }
    act(&api, &id, "post").json(r#"{"amount":"20"}"#).expect(200).await;
    let posted = feed("bob", "completed").await;
    assert_eq!((&posted["id"], posted["amount"].as_f64()), (&received["id"], Some(20.0)));
    let totals = async |user: &str| {
        let found = api.get(&format!("/users/{user}/statistics")).expect(200).await.json();
        found["currencies"][0].clone()
    };
    assert_eq!(totals("bob").await["credit_total"], "20.00");
    assert_eq!(totals("ann").await["debit_total"], "20.00");
    act(&api, &id, "rollback").expect(200).await;
    assert_eq!(feed("bob", "cancelled").await["id"], received["id"]);
    assert_eq!(totals("bob").await["transaction_count"], 0);
    let all = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!(all["total"], 1);
}

#[tokio::test]
async fn the_item_of_a_transfer_changes_with_it_only() {
    let api = ann_and_bob().await;
    make(&api, &transfer(1, 2, "30")).await;
    let feed = api.get("/transactions?user_id=ann").expect(200).await.json();
    let path = format!("/transactions/{}", ids(&feed)[0]);
    let item = api.get(&path).expect(200).await.json();
    let full = json!({"status": "completed", "amount": 1, "metadata": {},
                      "created_at": "2024-01-15"});
    for (method, body) in [
        ("PATCH", r#"{"amount":1}"#.to_owned()),
        ("PUT", full.to_string()),
        ("DELETE", String::new()),
    ] {
        let answer = api.call(method, &path).json(body).expect(409).await;
        assert_eq!(answer.code(), "BELONGS_TO_TRANSFER", "{method}");
    }
    assert_eq!(api.get(&path).expect(200).await.json(), item);
    // A movement without an owner on one side is in nobody's feed.
    make(&api, &transfer(1, 3, "1")).await;
    let feed = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!(feed["total"], 1);
    api.prove().await;
}
