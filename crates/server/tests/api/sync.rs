//! `/transactions/sync`

use serde_json::{Value, json};

use crate::support::{Api, user_token};

fn item(amount: u32) -> Value {
    json!({"user_id": "ann", "transaction_type": "other", "amount": amount})
}

async fn sync(api: &Api, query: &str) -> Value {
    api.get(&format!("/transactions/sync?user_id=ann&{query}")).expect(200).await.json()
}

fn list(answer: &Value, name: &str) -> Vec<String> {
    let items = answer[name].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_reader_hears_of_every_change_once() {
    let api = Api::new().await;
    let empty = sync(&api, "").await;
    assert_eq!(list(&empty, "added").len(), 0);
    assert_eq!(empty["has_more"], false);
    let id = |item: &Value| item["id"].as_str().expect("an id").to_owned();
    let (a, b, c) =
        (api.record(item(1)).await, api.record(item(2)).await, api.record(item(3)).await);
    api.record(json!({"user_id": "bob", "transaction_type": "other", "amount": 9})).await;
    let patch = api.call("PATCH", &format!("/transactions/{}", id(&a))).json(r#"{"amount":5}"#);
    patch.expect(200).await;
    api.call("DELETE", &format!("/transactions/{}", id(&c))).expect(204).await;
    let first =
        sync(&api, &format!("cursor={}", empty["next_cursor"].as_str().expect("one"))).await;
    assert_eq!(list(&first, "added"), [id(&a), id(&b)]);
    assert_eq!(first["added"][0]["version"], 2);
    assert_eq!(list(&first, "modified").len() + list(&first, "removed").len(), 0);
    let cursor = first["next_cursor"].as_str().expect("one").to_owned();
    api.call("PATCH", &format!("/transactions/{}", id(&b)))
        .json(r#"{"amount":6}"#)
        .expect(200)
        .await;
    api.call("DELETE", &format!("/transactions/{}", id(&a))).expect(204).await;
    let second = sync(&api, &format!("cursor={cursor}")).await;
    assert_eq!(list(&second, "added").len(), 0);
    assert_eq!(list(&second, "modified"), [id(&b)]);
    assert_eq!(second["removed"], json!([{"id": id(&a)}]));
    // A cursor never becomes invalid.
    let again = sync(&api, &format!("cursor={cursor}")).await;
    assert_eq!(again["modified"], second["modified"]);
}

#[tokio::test]
async fn a_long_log_comes_in_pages() {
    let api = Api::new().await;
    let mut recorded = Vec::new();
    for n in 1..=7 {
        recorded.push(api.record(item(n)).await["id"].as_str().expect("an id").to_owned());
    }
    let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let answer = sync(&api, &query).await;
        seen.extend(list(&answer, "added"));
        query = format!("limit=3&cursor={}", answer["next_cursor"].as_str().expect("always one"));
        if answer["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, recorded);
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let api = Api::new().await;
    api.record(item(1)).await;
    let cursor = sync(&api, "").await["next_cursor"].as_str().expect("one").to_owned();
    for (query, status) in [
        ("", 400),
        ("user_id=ann&cursor=abc", 400),
        (&*format!("user_id=bob&cursor={cursor}"), 400),
        (&*format!("user_id=ann&cursor={}", &cursor[1..]), 400),
        ("user_id=ann&limt=5", 400),
        ("user_id=ann&limit=0", 422),
        ("user_id=ann&limit=501", 422),
        ("user_id=ann&limit=x", 422),
        ("user_id=a%07b", 422),
        ("user_id=ann&user_id=bob", 422),
    ] {
        api.get(&format!("/transactions/sync?{query}")).expect(status).await;
    }
    let feed = api.get("/transactions?user_id=ann&limit=1").expect(200).await.json();
    assert_eq!(feed["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_token_says_whose_changes() {
    let api = Api::guarded().await;
    let mut body = item(1);
    body.as_object_mut().expect("an object").remove("user_id");
    api.post("/transactions", body.to_string()).token(&user_token("ann")).expect(201).await;
    let bob = api.get("/transactions/sync?user_id=ann").token(&user_token("bob")).expect(200).await;
    assert_eq!(list(&bob.json(), "added").len(), 0);
}
