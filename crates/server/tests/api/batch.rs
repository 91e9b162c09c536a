//! `/transactions/batch`

use serde_json::{Value, json};

use crate::support::{Api, sums, user_token};

fn item(n: usize) -> Value {
    json!({"user_id": "ann", "transaction_type": "other", "amount": n + 1,
           "source": "bank", "external_id": n.to_string()})
}

#[tokio::test]
async fn each_item_has_a_result_in_its_place() {
    let api = Api::new().await;
    let mut bad = item(1);
    bad["amount"] = json!("1.005");
    let batch = json!([item(0), bad, item(2), 7, item(0)]);
    let answer = api.post("/transactions/batch", batch.to_string()).expect(200).await;
    let json = answer.json();
    assert_eq!(sums(&json), [2, 0, 1, 2]);
    let results = json["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [201, 422, 201, 400, 200]);
    for (place, result) in results.iter().enumerate() {
        assert_eq!(result["index"], place);
    }
    assert_eq!(results[1]["error"]["errors"][0]["pointer"], "/amount");
    assert_eq!(results[0]["transaction"]["id"], results[4]["transaction"]["id"]);
    assert!(answer.header("x-commit-seq").is_some());
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 2);
}

#[tokio::test]
async fn a_repeated_record_with_news_is_updated() {
    let api = Api::new().await;
    let mut pending = item(0);
    pending["status"] = json!("pending");
    let batch = json!([pending, item(0)]);
    let json = api.post("/transactions/batch", batch.to_string()).expect(200).await.json();
    assert_eq!(sums(&json), [1, 1, 0, 0]);
}

#[tokio::test]
async fn lines_are_items_and_blank_lines_are_none() {
    let api = Api::new().await;
    let body = format!("{}\r\n\n  \n{}\nnot json\n", item(0), item(1));
    let call = || {
        let call = api.call("POST", "/transactions/batch").body(body.clone());
        call.header("content-type", "application/x-ndjson; charset=utf-8")
    };
    let json = call().expect(200).await.json();
    assert_eq!(sums(&json), [2, 0, 0, 1]);
    assert_eq!(json["results"][2]["error"]["code"], "MALFORMED_JSON");
    assert_eq!(sums(&call().expect(200).await.json()), [0, 0, 2, 1]);
}

#[tokio::test]
async fn an_atomic_batch_is_all_or_nothing() {
    let api = Api::new().await;
    let mut bad = item(1);
    bad["currency"] = json!("???");
    let batch = json!([item(0), bad, item(2)]).to_string();
    let answer = api.post("/transactions/batch?atomic=true", batch).expect(422).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.code(), "BATCH_REFUSED");
    let json = answer.json();
    assert_eq!(
        json["detail"],
        "1 of 3 items were refused, so nothing was recorded; `results` says why."
    );
    assert_eq!(sums(&json), [0, 0, 0, 3]);
    let code = |n: usize| json["results"][n]["error"]["code"].clone();
    assert_eq!(
        [code(0), code(1), code(2)],
        ["BATCH_REFUSED", "VALIDATION_FAILED", "BATCH_REFUSED"]
    );
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 0);
    let batch = json!([item(0), item(2)]).to_string();
    let json = api.post("/transactions/batch?atomic=true", batch).expect(200).await.json();
    assert_eq!(sums(&json), [2, 0, 0, 0]);
}

#[tokio::test]
async fn a_key_covers_a_whole_batch() {
    let api = Api::new().await;
    let post = |body: Value, query: &str| {
        let path = format!("/transactions/batch{query}");
        api.post(&path, body.to_string()).header("idempotency-key", "batch-1")
    };
    let first = post(json!([item(0), 7]), "").expect(200).await;
    let again = post(json!([item(0), 7]), "").expect(200).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(post(json!([item(1)]), "").expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
    let answer = post(json!([item(0), 7]), "?atomic=true").expect(422).await;
    assert_eq!(answer.code(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_whole() {
    let api = Api::new().await;
    let post = |body: &str| api.post("/transactions/batch", body.to_owned());
    assert_eq!(post("[]").expect(422).await.code(), "EMPTY_BATCH");
    for body in ["", "{}", "[{}", "[1,]", "7", "[1] [2]"] {
        assert_eq!(post(body).expect(400).await.code(), "MALFORMED_JSON", "{body}");
    }
    let long = format!("[{}1]", "1,".repeat(10_000));
    assert_eq!(post(&long).expect(413).await.code(), "BATCH_TOO_LONG");
    let lines = api.call("POST", "/transactions/batch").body("\n\n");
    let lines = lines.header("content-type", "application/x-ndjson");
    assert_eq!(lines.expect(422).await.code(), "EMPTY_BATCH");
    let text = api.call("POST", "/transactions/batch").header("content-type", "text/csv");
    assert_eq!(text.body("a,b").expect(415).await.code(), "UNSUPPORTED_MEDIA_TYPE");
    let latin: &[u8] = b"[\"\xff\"]";
    api.call("POST", "/transactions/batch").json(latin).expect(400).await;
    assert_eq!(post("[{}]").expect(200).await.json()["failed"], 1);
    let answer = api.post("/transactions/batch?atomic=yes", "[1]").expect(422).await;
    assert_eq!(answer.faults(), [("atomic".to_owned(), "ONE_OF".to_owned())]);
    let answer = api.post("/transactions/batch?atmic=true", "[1]").expect(400).await;
    assert!(answer.text().contains("did you mean 'atomic'"), "{}", answer.text());
}

#[tokio::test]
async fn ten_thousand_items_are_one_batch() {
    let api = Api::new().await;
    let items: Vec<Value> = (0..10_000).map(item).collect();
    let body = Value::Array(items).to_string();
    let json = api.post("/transactions/batch", body).expect(200).await.json();
    assert_eq!(sums(&json), [10_000, 0, 0, 0]);
}

#[tokio::test]
async fn a_users_token_records_own_items_only() {
    let api = Api::guarded().await;
    let mut bobs = item(0);
    bobs["user_id"] = json!("bob");
    let mut nobodys = item(1);
    nobodys.as_object_mut().expect("an object").remove("user_id");
    let call = api.post("/transactions/batch", json!([bobs, nobodys]).to_string());
    let json = call.token(&user_token("ann")).expect(200).await.json();
    assert_eq!(sums(&json), [1, 0, 0, 1]);
    assert_eq!(json["results"][0]["status"], 403);
    assert_eq!(json["results"][0]["error"]["code"], "NOT_YOUR_USER");
    assert_eq!(json["results"][1]["transaction"]["user_id"], "ann");
}
