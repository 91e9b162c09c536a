//! `/auth`, and what tokens open.

use std::time::Duration;

use daybook_core::UserId;
use daybook_server::app::{Auth, Settings, now};
use daybook_server::auth::{Scope, Subject, Trust, issue};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use crate::support::{Api, SECRET, service_token, user_token};

#[tokio::test]
async fn a_development_server_gives_tokens() {
    let api = Api::new().await;
    let answer = api.post("/auth/token", r#"{"user_id":"ann"}"#).expect(200).await;
    let token = answer.json();
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("bearer"), &json!(3_600)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let me = api.get("/auth/me").token(&token).expect(200).await.json();
    let scopes = ["feed:read", "feed:write", "ledger:read", "ledger:write"];
    assert_eq!(me, json!({"user_id": "ann", "scopes": scopes}));
    for (body, status) in [
        ("{}", 422),
        (r#"{"user_id":7}"#, 422),
        (r#"{"user_id":""}"#, 422),
        (r#"{"user_id":null}"#, 422),
        (r#"{"user_id":"ann","admin":true}"#, 422),
        ("", 400),
        ("[]", 400),
    ] {
        api.post("/auth/token", body).expect(status).await;
    }
    // Another process has another secret.
    Api::new().await.get("/auth/me").token(&token).expect(401).await;
}

#[tokio::test]
async fn a_server_with_a_secret_gives_none() {
    let api = Api::guarded().await;
    let answer = api.post("/auth/token", r#"{"user_id":"ann"}"#).expect(403).await;
    assert_eq!(answer.code(), "TOKENS_OFF");
}

#[tokio::test]
async fn no_credential_is_no_entry() {
    let api = Api::guarded().await;
    for path in [
        "/transactions?user_id=ann",
        "/transactions/sync?user_id=ann",
        "/transactions/01900000-0000-7000-8000-000000000000",
        "/users/ann/statistics",
        "/auth/me",
    ] {
        let answer = api.get(path).expect(401).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        assert_eq!(answer.code(), "UNAUTHENTICATED");
    }
    api.post("/transactions", "{}").expect(401).await;
    api.post("/transactions/batch", "[]").expect(401).await;
    Api::new().await.get("/auth/me").expect(401).await;
}

#[tokio::test]
async fn a_bad_token_is_401_and_never_falls_back_to_the_parameter() {
    let ann = Subject::User(UserId::parse("ann").expect("a user id"));
    let minute = Duration::from_secs(60);
    let other = issue(b"another secret", &ann, minute).expect("signed");
    let good = user_token("ann");
    let unsigned = format!("{}.", good.rsplit_once('.').expect("three parts").0);
    let cut = good[..good.len() - 2].to_owned();
    for api in [Api::new().await, Api::guarded().await] {
        for token in ["", "x", "a.b.c", &other, &unsigned, &cut] {
            let call = api.get("/transactions?user_id=ann").token(token);
            let answer = call.expect(401).await;
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        for header in ["Basic YW5uOng=", "Bearer", good.as_str()] {
            let call = api.get("/transactions?user_id=ann").header("authorization", header);
            call.expect(401).await;
        }
        let two = api.get("/transactions?user_id=ann").token(&good).token(&good);
        two.expect(401).await;
    }
    let api = Api::guarded().await;
    api.get("/auth/me").header("authorization", &format!("bearer {good}")).expect(200).await;
}

#[tokio::test]
async fn clocks_may_differ_by_the_leeway_and_no_more() {
    let exact = Trust { leeway: Duration::ZERO, ..Trust::secret(SECRET) };
    let auth = Auth::Trust(Box::new(exact));
    let exact = Api::with(Settings { auth, ..Settings::default() }).await;
    let usual = Api::guarded().await;
    let now = now().seconds();
    for (mut claims, statuses) in [
        (json!({"exp": now + 600}), [200, 200]),
        (json!({"exp": now - 10}), [200, 401]),
        (json!({"exp": now - 60}), [401, 401]),
        (json!({"exp": now + 600, "nbf": now - 10}), [200, 200]),
        (json!({"exp": now + 600, "nbf": now + 25}), [200, 401]),
        (json!({"exp": now + 600, "nbf": now + 60}), [401, 401]),
    ] {
        claims["sub"] = json!("ann");
        let key = EncodingKey::from_secret(SECRET);
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signed");
        for (api, status) in [&usual, &exact].into_iter().zip(statuses) {
            let answer = api.get("/auth/me").token(&token).send().await;
            assert_eq!(answer.status.as_u16(), status, "{claims}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_service_names_any_user_within_its_scopes() {
    let api = Api::guarded().await;
    let body = r#"{"user_id":"zoe","transaction_type":"other","amount":1}"#;
    let writer = service_token(&[Scope::FeedWrite]);
    let reader = service_token(&[Scope::FeedRead]);
    api.post("/transactions", body).token(&writer).expect(201).await;
    let answer = api.post("/transactions", body).token(&reader).expect(403).await;
    assert_eq!(answer.code(), "MISSING_SCOPE");
    let page = api.get("/transactions?user_id=zoe").token(&reader).expect(200).await.json();
    assert_eq!(page["total"], 1);
    api.get("/transactions").token(&reader).expect(400).await;
    api.get("/transactions?user_id=zoe").token(&writer).expect(403).await;
    let admin = issue(SECRET, &Subject::Service(vec![Scope::Admin]), Duration::from_secs(60));
    let admin = admin.expect("signed");
    api.get("/transactions?user_id=zoe").token(&admin).expect(200).await;
    let me = api.get("/auth/me").token(&admin).expect(200).await.json();
    assert_eq!(me, json!({"user_id": null, "scopes": ["admin"]}));
}

#[tokio::test]
async fn every_401_says_the_words_that_old_clients_look_for() {
    let api = Api::guarded().await;
    let calls = [
        api.get("/transactions"),
        api.get("/auth/me"),
        api.get("/transactions").token("x"),
        api.get("/transactions").header("authorization", "Basic eDp5"),
        api.get("/transactions").header("x-api-key", "x"),
    ];
    for call in calls {
        let answer = call.expect(401).await;
        let detail = answer.json()["detail"].as_str().expect("a text").to_owned();
        assert!(detail.contains("Invalid authentication credentials"), "{detail}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}
