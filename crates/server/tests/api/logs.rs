//! The one log line of a request.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Api, user_token};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_is_one_line_without_secrets() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let api = Api::guarded().await;
    let token = user_token("ann");
    let body = r#"{"transaction_type":"card","amount":1,"metadata":{"merchant_name":"Private"}}"#;
    let answer = api.post("/transactions", body).token(&token).expect(201).await;
    let answered = answer.header("x-request-id").expect("an id").to_owned();
    api.get("/transactions?cursor=x").token(&token).expect(400).await;
    let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
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
