//! Who may do what with transfers.

use daybook_server::auth::Scope;
use serde_json::json;

use crate::support::{Api, act, ids, service_token, sums, transfer, user_token};

/// What each caller may do with a transfer from ann to bob: the statuses of the answers.
#[tokio::test]
async fn who_may_do_what() {
    let api = Api::guarded().await;
    let service = service_token(&[Scope::LedgerRead, Scope::LedgerWrite]);
    for (id, user) in [(1, "ann"), (2, "bob"), (3, "zoe")] {
        let body = json!({"account_id": id, "user_id": user, "initial_balance": "100"});
        api.post("/accounts", body.to_string()).token(&service).expect(201).await;
    }
    let [ann, bob, zoe] = ["ann", "bob", "zoe"].map(user_token);
    let new = |state: &'static str| {
        let mut body = transfer(1, 2, "1");
        match state {
            "held" => body["pending"] = json!(true),
            "queued" => body["execute_at"] = json!("2199-01-01"),
            _ => {}
        }
        api.post("/transfers", body.to_string())
    };
    for (state, action, [by_ann, by_bob, by_zoe]) in [
        ("complete", "", [201, 403, 403]),
        ("held", "post", [200, 403, 403]),
        ("held", "void", [403, 200, 403]),
        ("queued", "void", [200, 403, 403]),
        ("complete", "rollback", [403, 200, 403]),
    ] {
        for (token, status) in [(&zoe, by_zoe), (&ann, by_ann), (&bob, by_bob), (&service, 0)] {
            let (call, expected) = if action.is_empty() {
                (new(state), if status == 0 { 201 } else { status })
            } else {
                let made = new(state).token(&service).expect(201).await.json();
                let id = made["id"].as_str().expect("an id").to_owned();
                (act(&api, &id, action), if status == 0 { 200 } else { status })
            };
            let answer = call.token(token).send().await;
            assert_eq!(answer.status, expected, "{state} {action}: {}", answer.text());
            if expected == 403 {
                let code = if action.is_empty() { "NOT_YOUR_ACCOUNT" } else { "NOT_YOUR_TRANSFER" };
                assert_eq!(answer.code(), code);
            }
        }
    }
    let made = new("complete").token(&ann).expect(201).await.json();
    let path = format!("/transfers/{}", made["id"].as_str().expect("an id"));
    for (token, status) in [(&ann, 200), (&bob, 200), (&zoe, 403), (&service, 200)] {
        api.get(&path).token(token).expect(status).await;
    }
    let count = async |query: &str, token: &str| {
        let page = api.get(&format!("/transfers{query}")).token(token).expect(200).await.json();
        ids(&page).len()
    };
    assert_eq!(count("", &zoe).await, 1);
    assert_eq!(count("?user_id=ann", &zoe).await, 1);
    assert!(count("", &ann).await > 5);
    let foreign = api.get("/transfers?account_id=1").token(&zoe).expect(403).await;
    assert_eq!(foreign.code(), "NOT_YOUR_ACCOUNT");
    // In a batch each item is judged by itself.
    let batch = json!([transfer(3, 1, "1"), transfer(1, 3, "1")]).to_string();
    let json = api.post("/transfers/batch", batch).token(&zoe).expect(200).await.json();
    assert_eq!(sums(&json), [1, 0, 0, 1]);
    assert_eq!(json["results"][1]["error"]["code"], "NOT_YOUR_ACCOUNT");
}

#[tokio::test]
async fn a_user_does_not_date_transfers_and_a_service_may() {
    let api = Api::guarded().await;
    let service = service_token(&[Scope::LedgerWrite]);
    for (id, user) in [(1, "ann"), (2, "bob")] {
        let body = json!({"account_id": id, "user_id": user, "overdraft_limit": "9"});
        api.post("/accounts", body.to_string()).token(&service).expect(201).await;
    }
    let mut body = transfer(1, 2, "1");
    body["created_at"] = json!("1999-12-31");
    let refused = api.post("/transfers", body.to_string()).token(&user_token("ann")).expect(403);
    assert_eq!(refused.await.code(), "NOT_FOR_USERS");
    let made = api.post("/transfers", body.to_string()).token(&service).expect(201).await.json();
    assert_eq!(made["posted_at"], "1999-12-31T00:00:00.000000Z");
}

#[tokio::test]
async fn scopes_open_their_calls_only() {
    let api = Api::guarded().await;
    let reader = service_token(&[Scope::LedgerRead, Scope::FeedRead, Scope::FeedWrite]);
    let writer = service_token(&[Scope::LedgerWrite, Scope::FeedRead, Scope::FeedWrite]);
    let path = "/transfers/01900000-0000-7000-8000-000000000000";
    for (method, path, reads) in [
        ("GET", "/transfers".to_owned(), true),
        ("GET", path.to_owned(), true),
        ("POST", "/transfers".to_owned(), false),
        ("POST", "/transfers/batch".to_owned(), false),
        ("POST", format!("{path}/post"), false),
        ("POST", format!("{path}/void"), false),
        ("POST", format!("{path}/rollback"), false),
    ] {
        let call = || api.call(method, &path);
        assert_eq!(call().expect(401).await.code(), "UNAUTHENTICATED");
        let (right, wrong) = if reads { (&reader, &writer) } else { (&writer, &reader) };
        assert_eq!(call().token(wrong).expect(403).await.code(), "MISSING_SCOPE", "{path}");
        let passed = call().token(right).send().await;
        assert!(![401, 403].contains(&passed.status.as_u16()), "{path}: {}", passed.text());
    }
}
