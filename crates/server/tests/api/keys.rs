//! API keys: made, shown once, rotated, narrowed and revoked.

use daybook_core::{EventSeq, EventType, KeyId};
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::api_keys::Pepper;
use daybook_server::auth::{Scope, Trust};
use serde_json::{Value, json};

use crate::support::{Api, SECRET, service_token, user_token};

const PEPPER: &[u8] = b"0123456789abcdef0123456789abcdef";
const ITEM: &str = r#"{"user_id":"ann","transaction_type":"card","amount":1}"#;

async fn api() -> Api {
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    Api::with(Settings { auth, keys: Some(Pepper::new(PEPPER)), ..Settings::default() }).await
}

fn admin() -> String {
    service_token(&[Scope::Admin])
}

async fn make(api: &Api, body: &Value) -> Value {
    api.post("/keys", body.to_string()).token(&admin()).expect(201).await.json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect(name)
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_what_its_scopes_say() {
    let api = api().await;
    let body = json!({"name": "billing", "scopes": ["feed:read", "feed:write"]});
    let answer = api.post("/keys", body.to_string()).token(&admin()).expect(201).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.json();
    let (id, secret) = (text(&made, "key_id"), text(&made, "secret"));
    assert_eq!(answer.header("location"), Some(format!("/api/v1/keys/{id}").as_str()));
    assert!(secret.starts_with(text(&made, "prefix")) && secret.len() == 75, "{secret}");

    api.post("/transactions", ITEM).token(secret).expect(201).await;
    api.get("/transactions?user_id=ann").header("x-api-key", secret).expect(200).await;
    api.get("/accounts").token(secret).expect(403).await;
    let me = api.get("/auth/me").token(secret).expect(200).await.json();
    assert_eq!(
        me,
        json!({"user_id": null, "scopes": ["feed:read", "feed:write"], "key_id": id,
        "name": "billing", "users": [], "accounts": [], "expires_at": null})
    );

    let shown = api.get(&format!("/keys/{id}")).token(&admin()).expect(200).await;
    let listed = api.get("/keys").token(&admin()).expect(200).await;
    for answer in [&shown, &listed] {
        let random = secret.splitn(3, '_').last().expect("a secret");
        assert!(!answer.text().contains(random), "{}", answer.text());
    }
    assert_eq!(listed.json()["items"], json!([shown.json()]));
    // Its hash is under the deployment's secret, and not the secret's own.
    let stored = api.app.store().api_key(KeyId::parse(id).expect("an id")).await;
    let stored = stored.expect("a store").expect("a key");
    assert!(!format!("{stored:?}").contains(secret));
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let api = api().await;
    let made = make(&api, &json!({"name": "a", "scopes": ["admin"]})).await;
    let secret = text(&made, "secret");
    let mut changed = secret.to_owned();
    changed.pop();
    changed.push(if secret.ends_with('A') { 'B' } else { 'A' });
    let unknown = Pepper::new(PEPPER).mint().secret;
    let elsewhere = Pepper::new(b"another secret of 32 bytes or so").mint().secret;
    for bad in [&changed, &unknown, &elsewhere, "dbk_", "dbk_x", &secret[..30]] {
        let answer = api.get("/keys").token(bad).expect(401).await;
        assert_eq!(answer.code(), "INVALID_TOKEN", "{bad}");
        api.get("/keys").header("x-api-key", bad).expect(401).await;
    }
    // Two credentials are one too many.
    let both = api.get("/keys").token(secret).header("x-api-key", secret);
    assert_eq!(both.expect(401).await.code(), "INVALID_TOKEN");
    api.get("/keys").header("x-api-key", &admin()).expect(401).await;
    // Without the deployment's secret there are none.
    let without = Api::guarded().await;
    let body = r#"{"name":"a","scopes":["admin"]}"#;
    let answer = without.post("/keys", body).token(&admin()).expect(409).await;
    assert_eq!(answer.code(), "KEYS_OFF");
    // Waiting does not help; a setting does, and the answer names it.
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.text().contains("`auth.key_secret`"), "{}", answer.text());
    without.get("/keys").token(secret).expect(401).await;
}

