//! The one log line of a request.

use serde_json::Value;

use crate::support::{Api, logged, user_token};

#[tokio::test]
async fn a_request_is_one_line_without_secrets() {
    let api = Api::guarded().await;
    let token = user_token("ann");
    let body = r#"{"transaction_type":"card","amount":1,"metadata":{"merchant_name":"Private"}}"#;
    let answer = api.post("/transactions", body).token(&token).expect(201).await;
    let answered = answer.header("x-request-id").expect("an id").to_owned();
    api.get("/transactions?cursor=x").token(&token).expect(400).await;
    let text = logged();
    assert!(!text.contains(&token) && !text.contains("Private"), "{text}");
    let requests: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["target"] == "daybook::request")
        .collect();
    let [first, second] = requests.as_slice() else {
        panic!("two requests are two lines: {text}");
    };
    assert_eq!(first["method"], "POST");
    assert_eq!(first["path"], "/api/v1/transactions");
    assert_eq!(first["status"], 201);
    assert_eq!(first["user.id"], "ann");
    assert_eq!(first["request_id"], answered);
    assert!(first["duration_ms"].is_number());
    assert_eq!((&second["status"], &second["code"]), (&400.into(), &"INVALID_CURSOR".into()));
}
