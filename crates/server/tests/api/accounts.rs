//! `/accounts`

use daybook_core::transaction::Vocabulary;
use daybook_core::{Action, NewTransfer, Submission, Timestamp};
use daybook_server::auth::Scope;
use serde_json::{Value, json};

use crate::support::{Answer, Api, ids, service_token, transfer, user_token};

fn numbers(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["account_id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn an_account_opens_with_its_balance() {
    let api = Api::new().await;
    let body = json!({"account_id": 123, "initial_balance": "100.00", "currency": "USD",
        "user_id": "ann", "name": "Main", "overdraft_limit": 5, "metadata": {"a": 1}});
    let answer = api.post("/accounts", body.to_string()).expect(201).await;
    assert_eq!(answer.header("location"), Some("/api/v1/accounts/123"));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert!(answer.header("x-commit-seq").is_some());
    let mut account = answer.json();
    assert_eq!(api.get("/accounts/123").expect(200).await.json(), account);
    assert!(account["created_at"].is_string());
    account.as_object_mut().expect("an object").remove("created_at");
    assert_eq!(
        account,
        json!({"account_id": 123, "user_id": "ann", "name": "Main", "currency": "USD",
            "status": "open", "balance": "100.00", "available": "100.00", "pending_in": "0.00",
            "pending_out": "0.00", "overdraft_limit": "5.00", "metadata": {"a": 1},
            "version": 1, "updated_at": null})
    );
    let answer = api.post("/accounts", body.to_string()).expect(409).await;
    assert_eq!(answer.code(), "ACCOUNT_EXISTS");
    api.prove().await;
}

#[tokio::test]
async fn daybook_chooses_a_number_when_nobody_does() {
    let api = Api::new().await;
    let open = |body: &str| api.post("/accounts", body.to_owned());
    let first = open("{}").expect(201).await;
    let account = first.json();
    let id = account["account_id"].as_i64().expect("a number");
    assert!(id > 0);
    assert_eq!(first.header("location"), Some(&*format!("/api/v1/accounts/{id}")));
    let defaults = ["user_id", "currency", "balance", "overdraft_limit"].map(|n| &account[n]);
    assert_eq!(defaults, [&json!(null), &json!("USD"), &json!("0.00"), &json!("0.00")]);
    open(&format!(r#"{{"account_id":"{}"}}"#, id + 1)).expect(201).await;
    let third = open(r#"{"overdraft_limit":"unlimited"}"#).expect(201).await.json();
    assert_eq!(third["account_id"], id + 2);
    assert_eq!(third["overdraft_limit"], "unlimited");
}

#[tokio::test]
async fn every_broken_field_of_an_account_is_named() {
    let api = Api::new().await;
    for (body, pointer, code) in [
        (json!({"account_id": 0}), "/account_id", "ACCOUNT_ID"),
        (json!({"account_id": -5}), "/account_id", "ACCOUNT_ID"),
        (json!({"account_id": 1.5}), "/account_id", "ACCOUNT_ID"),
        (json!({"account_id": "x"}), "/account_id", "ACCOUNT_ID"),
        (json!({"initial_balance": "-1"}), "/initial_balance", "AMOUNT"),
        (json!({"initial_balance": "1.005"}), "/initial_balance", "AMOUNT"),
        (json!({"initial_balance": "ten"}), "/initial_balance", "AMOUNT"),
        (json!({"initial_balance": "100000000000000000000"}), "/initial_balance", "AMOUNT"),
        (json!({"currency": "???"}), "/currency", "UNKNOWN_CURRENCY"),
        (json!({"user_id": "a\u{7}b"}), "/user_id", "USER_ID"),
        (json!({"name": ""}), "/name", "LENGTH"),
        (json!({"overdraft_limit": "0.001"}), "/overdraft_limit", "AMOUNT"),
        (json!({"metadata": []}), "/metadata", "TYPE"),
        (json!({"balance": 1}), "/balance", "UNKNOWN_FIELD"),
    ] {
        let answer = api.post("/accounts", body.to_string()).expect(422).await;
        assert_eq!(answer.faults(), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
    let both = json!({"account_id": 0, "currency": "???"}).to_string();
    assert_eq!(api.post("/accounts", both).expect(422).await.faults().len(), 2);
    assert_eq!(api.post("/accounts", "{").expect(400).await.code(), "MALFORMED_JSON");
    api.post("/accounts?x=1", "{}").expect(400).await;
    let largest = json!({"initial_balance": "99999999999999999999.99"}).to_string();
    // An opening is valid whatever others opened with.
    for _ in 0..3 {
        let answer = api.post("/accounts", largest.clone()).expect(201).await;
        assert_eq!(answer.json()["balance"], "99999999999999999999.99");
    }
    api.prove().await;
}

#[tokio::test]
async fn a_key_opens_one_account() {
    let api = Api::new().await;
    let open = |body: &str| api.post("/accounts", body.to_owned()).header("idempotency-key", "k");
    let first = open(r#"{"initial_balance":7}"#).expect(201).await;
    let again = open(r#"{"initial_balance":7}"#).expect(201).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let answer = open(r#"{"initial_balance":8}"#).expect(422).await;
    assert_eq!(answer.code(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_number_that_is_none_is_told_so() {
    let api = Api::new().await;
    for text in ["x", "1.0", "007", "+5", "9223372036854775808", "%20"] {
        for path in [format!("/accounts/{text}"), format!("/accounts/{text}/entries")] {
            let answer = api.get(&path).expect(400).await;
            assert_eq!(answer.code(), "INVALID_ACCOUNT_ID", "{path}");
        }
        let path = format!("/accounts/{text}");
        api.call("PATCH", &path).json("{}").expect(400).await;
    }
    for path in ["/accounts/5", "/accounts/-5", "/accounts/0", "/accounts/5/entries"] {
        assert_eq!(api.get(path).expect(404).await.code(), "ACCOUNT_NOT_FOUND", "{path}");
    }
    let answer = api.call("PATCH", "/accounts/5").json("{}").expect(404).await;
    assert_eq!(answer.code(), "ACCOUNT_NOT_FOUND");
}

#[tokio::test]
async fn a_list_is_filtered_and_paged_in_the_order_of_the_numbers() {
    let api = Api::new().await;
    for (id, user, currency) in
        [(1, "ann", "USD"), (2, "bob", "USD"), (3, "ann", "EUR"), (4, "ann", "USD")]
    {
        let body = json!({"account_id": id, "user_id": user, "currency": currency});
        api.post("/accounts", body.to_string()).expect(201).await;
    }
    api.call("PATCH", "/accounts/4").json(r#"{"status":"frozen"}"#).expect(200).await;
    for (query, expected) in [
        ("", vec![1, 2, 3, 4]),
        ("?user_id=ann", vec![1, 3, 4]),
        ("?user_id=nobody", vec![]),
        ("?currency=usd", vec![1, 2, 4]),
        ("?status=frozen", vec![4]),
        ("?user_id=ann&currency=USD&status=open", vec![1]),
    ] {
        let page = api.get(&format!("/accounts{query}")).expect(200).await.json();
        assert_eq!(numbers(&page), expected, "{query}");
        assert_eq!((&page["has_more"], &page["limit"]), (&json!(false), &json!(20)));
        assert_eq!(page["next_cursor"], Value::Null);
    }
    let page = api.get("/accounts?user_id=ann&limit=2").expect(200).await.json();
    assert_eq!((numbers(&page), &page["has_more"]), (vec![1, 3], &json!(true)));
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let next = api.get(&format!("/accounts?user_id=ann&limit=2&cursor={cursor}"));
    assert_eq!(numbers(&next.expect(200).await.json()), [4]);
    for query in [format!("user_id=bob&cursor={cursor}"), "cursor=x".to_owned()] {
        let answer = api.get(&format!("/accounts?{query}")).expect(400).await;
        assert_eq!(answer.code(), "INVALID_CURSOR");
    }
    for query in ["limit=0", "limit=101", "status=gone", "currency=%3f", "user_id=a%07b"] {
        let answer = api.get(&format!("/accounts?{query}")).expect(422).await;
        assert_eq!(answer.faults().len(), 1, "{query}");
    }
    assert_eq!(api.get("/accounts?page=2").expect(400).await.code(), "UNKNOWN_PARAMETER");
}

#[tokio::test]
async fn the_equity_account_owes_what_the_others_have() {
    let api = Api::new().await;
    api.open(1, None, "100.00").await;
    api.open(2, Some("ann"), "20.50").await;
    let page = api.get("/accounts").expect(200).await.json();
    let equity = page["items"][0].clone();
    assert_eq!(
        ["name", "balance", "overdraft_limit", "user_id"].map(|name| &equity[name]),
        [&json!("Equity USD"), &json!("-120.50"), &json!("unlimited"), &Value::Null]
    );
    let path = format!("/accounts/{}", equity["account_id"]);
    assert!(path.contains('-'));
    assert_eq!(api.get(&path).expect(200).await.json(), equity);
}

async fn patch(api: &Api, body: &Value) -> Answer {
    api.call("PATCH", "/accounts/1").json(body.to_string()).send().await
}

#[tokio::test]
async fn a_patch_changes_what_may_change() {
    let api = Api::new().await;
    api.open(1, Some("ann"), "10.00").await;
    let body = json!({"name": "Savings", "metadata": {"colour": "red"}, "overdraft_limit": "20"});
    let answer = patch(&api, &body).await;
    assert_eq!(answer.header("etag"), Some("\"2\""));
    let account = answer.json();
    assert_eq!(
        ["name", "metadata", "overdraft_limit", "balance"].map(|name| &account[name]),
        [&json!("Savings"), &json!({"colour": "red"}), &json!("20.00"), &json!("10.00")]
    );
    let change = json!({"metadata": {"colour": null, "size": 1}, "name": null});
    let account = patch(&api, &change).await.json();
    assert_eq!((&account["metadata"], &account["name"]), (&json!({"size": 1}), &Value::Null));
    // A change that changes nothing is no new version.
    assert_eq!(patch(&api, &json!({})).await.header("etag"), Some("\"3\""));
    let merge =
        api.call("PATCH", "/accounts/1").header("content-type", "application/merge-patch+json");
    merge.body(r#"{"name":"x"}"#).expect(200).await;
    for (body, code) in [
        (json!({"user_id": "bob"}), "IMMUTABLE"),
        (json!({"currency": "EUR"}), "IMMUTABLE"),
        (json!({"balance": 5}), "IMMUTABLE"),
        (json!({"status": null}), "REQUIRED"),
        (json!({"status": "gone"}), "UNKNOWN_STATUS"),
        (json!({"overdraft_limit": "0.001"}), "AMOUNT"),
        (json!({"colour": 1}), "UNKNOWN_FIELD"),
    ] {
        let answer = patch(&api, &body).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.faults()[0].1, code, "{body}");
    }
}

#[tokio::test]
async fn a_stale_patch_is_refused_and_movements_make_none_stale() {
    let api = Api::new().await;
    api.open(1, None, "10.00").await;
    api.open(2, None, "0").await;
    api.post("/transfers", transfer(1, 2, "1").to_string()).expect(201).await;
    let call = |version: &str| {
        let call = api.call("PATCH", "/accounts/1").header("if-match", version);
        call.json(format!(r#"{{"name":"for {}"}}"#, version.replace('"', "")))
    };
    call("\"1\"").expect(200).await;
    assert_eq!(call("\"1\"").expect(409).await.code(), "STALE_VERSION");
    assert_eq!(call("1").expect(400).await.code(), "INVALID_HEADER");
    call("*").expect(200).await;
    let keyed = |name: &str| {
        let call = api.call("PATCH", "/accounts/1").header("idempotency-key", "k");
        call.json(json!({"name": name}).to_string())
    };
    let first = keyed("a").expect(200).await;
    let again = keyed("a").expect(200).await;
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(keyed("b").expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_frozen_account_thaws_and_a_closed_one_stays_closed() {
    let api = Api::new().await;
    api.open(1, None, "10.00").await;
    api.open(2, None, "0").await;
    let pay = || api.post("/transfers", transfer(1, 2, "10").to_string());
    patch(&api, &json!({"status": "frozen"})).await;
    assert_eq!(pay().expect(409).await.code(), "ACCOUNT_FROZEN");
    patch(&api, &json!({"status": "open"})).await;
    let close = json!({"status": "closed"});
    let answer = patch(&api, &close).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "ACCOUNT_NOT_EMPTY"));
    pay().expect(201).await;
    assert_eq!(patch(&api, &close).await.json()["status"], "closed");
    assert_eq!(pay().expect(409).await.code(), "ACCOUNT_CLOSED");
    let answer = patch(&api, &json!({"status": "open"})).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "ACCOUNT_CLOSED"));
    api.prove().await;
}

#[tokio::test]
async fn a_limit_that_is_in_use_stays() {
    let api = Api::new().await;
    api.post("/accounts", r#"{"account_id":1,"overdraft_limit":"50"}"#).expect(201).await;
    api.open(2, None, "0").await;
    api.post("/transfers", transfer(1, 2, "30").to_string()).expect(201).await;
    let answer = patch(&api, &json!({"overdraft_limit": "29.99"})).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "LIMIT_IN_USE"));
    patch(&api, &json!({"overdraft_limit": "30"})).await;
    assert_eq!(api.money(1).await, ["-30.00", "-30.00"]);
    let answer = api.post("/transfers", transfer(1, 2, "0.01").to_string()).expect(422).await;
    assert_eq!(answer.code(), "INSUFFICIENT_FUNDS");
}

async fn pay_each(api: &Api, count: i64) -> Vec<String> {
    let mut times = Vec::new();
    for n in 1..=count {
        let mut body = transfer(1, 2, &n.to_string());
        body["reference"] = json!(format!("r{n}"));
        let made = api.post("/transfers", body.to_string()).expect(201).await.json();
        times.push(made["posted_at"].as_str().expect("a time").to_owned());
    }
    times
}

#[tokio::test]
async fn a_statement_has_a_running_balance() {
    let api = Api::new().await;
    api.open(1, Some("ann"), "100.00").await;
    api.open(2, Some("bob"), "0").await;
    pay_each(&api, 3).await;
    let page = api.get("/accounts/1/entries").expect(200).await.json();
    let rows: Vec<_> = page["items"].as_array().expect("items").iter().collect();
    let column = |name: &str| -> Vec<&str> {
        rows.iter().map(|row| row[name].as_str().unwrap_or("none")).collect()
    };
    assert_eq!(column("amount"), ["3.00", "2.00", "1.00", "100.00"]);
    assert_eq!(column("balance"), ["94.00", "97.00", "99.00", "100.00"]);
    assert_eq!(column("direction"), ["debit", "debit", "debit", "credit"]);
    assert_eq!(column("reference"), ["r3", "r2", "r1", "none"]);
    assert_eq!(rows[0]["counterparty_account_id"], 2);
    assert!(rows[3]["counterparty_account_id"].as_i64().expect("a number") < 0);
    let other = api.get("/accounts/2/entries").expect(200).await.json();
    assert_eq!(other["items"][0]["balance"], "6.00");
    assert_eq!(other["items"][0]["direction"], "credit");
    assert_eq!(other["items"][0]["transfer_id"], rows[0]["transfer_id"]);
}

#[tokio::test]
async fn a_statement_is_paged_without_gap_or_repeat() {
    let api = Api::new().await;
    api.open(1, None, "100000.00").await;
    api.open(2, None, "0").await;
    let count = 150;
    let times = pay_each(&api, count).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/accounts/2/entries?limit=40{cursor}");
        let page = api.get(&path).expect(200).await.json();
        let items = page["items"].as_array().expect("items").clone();
        seen.extend(items.iter().map(|item| item["reference"].as_str().expect("text").to_owned()));
        // What comes meanwhile stands before the first page.
        api.post("/transfers", transfer(1, 2, "0.01").to_string()).expect(201).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert_eq!((items.len(), &page["has_more"]), (40, &json!(true)));
    }
    let expected: Vec<String> = (1..=count).rev().map(|n| format!("r{n}")).collect();
    assert_eq!(seen, expected);
    let foreign = api.get(&format!("/accounts/1/entries?limit=40{cursor}")).expect(400).await;
    assert_eq!(foreign.code(), "INVALID_CURSOR");
    let (from, to) = (&times[19], &times[99]);
    let path = format!("/accounts/2/entries?start_date={from}&end_date={to}&limit=100");
    let page = api.get(&path).expect(200).await.json();
    let items = page["items"].as_array().expect("items");
    assert_eq!(items.len(), 81);
    assert_eq!((&items[0]["reference"], &items[80]["reference"]), (&json!("r100"), &json!("r20")));
    let wrong = api.get(&format!("/accounts/2/entries?start_date={to}&end_date={from}"));
    assert_eq!(wrong.expect(422).await.faults()[0].0, "end_date");
    let early = api.get("/accounts/2/entries?end_date=2020-01-01").expect(200).await.json();
    assert_eq!(early["items"], json!([]));
}

#[tokio::test]
async fn what_the_log_knows_is_past_also_where_the_clock_is_behind() {
    let api = Api::new().await;
    api.open(1, None, "100.00").await;
    api.open(2, None, "0").await;
    // Another process, whose clock is an hour ahead, records a movement.
    let ahead = Timestamp::from_micros(daybook_server::app::now().micros() + 3_600_000_000);
    let id = daybook_server::app::new_transfer_id();
    let body = transfer(1, 2, "40").to_string();
    let new = NewTransfer::parse(&body, id, &Vocabulary::default()).expect("a transfer");
    let submission = Submission::one(ahead, Action::Transfer(new));
    let reply = api.app.store().commit(submission).await.expect("a reply");
    assert!(reply.verdicts.iter().all(Result::is_ok), "{reply:?}");

    let entries = api.get("/accounts/1/entries").expect(200).await.json();
    let posted_at = entries["items"][0]["posted_at"].as_str().expect("a time");
    let past = |at: &str| api.get(&format!("/accounts/1?at={at}"));
    assert_eq!(past(posted_at).expect(200).await.json()["balance"], "60.00");
    let after = Timestamp::from_micros(ahead.micros() + 1).to_string();
    let future = past(&after).expect(422).await;
    assert_eq!(future.faults(), [("at".to_owned(), "IN_FUTURE".to_owned())]);
    // So it is for whoever says when a transfer happened.
    let mut dated = transfer(1, 2, "1");
    dated["created_at"] = json!(posted_at);
    api.post("/transfers", dated.to_string()).expect(201).await;
    dated["created_at"] = json!(after);
    let refused = api.post("/transfers", dated.to_string()).expect(422).await;
    assert_eq!(refused.code(), "IN_FUTURE");
    api.prove().await;
}

#[tokio::test]
async fn a_past_balance_is_what_it_was() {
    let api = Api::new().await;
    api.open(1, None, "10000.00").await;
    api.open(2, None, "0").await;
    // More than lie between two marks.
    let times = pay_each(&api, 130).await;
    for (n, time) in (1_i64..).zip(&times) {
        let past = api.get(&format!("/accounts/1?at={time}")).expect(200).await.json();
        let balance = format!("{}.00", 10_000 - n * (n + 1) / 2);
        let expected = json!({"account_id": 1, "currency": "USD", "balance": balance, "at": time});
        assert_eq!(past, expected);
    }
    let past = api.get("/accounts/1?at=2020-01-01").expect(200).await.json();
    assert_eq!(
        (&past["balance"], &past["at"]),
        (&json!("0.00"), &json!("2020-01-01T00:00:00.000000Z"))
    );
    let future = api.get("/accounts/1?at=2199-01-01").expect(422).await;
    assert_eq!(future.faults(), [("at".to_owned(), "IN_FUTURE".to_owned())]);
    api.get("/accounts/1?at=yesterday").expect(422).await;
    api.get("/accounts/9?at=2020-01-01").expect(404).await;
}

#[tokio::test]
async fn a_users_token_has_own_accounts_only() {
    let api = Api::guarded().await;
    let (ann, bob) = (user_token("ann"), user_token("bob"));
    let open = |token: &str, body: &str| api.post("/accounts", body.to_owned()).token(token);
    let account = open(&ann, r#"{"account_id":1,"name":"mine"}"#).expect(201).await.json();
    assert_eq!(account["user_id"], "ann");
    let answer = open(&ann, r#"{"user_id":"bob"}"#).expect(403).await;
    assert_eq!(answer.code(), "NOT_YOUR_USER");
    for body in [
        r#"{"initial_balance":"0.01"}"#,
        r#"{"overdraft_limit":1}"#,
        r#"{"overdraft_limit":"unlimited"}"#,
    ] {
        assert_eq!(open(&ann, body).expect(403).await.code(), "NOT_FOR_USERS", "{body}");
    }
    open(&ann, r#"{"account_id":3,"initial_balance":"0","overdraft_limit":"0"}"#).expect(201).await;
    open(&bob, r#"{"account_id":2}"#).expect(201).await;
    let change = |token: &str, body: &str| {
        api.call("PATCH", "/accounts/1").json(body.to_owned()).token(token)
    };
    change(&ann, r#"{"name":"still mine"}"#).expect(200).await;
    for body in [r#"{"status":"frozen"}"#, r#"{"status":"closed"}"#, r#"{"overdraft_limit":9}"#] {
        assert_eq!(change(&ann, body).expect(403).await.code(), "NOT_FOR_USERS", "{body}");
    }
    assert_eq!(change(&bob, r#"{"name":"x"}"#).expect(403).await.code(), "NOT_YOUR_ACCOUNT");
    for path in ["/accounts/1", "/accounts/1?at=2020-01-01", "/accounts/1/entries"] {
        assert_eq!(
            api.get(path).token(&bob).expect(403).await.code(),
            "NOT_YOUR_ACCOUNT",
            "{path}"
        );
        api.get(path).token(&ann).expect(200).await;
    }
    let own = api.get("/accounts?user_id=bob").token(&ann).expect(200).await.json();
    assert_eq!(numbers(&own), [1, 3]);
    let reader = service_token(&[Scope::LedgerRead]);
    let all = api.get("/accounts").token(&reader).expect(200).await.json();
    assert_eq!(numbers(&all), [1, 2, 3]);
    assert_eq!(open(&reader, "{}").expect(403).await.code(), "MISSING_SCOPE");
    let writer = service_token(&[Scope::LedgerWrite]);
    let body = r#"{"account_id":4,"user_id":"zoe","initial_balance":"5","overdraft_limit":"1"}"#;
    open(&writer, body).expect(201).await;
    let equity = api.get("/accounts?limit=1").token(&reader).expect(200).await.json();
    let equity = format!("/accounts/{}", numbers(&equity)[0]);
    api.get(&equity).token(&ann).expect(403).await;
    api.get(&equity).token(&reader).expect(200).await;
    let feed = service_token(&[Scope::FeedRead, Scope::FeedWrite]);
    for path in ["/accounts", "/accounts/1", "/accounts/1/entries"] {
        api.get(path).expect(401).await;
        for token in [&feed, &writer] {
            assert_eq!(api.get(path).token(token).expect(403).await.code(), "MISSING_SCOPE");
        }
    }
    api.post("/accounts", "{}").expect(401).await;
    api.call("PATCH", "/accounts/1").json("{}").expect(401).await;
}

#[tokio::test]
async fn an_opening_balance_is_in_no_feed() {
    let api = Api::new().await;
    api.open(1, Some("ann"), "10.00").await;
    let feed = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!(ids(&feed), Vec::<String>::new());
}