#[tokio::test]
async fn a_bad_request_for_a_key_says_what_is_wrong() {
    let api = api().await;
    for (body, pointer) in [
        (json!({"scopes": ["feed:read"]}), "/name"),
        (json!({"name": "", "scopes": ["feed:read"]}), "/name"),
        (json!({"name": "a"}), "/scopes"),
        (json!({"name": "a", "scopes": []}), "/scopes"),
        (json!({"name": "a", "scopes": ["feed:read", "root"]}), "/scopes/1"),
        (json!({"name": "a", "scopes": "admin"}), "/scopes"),
        (json!({"name": "a", "scopes": ["ops"], "users": ["a\u{7}b"]}), "/users"),
        (json!({"name": "a", "scopes": ["ops"], "accounts": ["x"]}), "/accounts"),
        (json!({"name": "a", "scopes": ["ops"], "expires_at": "2020-01-01"}), "/expires_at"),
        (json!({"name": "a", "scopes": ["ops"], "secret": "mine"}), "/secret"),
    ] {
        let answer = api.post("/keys", body.to_string()).token(&admin()).expect(422).await.json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{body}: {answer}");
    }
    api.post("/keys/12/rotate", "").token(&admin()).expect(400).await;
    api.get("/keys/0123456789abcdef").token(&admin()).expect(404).await;
    api.post("/keys/0123456789abcdef/rotate", "").token(&admin()).expect(404).await;
    api.call("DELETE", "/keys/0123456789abcdef").token(&admin()).expect(404).await;
}

#[tokio::test]
async fn a_rotated_key_gets_time_and_a_revoked_one_none() {
    let api = api().await;
    let made = make(&api, &json!({"name": "a", "scopes": ["feed:read"]})).await;
    let (id, first) = (text(&made, "key_id"), text(&made, "secret"));
    let read = |secret: &str| api.get("/transactions?user_id=ann").token(secret);
    let rotate = |body: &str| {
        let call = api.post(&format!("/keys/{id}/rotate"), body.to_owned());
        call.token(&admin()).expect(200)
    };
    read(first).expect(200).await;
    let second = rotate(r#"{"grace_seconds":60}"#).await.json();
    let second = text(&second, "secret");
    read(first).expect(200).await;
    read(second).expect(200).await;
    let third = rotate("").await.json();
    assert_eq!((&third["version"], &third["key_id"]), (&json!(3), &made["key_id"]));
    read(first).expect(401).await;
    read(second).expect(401).await;
    read(text(&third, "secret")).expect(200).await;
    let bad = r#"{"grace_seconds":9999999}"#;
    api.post(&format!("/keys/{id}/rotate"), bad).token(&admin()).expect(422).await;

    for _ in 0..2 {
        api.call("DELETE", &format!("/keys/{id}")).token(&admin()).expect(204).await;
    }
    read(text(&third, "secret")).expect(401).await;
    let over = api.post(&format!("/keys/{id}/rotate"), "").token(&admin()).expect(409).await;
    assert_eq!(over.code(), "API_KEY_OVER");
    // Each step stands in the event log.
    let events = api.app.store().events(EventSeq(0), 10).await.expect("events");
    let types: Vec<EventType> = events.iter().map(|event| event.event_type).collect();
    use EventType::{KeyIssued, KeyRevoked, KeyRotated};
    assert_eq!(types, [KeyIssued, KeyRotated, KeyRotated, KeyRevoked]);
    let log = format!("{events:?}");
    assert!(![first, second].iter().any(|secret| log.contains(secret)));
}

#[tokio::test]
async fn the_same_request_makes_one_key_and_callers_are_kept_apart() {
    let api = api().await;
    let body = r#"{"name":"a","scopes":["feed:write"]}"#;
    let send =
        || api.post("/keys", body).token(&admin()).header("idempotency-key", "k").expect(201);
    let (first, again) = (send().await, send().await);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json()["key_id"], again.json()["key_id"]);
    assert_eq!((first.json()["secret"].is_string(), &again.json()["secret"]), (true, &Value::Null));

    // The idempotency key of another service is no key to its answer.
    let (one, two) =
        (first.json(), make(&api, &json!({"name": "b", "scopes": ["feed:write"]})).await);
    let record = |key: &Value| {
        let call = api.post("/transactions", ITEM).token(text(key, "secret"));
        call.header("idempotency-key", "stolen").expect(201)
    };
    let (mine, theirs) = (record(&one).await, record(&two).await);
    assert_ne!(mine.json()["id"], theirs.json()["id"]);
    assert_eq!(theirs.header("idempotent-replayed"), None);
    assert_eq!(record(&one).await.json()["id"], mine.json()["id"]);
}

