//! What one user's token was given is worth nothing to another's: cursors, and the keys of requests
//! that may be repeated.

use daybook_server::auth::Scope;
use serde_json::{Value, json};

use crate::support::{Answer, Api, service_token, transfer, user_token};

const ITEM: &str = r#"{"transaction_type":"card","amount":1,"metadata":{"merchant_name":"Hush"}}"#;

/// Ann has the accounts 1 and 2, bob 3 and 4; each has several items, and transfers to the other.
async fn api() -> Api {
    let api = Api::guarded().await;
    let service = service_token(&[Scope::Admin]);
    for (id, user) in [(1, "ann"), (2, "ann"), (3, "bob"), (4, "bob")] {
        let body = json!({"account_id": id, "user_id": user, "initial_balance": "9.00"});
        api.post("/accounts", body.to_string()).token(&service).expect(201).await;
        api.post("/transactions", ITEM).token(&user_token(user)).expect(201).await;
    }
    for (source, destination) in [(1, 3), (3, 1), (1, 3)] {
        let body = transfer(source, destination, "1");
        api.post("/transfers", body.to_string()).token(&service).expect(201).await;
    }
    api
}

async fn cursor(api: &Api, path: &str) -> String {
    let page = api.get(path).token(&user_token("ann")).expect(200).await.json();
    page["next_cursor"].as_str().expect("a cursor").to_owned()
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_user_only() {
    let api = api().await;
    let [ann, bob] = ["ann", "bob"].map(user_token);
    for list in ["/transactions", "/transactions/sync", "/accounts", "/transfers"] {
        let cursor = cursor(&api, &format!("{list}?limit=1")).await;
        for named in ["", "&user_id=ann"] {
            let path = format!("{list}?limit=1&cursor={cursor}{named}");
            api.get(&path).token(&ann).expect(200).await;
            let refused = api.get(&path).token(&bob).expect(400).await;
            assert_eq!(refused.code(), "INVALID_CURSOR", "{path}");
        }
    }
    let cursor = cursor(&api, "/accounts/1/entries?limit=1").await;
    for (account, status, code) in [(1, 403, "NOT_YOUR_ACCOUNT"), (3, 400, "INVALID_CURSOR")] {
        let path = format!("/accounts/{account}/entries?limit=1&cursor={cursor}");
        assert_eq!(api.get(&path).token(&bob).expect(status).await.code(), code);
    }
}

/// Makes a call with the key that everybody here uses.
async fn send(api: &Api, user: &str, (method, path, body): (&str, &str, &str)) -> Answer {
    let call = api.call(method, path).token(&user_token(user)).header("idempotency-key", "k");
    call.json(body.to_owned()).send().await
}

#[tokio::test]
async fn a_key_repeats_the_answer_to_its_own_user_only() {
    let api = api().await;
    let made = api.post("/transactions", ITEM).token(&user_token("ann")).expect(201).await.json();
    let path = format!("/transactions/{}", made["id"].as_str().expect("an id"));
    let mut money = transfer(1, 3, "1");
    money["metadata"] = json!({"note": "Hush"});
    let money = money.to_string();
    for (call, statuses) in [
        (("POST", "/transactions", ITEM), [201, 201]),
        (("POST", "/transfers", money.as_str()), [201, 403]),
        (("PATCH", path.as_str(), r#"{"amount":2}"#), [200, 403]),
        (("DELETE", path.as_str(), ""), [204, 404]),
    ] {
        let (first, other) = (send(&api, "ann", call).await, send(&api, "bob", call).await);
        let found = [&first, &other].map(|answer| answer.status.as_u16());
        assert_eq!(found, statuses, "{call:?}: {}", other.text());
        assert_eq!(other.header("idempotent-replayed"), None, "{call:?}");
        assert_ne!(other.body, first.body, "{call:?}");
        // A problem names nobody, and what bob recorded is bob's.
        assert!([Value::Null, json!("bob")].contains(&other.json()["user_id"]), "{call:?}");
        let again = send(&api, "ann", call).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{call:?}");
        assert_eq!((again.status, again.body), (first.status, first.body), "{call:?}");
    }
}
