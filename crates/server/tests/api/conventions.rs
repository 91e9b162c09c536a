//! What holds for every call: ids, times, bodies, limits, positions in the log.

use std::io::Write;

use daybook_server::app::Settings;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use crate::support::{Answer, Api};

const BODY: &str = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;

fn check_common(answer: &Answer) {
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
    let time: f64 = answer.header("x-process-time").expect("a time").parse().expect("seconds");
    assert!((0.0..60.0).contains(&time));
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_time() {
    let api = Api::new().await;
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("GET", "/transactions", 400),
        ("GET", "/nowhere", 404),
        ("GET", "^/", 200),
        ("POST", "/livez", 405),
        ("DELETE", "/transactions", 405),
        ("GET", "^/docs/", 200),
        ("GET", "/openapi.json", 200),
    ] {
        let answer = api.call(method, path).expect(status).await;
        check_common(&answer);
        if status == 405 {
            assert_eq!(answer.code(), "METHOD_NOT_ALLOWED");
            assert!(answer.header("allow").is_some());
        }
    }
}

#[tokio::test]
async fn a_sane_request_id_comes_back() {
    let api = Api::new().await;
    let long = "x".repeat(129);
    for (sent, kept) in [("abc-123", true), ("", false), ("a b", false), (&*long, false)] {
        let answer = api.get("/livez").header("x-request-id", sent).expect(200).await;
        assert_eq!(answer.header("x-request-id") == Some(sent), kept, "{sent}");
    }
    let problem = api.get("/nowhere").header("x-request-id", "abc").expect(404).await;
    assert_eq!(problem.json()["request_id"], "abc");
}