#[tokio::test]
async fn a_narrowed_key_stays_among_its_rows() {
    let api = api().await;
    let open = |id: i64, user: &str| {
        let body = json!({"account_id": id, "user_id": user, "initial_balance": "9.00"});
        api.post("/accounts", body.to_string()).token(&admin()).expect(201)
    };
    for (id, user) in [(1, "ann"), (2, "bob"), (3, "eve")] {
        open(id, user).await;
    }
    let scopes = json!(["feed:read", "feed:write", "ledger:read", "ledger:write"]);
    let two = json!({"name": "two", "scopes": scopes, "users": ["ann", "bob"]});
    let account = json!({"name": "account", "scopes": scopes, "accounts": [3]});
    let (two, account) = (make(&api, &two).await, make(&api, &account).await);
    let (two, account) = (text(&two, "secret"), text(&account, "secret"));

    let mine = api.post("/transactions", ITEM).token(two).expect(201).await.json();
    let eves = ITEM.replace("ann", "eve");
    api.post("/transactions", eves.clone()).token(two).expect(403).await;
    let batch = api.post("/transactions/batch", format!("[{ITEM},{eves}]")).token(two);
    let batch = batch.expect(200).await.json();
    assert_eq!((&batch["created"], &batch["failed"]), (&json!(1), &json!(1)));
    api.get("/transactions?user_id=ann").token(two).expect(200).await;
    for path in [
        "/transactions?user_id=eve",
        "/transactions/sync?user_id=eve",
        "/users/eve/statistics",
        "/accounts",
        "/accounts?user_id=eve",
        "/transfers",
        "/transfers?user_id=eve",
        "/transfers?account_id=3",
        "/accounts/3",
        "/accounts/3/entries",
    ] {
        api.get(path).token(two).expect(403).await;
    }
    for path in ["/accounts?user_id=bob", "/transfers?account_id=1", "/accounts/2/entries"] {
        api.get(path).token(two).expect(200).await;
    }
    // Nothing of anybody's feed is the account's.
    let path = format!("/transactions/{}", text(&mine, "id"));
    api.get(&path).token(account).expect(403).await;
    api.post("/transactions", ITEM).token(account).expect(403).await;
    api.get("/accounts/3").token(account).expect(200).await;
    api.get("/accounts/1").token(account).expect(403).await;
    let pay = |from: i64, to: i64, secret: &str| {
        let body = json!({"source_account_id": from, "destination_account_id": to,
                          "amount": "1.00"});
        api.post("/transfers", body.to_string()).token(secret)
    };
    pay(3, 1, account).expect(201).await;
    pay(1, 3, account).expect(403).await;
    pay(1, 2, two).expect(201).await;
    let back = pay(3, 1, two).expect(403).await;
    assert_eq!(back.code(), "NOT_YOUR_ACCOUNT");
    // What only operators may do is not theirs.
    let money = json!({"account_id": 9, "user_id": "ann", "initial_balance": "1.00"});
    api.post("/accounts", money.to_string()).token(two).expect(403).await;
    api.post("/accounts", r#"{"account_id":9}"#).token(two).expect(403).await;
}

#[tokio::test]
async fn when_a_key_was_last_used_is_written_down() {
    let api = api().await;
    let made = make(&api, &json!({"name": "a", "scopes": ["feed:read"]})).await;
    let shown = async || {
        let path = format!("/keys/{}", text(&made, "key_id"));
        api.get(&path).token(&admin()).expect(200).await.json()["last_used_at"].clone()
    };
    assert_eq!(shown().await, Value::Null);
    api.get("/auth/me").token(text(&made, "secret")).expect(200).await;
    api.app.note_keys().await;
    assert!(shown().await.is_string());
    api.get("/keys").token(&user_token("ann")).expect(403).await;
}

/// A script whose look-up came back empty must not make a key for everybody.
#[tokio::test]
async fn a_key_is_not_narrowed_to_nothing() {
    let api = api().await;
    for field in ["users", "accounts"] {
        let body = json!({"name": "n", "scopes": ["feed:read"], field: []}).to_string();
        let answer = api.post("/keys", body).token(&admin()).expect(422).await.json();
        assert_eq!(answer["errors"][0]["code"], "EMPTY", "{answer}");
    }
    let body = json!({"name": "n", "scopes": ["feed:read"], "users": null});
    make(&api, &body).await;
}

/// Whoever makes up keys costs no look at the store.
#[tokio::test]
async fn a_key_that_nobody_made_is_refused_before_the_store_is_asked() {
    let api = api().await;
    let made = make(&api, &json!({"name": "n", "scopes": ["feed:read"]})).await;
    let secret = text(&made, "secret");
    api.get("/auth/me").token(secret).expect(200).await;
    let (id, rest) = secret["dbk_".len()..].split_once('_').expect("two parts");
    let other = format!("dbk_{}_{rest}", id.chars().rev().collect::<String>());
    let foreign = Pepper::new(b"another pepper of another deployment").mint().secret;
    api.app.store().close().await;
    for credential in [other.as_str(), &foreign, &format!("dbk_{id}_{}", "A".repeat(54))] {
        let answer = api.get("/auth/me").token(credential).expect(401).await.json();
        assert_eq!(answer["code"], "INVALID_TOKEN");
    }
}
