//! `/transfers`: what is done at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Api, act, ann_and_bob, hold, ids, make, sums, transfer};

#[tokio::test]
async fn money_moves_at_once() {
    let api = ann_and_bob().await;
    let mut body = transfer(1, 2, "25.50");
    body["reference"] = json!("invoice-7");
    body["metadata"] = json!({"note": "lunch"});
    let answer = api.post("/transfers", body.to_string()).expect(201).await;
    let made = answer.json();
    let id = made["id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/transfers/{id}")));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("preference-applied"), None);
    let seq = answer.header("x-commit-seq").expect("a position");
    let read = api.get(&format!("/transfers/{id}")).header("x-min-commit-seq", seq);
    assert_eq!(read.expect(200).await.body, answer.body);
    for (name, value) in [
        ("status", json!("complete")),
        ("source_account_id", json!(1)),
        ("destination_account_id", json!(2)),
        ("currency", json!("USD")),
        ("amount", json!("25.50")),
        ("held_amount", Value::Null),
        ("reference", json!("invoice-7")),
        ("metadata", json!({"note": "lunch"})),
        ("retry_count", json!(0)),
        ("last_error", Value::Null),
        ("next_attempt", Value::Null),
        ("version", json!(1)),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    assert!(made["posted_at"].is_string() && made["created_at"].is_string());
    assert_eq!(api.money(1).await, ["74.50", "74.50"]);
    assert_eq!(api.money(2).await, ["25.50", "25.50"]);
    api.prove().await;
}

#[tokio::test]
async fn each_refusal_has_its_status_and_code_and_leaves_no_trace() {
    let api = ann_and_bob().await;
    let euro = json!({"account_id": 4, "currency": "EUR"}).to_string();
    api.post("/accounts", euro).expect(201).await;
    for (id, status) in [(5, "frozen"), (6, "closed")] {
        api.open(id, None, "0").await;
        let body = json!({"status": status}).to_string();
        api.call("PATCH", &format!("/accounts/{id}")).json(body).expect(200).await;
    }
    let end = "99999999999999999999.99";
    let before = api.app.store().seq();
    for (body, status, code) in [
        (transfer(1, 9, "1"), 404, "ACCOUNT_NOT_FOUND"),
        (transfer(9, 1, "1"), 404, "ACCOUNT_NOT_FOUND"),
        (transfer(1, 4, "1"), 422, "CURRENCIES_DIFFER"),
        (transfer(1, 2, "100.01"), 422, "INSUFFICIENT_FUNDS"),
        (transfer(1, 2, end), 422, "INSUFFICIENT_FUNDS"),
        (transfer(2, 1, "0.01"), 422, "INSUFFICIENT_FUNDS"),
        (transfer(1, 5, "1"), 409, "ACCOUNT_FROZEN"),
        (transfer(5, 1, "1"), 409, "ACCOUNT_FROZEN"),
        (transfer(1, 6, "1"), 409, "ACCOUNT_CLOSED"),
        (transfer(1, 2, "0.001"), 422, "VALIDATION_FAILED"),
        (transfer(1, 2, "100000000000000000000"), 422, "VALIDATION_FAILED"),
    ] {
        let answer = api.post("/transfers", body.to_string()).expect(status).await;
        assert_eq!(answer.code(), code, "{body}");
    }
    let with = |name: &str, value: Value| {
        let mut body = transfer(1, 2, "1");
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (with("currency", json!("EUR")), 422, "CURRENCIES_DIFFER"),
        (with("created_at", json!("2199-01-01")), 422, "IN_FUTURE"),
        (with("created_at", json!("2020-01-01")), 422, "OUT_OF_ORDER"),
    ] {
        let answer = api.post("/transfers", body.to_string()).expect(status).await;
        assert_eq!(answer.code(), code, "{body}");
    }
    assert_eq!(api.app.store().seq(), before);
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
}