#[tokio::test]
async fn a_body_says_what_it_is() {
    let api = Api::new().await;
    for (content_type, status) in [
        (None, 201),
        (Some("application/json"), 201),
        (Some("Application/JSON; charset=UTF-8"), 201),
        (Some("application/json; charset=latin1"), 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/x-ndjson"), 415),
    ] {
        let mut call = api.call("POST", "/transactions").body(BODY);
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        call.expect(status).await;
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused() {
    let api = Api::new().await;
    let twenty = vec![b' '; 20 * 1024 * 1024];
    for path in ["/transactions", "/transactions/batch"] {
        let answer = api.post(path, twenty.clone()).expect(413).await;
        assert_eq!(answer.code(), "BODY_TOO_LARGE");
        let announced = api.post(path, twenty.clone()).header("content-length", "20971520");
        announced.expect(413).await;
    }
    let padded = format!("{BODY}{}", " ".repeat(1024 * 1024 - BODY.len()));
    api.post("/transactions", padded).expect(201).await;
    let padded = format!("{BODY}{}", " ".repeat(1024 * 1024 - BODY.len() + 1));
    api.post("/transactions", padded).expect(413).await;
}

#[tokio::test]
async fn a_read_never_sees_an_older_state_than_it_names() {
    let api = Api::new().await;
    let write = api.post("/transactions", BODY).expect(201).await;
    let seq = write.header("x-commit-seq").expect("a position").to_owned();
    let read = |seq: &str| api.get("/transactions?user_id=ann").header("x-min-commit-seq", seq);
    assert_eq!(read(&seq).expect(200).await.json()["total"], 1);
    let later = (seq.parse::<i64>().expect("a number") + 1).to_string();
    let answer = read(&later).expect(503).await;
    assert_eq!(answer.code(), "NOT_YET_VISIBLE");
    assert!(answer.header("retry-after").is_some());
    for bad in ["", "x", "-1", "1.5", "99999999999999999999"] {
        assert_eq!(read(bad).expect(400).await.code(), "INVALID_HEADER", "{bad}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_never_ignored() {
    let api = Api::new().await;
    let id = "01900000-0000-7000-8000-000000000000";
    for (method, path) in [
        ("POST", "/transactions?dry_run=true".to_owned()),
        ("POST", "/transactions/batch?dry_run=true".to_owned()),
        ("POST", "/auth/token?x=1".to_owned()),
        ("GET", format!("/transactions/{id}?fields=id")),
        ("PATCH", format!("/transactions/{id}?x=1")),
        ("PUT", format!("/transactions/{id}?x=1")),
        ("DELETE", format!("/transactions/{id}?force=true")),
    ] {
        let answer = api.call(method, &path).json(BODY).expect(400).await;
        assert_eq!(answer.code(), "UNKNOWN_PARAMETER", "{method} {path}");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_can_read_it() {
    let api = Api::new().await;
    for _ in 0..10 {
        api.post("/transactions", BODY).expect(201).await;
    }
    for (accepted, used) in [("gzip", Some("gzip")), ("br", Some("br")), ("identity", None)] {
        let call = api.get("/transactions?user_id=ann").header("accept-encoding", accepted);
        assert_eq!(call.expect(200).await.header("content-encoding"), used);
        let small = api.get("/livez").header("accept-encoding", accepted).expect(200).await;
        assert_eq!(small.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn beyond_its_limit_the_server_sheds_and_still_says_how_it_is() {
    let api = Api::with(Settings { concurrency_max: 0, ..Settings::default() }).await;
    let answer = api.post("/transactions", BODY).expect(503).await;
    assert_eq!(answer.code(), "OVERLOADED");
    assert_eq!(answer.header("retry-after"), Some("1"));
    check_common(&answer);
    for path in ["/health", "/livez", "/readyz", "/metrics", "^/metrics"] {
        api.get(path).expect(200).await;
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let api = Api::new().await;
    let answer = api.call("HEAD", "/transactions?user_id=ann").send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn the_root_says_what_this_is() {
    let api = Api::guarded().await;
    let index = api.get("^/").expect(200).await.json();
    assert_eq!((&index["message"], &index["docs"]), (&json!("Daybook"), &json!("/docs")));
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_slash_at_the_end_is_the_same_call_for_limits_and_keys() {
    let api = Api::new().await;
    let post = |path: &str| api.post(path, BODY).header("idempotency-key", "k");
    let first = post("/transactions").expect(201).await;
    let again = post("/transactions/").expect(201).await;
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    api.post("/auth/token/", r#"{"user_id":"ann"}"#).expect(200).await;
    let route = r#"daybook_requests_total{route="/api/v1/auth/token",status="2xx"}"#;
    assert_eq!(api.metric(route).await.as_deref(), Some("1"));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*text, &mut out, &Default::default()).expect("memory");
    out
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    compress_to_vec(text, CompressionLevel::Fastest)
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// How each coding that is read is written.
const CODINGS: [(&str, Encode); 4] =
    [("gzip", gzip), ("deflate", deflate), ("br", brotli), ("zstd", zstd)];

#[tokio::test]
async fn a_body_may_come_compressed() {
    let api = Api::new().await;
    let first = api.post("/transactions", BODY).header("idempotency-key", "k").expect(201).await;
    for (name, encode) in CODINGS {
        let coded = |path: &str, text: &str| {
            api.post(path, encode(text.as_bytes())).header("content-encoding", name)
        };
        // It is what it decodes to that a key stands for.
        let again = coded("/transactions", BODY).header("idempotency-key", "k").expect(201).await;
        assert_eq!(again.body, first.body, "{name}");
        coded("/transactions/batch", &format!("[{BODY},{BODY}]")).expect(200).await;
        let lines = api.call("POST", "/transactions/batch").body(encode(BODY.as_bytes()));
        let lines = lines.header("content-type", "application/x-ndjson");
        lines.header("content-encoding", name).expect(200).await;
        let answer = coded("/transactions", "{").expect(400).await;
        assert_eq!(answer.code(), "MALFORMED_JSON", "{name}");
        // Nothing is nothing, however it is compressed.
        let empty = api.post("/transactions", "").header("content-encoding", name);
        assert_eq!(empty.expect(400).await.code(), "MALFORMED_JSON", "{name}");
        let plain = api.post("/transactions", BODY).header("content-encoding", name);
        assert_eq!(plain.expect(400).await.code(), "MALFORMED_ENCODING", "{name}");
    }
    for name in ["lzma", "compress", "gzip, gzip", "utf-8"] {
        let answer = api.post("/transactions", BODY).header("content-encoding", name);
        let answer = answer.expect(415).await;
        assert_eq!(answer.code(), "UNSUPPORTED_CONTENT_ENCODING", "{name}");
        assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
    }
    let answer = api.call("POST", "/transactions").body(BODY).header("content-type", "text/plain");
    assert_eq!(answer.expect(415).await.header("accept-encoding"), None, "a type is no coding");
    api.post("/transactions", BODY).header("content-encoding", "identity").expect(201).await;
}

#[tokio::test]
async fn what_a_body_decodes_to_counts_against_its_limit() {
    let api = Api::new().await;
    let padded = |bytes: usize| format!("{BODY}{}", " ".repeat(bytes - BODY.len()));
    let (fits, bomb) = (padded(1024 * 1024), padded(64 * 1024 * 1024));
    for (name, encode) in CODINGS {
        let coded = |path: &str, body: Vec<u8>| {
            assert!(body.len() < 1024 * 1024, "{name}: {} bytes", body.len());
            api.post(path, body).header("content-encoding", name)
        };
        coded("/transactions", encode(fits.as_bytes())).expect(201).await;
        let over = encode(padded(1024 * 1024 + 1).as_bytes());
        let answer = coded("/transactions", over).expect(413).await;
        assert_eq!(answer.code(), "BODY_TOO_LARGE", "{name}");
        let bomb = encode(bomb.as_bytes());
        for path in ["/transactions", "/transactions/batch", "/accounts"] {
            assert_eq!(coded(path, bomb.clone()).expect(413).await.code(), "BODY_TOO_LARGE");
        }
    }
}