#[tokio::test]
async fn every_broken_field_of_a_transfer_is_named() {
    let api = ann_and_bob().await;
    let with = |name: &str, value: Value| {
        let mut body = transfer(1, 2, "1");
        body[name] = value;
        body
    };
    for (body, pointer, code) in [
        (transfer(1, 1, "1"), "/destination_account_id", "SAME_ACCOUNT"),
        (transfer(1, 2, "0"), "/amount", "NOT_POSITIVE"),
        (transfer(1, 2, "-1"), "/amount", "NOT_POSITIVE"),
        (transfer(1, 2, "1e3x"), "/amount", "AMOUNT"),
        (transfer(-5, 2, "1"), "/source_account_id", "ACCOUNT_ID"),
        (with("source_account_id", Value::Null), "/source_account_id", "REQUIRED"),
        (with("amount", json!([1])), "/amount", "TYPE"),
        (with("currency", json!("???")), "/currency", "UNKNOWN_CURRENCY"),
        (with("reference", json!("")), "/reference", "LENGTH"),
        (with("reference", json!("x".repeat(256))), "/reference", "LENGTH"),
        (with("pending", json!("yes")), "/pending", "TYPE"),
        (with("expires_in", json!(60)), "/expires_in", "NOT_A_HOLD"),
        (with("execute_at", json!("soon")), "/execute_at", "TIME"),
        (with("metadata", json!(7)), "/metadata", "TYPE"),
        (with("owner", json!("ann")), "/owner", "UNKNOWN_FIELD"),
    ] {
        let answer = api.post("/transfers", body.to_string()).expect(422).await;
        assert_eq!(answer.faults(), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
    for seconds in [json!(0), json!(-1), json!(1.5), json!(400 * 86_400), json!("60")] {
        let mut body = with("pending", json!(true));
        body["expires_in"] = seconds;
        let answer = api.post("/transfers", body.to_string()).expect(422).await;
        assert_eq!(answer.faults()[0].0, "/expires_in", "{body}");
    }
    assert_eq!(api.post("/transfers", "{}").expect(422).await.faults().len(), 3);
    assert_eq!(api.post("/transfers", "[]").expect(400).await.code(), "MALFORMED_JSON");
    api.post("/transfers?x=1", "{}").expect(400).await;
    let text = api.call("POST", "/transfers").header("content-type", "text/plain").body("{}");
    text.expect(415).await;
    assert_eq!(api.money(1).await, ["100.00", "100.00"]);
}

#[tokio::test]
async fn a_key_moves_money_once() {
    let api = ann_and_bob().await;
    let pay = |key: &str, amount: &str| {
        let body = transfer(1, 2, amount).to_string();
        api.post("/transfers", body).header("idempotency-key", key)
    };
    let first = pay("k1", "10").expect(201).await;
    let again = pay("k1", "10").expect(201).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(pay("k1", "11").expect(422).await.code(), "IDEMPOTENCY_KEY_REUSED");
    // The wish not to wait is no part of the request.
    let wish = pay("k1", "10").header("prefer", "respond-async").expect(201).await;
    assert_eq!(wish.body, first.body);
    let answers = join_all((0..50).map(|_| pay("k2", "10").expect(201))).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let replayed = answers.iter().filter(|a| a.header("idempotent-replayed").is_some()).count();
    assert_eq!((replayed, api.money(1).await), (49, ["80.00", "80.00"].map(str::to_owned)));
    // A refusal is not kept: the same key may be sent again when there is money.
    pay("k3", "1000").expect(422).await;
    api.open(7, None, "1000").await;
    api.post("/transfers", transfer(7, 1, "1000").to_string()).expect(201).await;
    pay("k3", "1000").expect(201).await;
}

#[tokio::test]
async fn a_reference_is_one_transfer() {
    let api = ann_and_bob().await;
    let pay = |destination: i64, amount: &str| {
        let mut body = transfer(1, destination, amount);
        body["reference"] = json!("rent");
        api.post("/transfers", body.to_string())
    };
    let first = pay(2, "10").expect(201).await;
    let again = pay(2, "10.00").expect(200).await;
    assert_eq!(again.body, first.body);
    for call in [pay(2, "11"), pay(3, "10")] {
        assert_eq!(call.expect(409).await.code(), "DUPLICATE_REFERENCE");
    }
    let mut other = transfer(2, 1, "1");
    other["reference"] = json!("rent");
    make(&api, &other).await;
    let found = api.get("/transfers?reference=rent").expect(200).await.json();
    assert_eq!(ids(&found).len(), 2);
}

#[tokio::test]
async fn two_hundred_clients_race_for_the_last_cent() {
    let api = Api::new().await;
    api.open(1, Some("ann"), "0.01").await;
    api.open(2, Some("bob"), "0").await;
    let pay = || api.post("/transfers", transfer(1, 2, "0.01").to_string()).send();
    let watch = async {
        for _ in 0..20 {
            let [balance, available] = api.money(1).await;
            assert!(!balance.starts_with('-') && !available.starts_with('-'), "{balance}");
        }
    };
    let (answers, ()) = tokio::join!(join_all((0..200).map(|_| pay())), watch);
    let won = answers.iter().filter(|answer| answer.status == 201).count();
    let lost = |a: &&Answer| a.status == 422 && a.code() == "INSUFFICIENT_FUNDS";
    assert_eq!((won, answers.iter().filter(lost).count()), (1, 199));
    assert_eq!((api.money(1).await[0].as_str(), api.money(2).await[0].as_str()), ("0.00", "0.01"));
    api.prove().await;
}

#[tokio::test]
async fn an_id_that_is_none_is_told_so() {
    let api = Api::new().await;
    let nobody = "01900000-0000-7000-8000-000000000000";
    for (id, status, code) in
        [("42", 400, "INVALID_TRANSFER_ID"), (nobody, 404, "TRANSFER_NOT_FOUND")]
    {
        let get = api.get(&format!("/transfers/{id}"));
        let acts = ["post", "void", "rollback"].map(|action| act(&api, id, action));
        for call in acts.into_iter().chain([get]) {
            assert_eq!(call.expect(status).await.code(), code);
        }
    }
    api.call("DELETE", &format!("/transfers/{nobody}")).expect(405).await;
    api.get(&format!("/transfers/{nobody}?x=1")).expect(400).await;
}

#[tokio::test]
async fn a_list_is_filtered_and_paged_last_submitted_first() {
    let api = ann_and_bob().await;
    let mut made = Vec::new();
    for (source, destination) in [(1, 2), (1, 3), (1, 2), (2, 3), (1, 2)] {
        made.push(make(&api, &transfer(source, destination, "1")).await["id"].clone());
    }
    made.push(json!(hold(&api, "5").await));
    let opening = ids(&api.get("/transfers").expect(200).await.json()).pop().expect("the opening");
    let of = |places: &[usize]| -> Vec<String> {
        places.iter().map(|n| made[*n].as_str().expect("an id").to_owned()).collect()
    };
    for (query, places, opened) in [
        ("", &[5, 4, 3, 2, 1, 0][..], true),
        ("?account_id=2", &[5, 4, 3, 2, 0], false),
        ("?account_id=1", &[5, 4, 2, 1, 0], true),
        ("?user_id=bob", &[5, 4, 3, 2, 0], false),
        ("?user_id=ann", &[5, 4, 2, 1, 0], true),
        ("?user_id=ann&account_id=1&status=pending", &[5], false),
        ("?status=pending", &[5], false),
        ("?user_id=bob&status=complete", &[4, 3, 2, 0], false),
        ("?status=failed", &[], false),
        ("?user_id=nobody", &[], false),
        ("?reference=none", &[], false),
    ] {
        let page = api.get(&format!("/transfers{query}")).expect(200).await.json();
        let mut expected = of(places);
        expected.extend(opened.then(|| opening.clone()));
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!((&page["has_more"], &page["next_cursor"]), (&json!(false), &Value::Null));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/transfers?user_id=bob&limit=2{cursor}");
        let page = api.get(&path).expect(200).await.json();
        seen.extend(ids(&page));
        make(&api, &transfer(1, 2, "0.01")).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, of(&[5, 4, 3, 2, 0]));
    for query in [format!("limit=2{cursor}"), format!("user_id=ann{cursor}")] {
        let answer = api.get(&format!("/transfers?{query}")).expect(400).await;
        assert_eq!(answer.code(), "INVALID_CURSOR");
    }
    for query in ["limit=0", "status=done", "account_id=x", "user_id=%00"] {
        api.get(&format!("/transfers?{query}")).expect(422).await;
    }
    api.get("/transfers?account_id=99").expect(404).await;
    api.get("/transfers?user_id=bob&account_id=1").expect(403).await;
    api.get("/transfers?source=1").expect(400).await;
}

#[tokio::test]
async fn each_transfer_of_a_batch_has_a_result_in_its_place() {
    let api = ann_and_bob().await;
    let mut named = transfer(1, 2, "10");
    named["reference"] = json!("a");
    let batch =
        json!([named, transfer(1, 2, "0"), transfer(2, 3, "10"), transfer(2, 3, "1"), 7, named]);
    let answer = api.post("/transfers/batch", batch.to_string()).expect(200).await;
    let json = answer.json();
    assert_eq!(sums(&json), [2, 0, 1, 3]);
    let results = json["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [201, 422, 201, 422, 400, 200]);
    assert_eq!(results[0]["transfer"]["status"], "complete");
    assert_eq!(results[3]["error"]["code"], "INSUFFICIENT_FUNDS");
    assert_eq!(results[0]["transfer"]["id"], results[5]["transfer"]["id"]);
    assert!(answer.header("x-commit-seq").is_some());
    assert_eq!(api.money(3).await[0], "10.00");
    let lines = format!("{}\n\n{}\n", transfer(1, 3, "1"), transfer(1, 3, "2"));
    let lines = api.call("POST", "/transfers/batch").body(lines);
    let lines = lines.header("content-type", "application/x-ndjson").expect(200).await.json();
    assert_eq!(sums(&lines), [2, 0, 0, 0]);
    assert_eq!(api.post("/transfers/batch", "[]").expect(422).await.code(), "EMPTY_BATCH");
    let long = format!("[{}1]", "1,".repeat(10_000));
    assert_eq!(api.post("/transfers/batch", long).expect(413).await.code(), "BATCH_TOO_LONG");
    api.prove().await;
}

#[tokio::test]
async fn the_legs_of_an_atomic_batch_are_one_movement() {
    let api = ann_and_bob().await;
    api.open(4, None, "50").await;
    let send = |legs: Value, key: &str| {
        let call = api.post("/transfers/batch?atomic=true", legs.to_string());
        call.header("idempotency-key", key)
    };
    let before = api.app.store().seq();
    let legs = json!([transfer(1, 2, "60"), transfer(4, 2, "40"), transfer(4, 3, "11")]);
    let json = send(legs, "k1").expect(422).await.json();
    assert_eq!(sums(&json), [0, 0, 0, 3]);
    let code = |n: usize| json["results"][n]["error"]["code"].clone();
    assert_eq!(
        [code(0), code(1), code(2)],
        ["BATCH_REFUSED", "BATCH_REFUSED", "INSUFFICIENT_FUNDS"]
    );
    assert_eq!((api.app.store().seq(), &*api.money(1).await[0]), (before, "100.00"));
    let legs = json!([transfer(1, 2, "60"), transfer(4, 2, "40"), transfer(2, 3, "100")]);
    let first = send(legs.clone(), "k1").expect(200).await;
    assert_eq!(sums(&first.json()), [3, 0, 0, 0]);
    let again = send(legs, "k1").expect(200).await;
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(api.money(3).await[0], "100.00");
    assert_eq!(
        send(json!([transfer(1, 2, "1")]), "k1").expect(422).await.code(),
        "IDEMPOTENCY_KEY_REUSED"
    );
    api.prove().await;
}
