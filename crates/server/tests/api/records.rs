//! Records that come again, ids that clients choose, and sides that follow.

use daybook_core::kind::KINDS;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Api, ann_and_bob, card, ids, sums, transfer, user_token};

const ID: &str = "6f1c2a34-0000-4000-8000-00000000abcd";

/// A body with other values in some fields; null takes a field out.
fn with(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
        if value.is_null() {
            body.as_object_mut().expect("an object").remove(name);
        }
    }
    body
}

fn named() -> Value {
    with(card(), &json!({"source": "bank", "external_id": "42"}))
}

fn chosen() -> Value {
    with(card(), &json!({"id": ID}))
}

fn path(item: &Value) -> String {
    format!("/transactions/{}", item["id"].as_str().expect("an id"))
}

/// The result of a write as its header says it.
fn result(answer: &Answer) -> &str {
    answer.header("x-daybook-result").unwrap_or_default()
}

#[tokio::test]
async fn a_final_record_does_not_turn_round() {
    let api = Api::new().await;
    let credit = with(named(), &json!({"side": "credit"}));
    let first = api.post("/transactions", credit.to_string()).expect(201).await;
    assert_eq!(result(&first), "created");
    let debit = with(named(), &json!({"side": "debit", "created_at": "2024-02-01"}));
    for body in [&debit, &with(debit.clone(), &json!({"created_at": "2024-01-15T10:30:00Z"}))] {
        let answer = api.post("/transactions", body.to_string()).expect(409).await;
        let problem = answer.json();
        assert_eq!(problem["code"], "RECORD_CONFLICT");
        assert_eq!(problem["differ"], json!(["side"]));
        assert_eq!(problem["stored"]["side"], "credit");
        assert_eq!(problem["stored"]["amount"], "150.00");
        assert_eq!(problem["stored"]["version"], 1);
        assert_eq!(problem["sent"]["side"], "debit");
        assert_eq!(problem["sent"]["status"], "completed");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains("stored: completed credit of 150.00 USD"), "{detail}");
        assert!(detail.contains("sent: completed debit of 150.00 USD"), "{detail}");
    }
    let newer = with(debit, &json!({"source_version": 2}));
    let answer = api.post("/transactions", newer.to_string()).expect(200).await;
    assert_eq!(result(&answer), "updated");
    let item = answer.json();
    assert_eq!((&item["side"], &item["source_version"]), (&json!("debit"), &json!(2)));
    let page = api.get("/transactions?user_id=ann&side=debit").expect(200).await.json();
    assert_eq!(page["total"], 1);
    let statistics = api.get("/users/ann/statistics").expect(200).await.json();
    assert_eq!(statistics["currencies"][0]["credit_total"], "0.00");
    assert_eq!(statistics["currencies"][0]["debit_total"], "150.00");
}

#[tokio::test]
async fn what_is_ignored_says_so() {
    let api = Api::new().await;
    let second = with(named(), &json!({"source_version": 2}));
    api.record(second.clone()).await;
    let repeated = api.post("/transactions", second.to_string()).expect(200).await;
    assert_eq!(result(&repeated), "unchanged");
    let late = with(named(), &json!({"source_version": 1, "amount": 3, "status": "pending"}));
    let post = || api.post("/transactions", late.to_string()).header("idempotency-key", "k1");
    let ignored = post().expect(200).await;
    assert_eq!(result(&ignored), "ignored");
    assert_eq!(ignored.body, repeated.body);
    // The same key answers the same word.
    let again = post().expect(200).await;
    assert_eq!(result(&again), "ignored");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, ignored.body);

    let illegal = with(named(), &json!({"source_version": 3, "status": "failed"}));
    let contradicts = with(named(), &json!({"amount": 3}));
    let fourth = with(named(), &json!({"source_version": 4, "amount": 4}));
    let batch = json!([second, late, illegal, contradicts, fourth, named()]);
    let answer = api.post("/transactions/batch", batch.to_string()).expect(200).await.json();
    let results = answer["results"].as_array().expect("results");
    let words: Vec<_> = results.iter().map(|r| r["result"].as_str().unwrap_or("")).collect();
    assert_eq!(words, ["unchanged", "ignored", "", "", "updated", ""]);
    let statuses: Vec<_> = results.iter().map(|r| r["status"].as_u64().expect("one")).collect();
    assert_eq!(statuses, [200, 200, 409, 409, 200, 409]);
    assert_eq!(results[2]["error"]["code"], "ILLEGAL_STATUS_MOVE");
    assert_eq!(results[2]["error"]["stored"]["source_version"], 2);
    assert_eq!(results[2]["error"]["sent"]["status"], "failed");
    assert_eq!(results[3]["error"]["code"], "RECORD_CONFLICT");
    assert_eq!(results[3]["error"]["sent"]["amount"], "3.00");
    assert_eq!(sums(&answer), [0, 1, 1, 3]);
    assert_eq!(answer["ignored"], 1);
}

#[tokio::test]
async fn a_time_of_the_source_says_what_is_newer() {
    let api = Api::new().await;
    let at = |time: &str, amount: u32| {
        with(named(), &json!({"source_updated_at": time, "amount": amount})).to_string()
    };
    let item = api.post("/transactions", at("2024-03-01T10:00:00+02:00", 1)).expect(201).await;
    assert_eq!(item.json()["source_updated_at"], "2024-03-01T08:00:00.000000Z");
    api.post("/transactions", at("2024-03-01T08:00:00Z", 2)).expect(409).await;
    let answer = api.post("/transactions", at("2024-03-01T07:59:59Z", 2)).expect(200).await;
    assert_eq!(result(&answer), "ignored");
    let answer = api.post("/transactions", at("2024-03-01T08:00:00.000001Z", 2)).expect(200).await;
    assert_eq!((result(&answer), &answer.json()["amount"]), ("updated", &json!(2.0)));
    for (field, value) in [
        ("source_version", json!(-1)),
        ("source_version", json!(1.5)),
        ("source_version", json!("two")),
        ("source_version", json!(true)),
        ("source_updated_at", json!("yesterday")),
        ("source_updated_at", json!(7)),
    ] {
        let body = with(named(), &json!({field: value}));
        let answer = api.post("/transactions", body.to_string()).expect(422).await;
        assert_eq!(answer.faults()[0].0, format!("/{field}"), "{value}");
    }
}

#[tokio::test]
async fn a_chosen_id_becomes_the_items_id() {
    let api = Api::new().await;
    let first = api.post("/transactions", chosen().to_string()).expect(201).await;
    assert_eq!(first.header("location"), Some(&*format!("/api/v1/transactions/{ID}")));
    assert_eq!(first.json()["id"], ID);
    assert_eq!(api.get(&format!("/transactions/{ID}")).expect(200).await.body, first.body);
    // The same content in another order and another form.
    let again = format!(
        r#"{{"metadata":{{"card_last_four":"5678","merchant_name":"Starbucks"}},"amount":"150.0",
        "created_at":"2024-01-15T11:30:00+01:00","transaction_type":"card","user_id":" ann ",
        "id":"{}"}}"#,
        ID.to_uppercase()
    );
    let again = api.post("/transactions", again).expect(200).await;
    assert_eq!((result(&again), &again.body), ("unchanged", &first.body));
    for change in [
        json!({"amount": 151}),
        json!({"status": "pending"}),
        json!({"currency": "EUR"}),
        json!({"side": "credit"}),
        json!({"metadata": {}}),
        json!({"product": "P2P"}),
        json!({"created_at": "2024-01-16"}),
        json!({"transaction_type": "other"}),
        json!({"source": "bank", "external_id": "1"}),
    ] {
        let body = with(chosen(), &change).to_string();
        let answer = api.post("/transactions", body).expect(409).await;
        assert_eq!(answer.code(), "RECORD_CONFLICT", "{change}");
        assert_eq!(answer.json()["stored"]["id"], ID);
    }
    for id in [json!("42"), json!(42), json!(""), json!("6f1c2a34")] {
        let body = with(card(), &json!({"id": id})).to_string();
        let answer = api.post("/transactions", body).expect(422).await;
        assert_eq!(answer.faults()[0].0, "/id", "{id}");
    }
    api.post("/transactions", with(card(), &json!({"id": null})).to_string()).expect(201).await;
    let page = api.get("/transactions?user_id=ann&sort=-created_at").expect(200).await.json();
    assert_eq!(page["total"], 2);
    assert!(ids(&page).contains(&ID.to_owned()));
}

#[tokio::test]
async fn an_id_of_somebody_else_tells_nothing() {
    let api = Api::guarded().await;
    let (ann, bob) = (user_token("ann"), user_token("bob"));
    let body = with(chosen(), &json!({"user_id": null, "amount": 987}));
    api.post("/transactions", body.to_string()).token(&ann).expect(201).await;
    let bobs = with(chosen(), &json!({"user_id": null}));
    let refused = || api.post("/transactions", bobs.to_string()).token(&bob);
    let alive = refused().expect(409).await;
    assert_eq!(alive.code(), "ID_TAKEN");
    assert!(!alive.text().contains("987") && !alive.text().contains("ann"), "{}", alive.text());
    assert_eq!(alive.json().get("stored"), None);
    api.call("DELETE", &format!("/transactions/{ID}")).token(&ann).expect(204).await;
    let gone = refused().expect(409).await;
    assert_eq!((gone.code(), &gone.json()["detail"]), (alive.code(), &alive.json()["detail"]));
}

#[tokio::test]
async fn a_deleted_id_does_not_come_back() {
    let api = Api::new().await;
    for body in [chosen(), with(named(), &json!({"id": "6f1c2a34-0000-4000-8000-00000000dcba"}))] {
        let item = api.post("/transactions", body.to_string()).expect(201).await.json();
        let answer = api.call("DELETE", &path(&item)).expect(204).await;
        assert_eq!(result(&answer), "deleted");
        let history = api.get(&format!("{}/history", path(&item))).expect(200).await;
        for late in [body.clone(), with(body.clone(), &json!({"source_version": 9}))] {
            let answer = api.post("/transactions", late.to_string()).expect(409).await;
            assert_eq!(answer.code(), "TRANSACTION_DELETED");
            let batch = json!([late]).to_string();
            let batch = api.post("/transactions/batch", batch).expect(200).await.json();
            assert_eq!(batch["results"][0]["error"]["code"], "TRANSACTION_DELETED");
        }
        api.get(&path(&item)).expect(404).await;
        let after = api.get(&format!("{}/history", path(&item))).expect(200).await;
        assert_eq!(after.body, history.body);
    }
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 0);
}

#[tokio::test]
async fn an_id_of_a_transfers_item_is_refused() {
    let api = ann_and_bob().await;
    api.post("/transfers", transfer(1, 2, "5").to_string()).expect(201).await;
    let items = api.get("/transactions?user_id=ann").expect(200).await.json();
    let id = &items["items"][0]["id"];
    let body = |id: &Value, user: &str| with(card(), &json!({"id": id, "user_id": user}));
    let answer = api.post("/transactions", body(id, "ann").to_string()).expect(409).await;
    assert_eq!(answer.code(), "BELONGS_TO_TRANSFER");
    let answer = api.post("/transactions", body(id, "bob").to_string()).expect(409).await;
    assert_eq!(answer.code(), "ID_TAKEN");
    // A transfer that waits has no items yet; their ids follow from its own.
    let later = with(transfer(1, 2, "5"), &json!({"execute_at": "2199-01-01"}));
    let waiting = api.post("/transfers", later.to_string()).expect(201).await.json();
    let waiting = waiting["id"].as_str().expect("an id").to_owned();
    let last = u8::from_str_radix(&waiting[34..], 16).expect("two digits");
    for bit in [1, 2] {
        let id = json!(format!("{}{:02x}", &waiting[..34], last ^ bit));
        for user in ["ann", "bob", "eve"] {
            let answer = api.post("/transactions", body(&id, user).to_string()).expect(409).await;
            assert_eq!(answer.code(), "ID_TAKEN");
        }
    }
    api.post("/transactions", body(&json!(waiting), "ann").to_string()).expect(201).await;
    api.prove().await;
}

#[tokio::test]
async fn two_at_once_are_one_item() {
    let api = Api::new().await;
    for body in [chosen(), named()] {
        let body = body.to_string();
        let calls = (0..16).map(|_| api.post("/transactions", body.clone()).send());
        let mut statuses: Vec<u16> =
            join_all(calls).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200; 15], vec![201]].concat());
    }
    let batch = |amount: u32| json!([chosen(), with(chosen(), &json!({"amount": amount}))]);
    let answer = api.post("/transactions/batch?atomic=true", batch(1).to_string());
    let answer = answer.expect(422).await.json();
    assert_eq!(answer["results"][1]["error"]["code"], "RECORD_CONFLICT");
    let other = "6f1c2a34-0000-4000-8000-00000000eeee";
    let fresh = |amount: u32| with(card(), &json!({"id": other, "amount": amount}));
    let refused = json!([fresh(1), fresh(2)]).to_string();
    api.post("/transactions/batch?atomic=true", refused).expect(422).await;
    // The refused batch has not used the id up.
    let batch = json!([fresh(3), fresh(3)]).to_string();
    let answer = api.post("/transactions/batch?atomic=true", batch).expect(200).await.json();
    assert_eq!(sums(&answer), [1, 0, 1, 0]);
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 3);
}

#[tokio::test]
async fn fields_of_the_replaced_systems_are_passed_over() {
    let api = Api::new().await;
    let old = json!({"search_content": "Card payment 150.0 USD completed Starbucks",
        "updated_at": "2024-01-01T00:00:00", "_enriched": true, "_enriched_at": "2024-01-01", "_version": 3,
        "_": {}});
    let item = api.record(with(card(), &old)).await;
    assert_eq!(item["metadata"], json!({"merchant_name": "Starbucks", "card_last_four": "5678"}));
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1,"metadata":null,
        "search_content":"x","updated_at":"2024-01-01T00:00:00","_enriched":true}"#;
    let item = api.post("/transactions", body).expect(201).await.json();
    assert_eq!((&item["metadata"], &item["updated_at"]), (&json!({}), &Value::Null));
    let batch = api.post("/transactions/batch", format!("[{body}]")).expect(200).await.json();
    assert_eq!(sums(&batch), [1, 0, 0, 0]);
    for field in ["searchContent", "search_contents", "colour", "display", "version", "recorded_at"]
    {
        let answer = api.post("/transactions", with(card(), &json!({field: 1})).to_string());
        let expected = [(format!("/{field}"), "UNKNOWN_FIELD".to_owned())];
        assert_eq!(answer.expect(422).await.faults(), expected);
    }
}

/// Bodies of every kind, plain and with all that an item may have.
fn bodies() -> Vec<Value> {
    let mut bodies = Vec::new();
    for (place, kind) in KINDS.iter().enumerate() {
        let mut body: Value = serde_json::from_str(kind.example()).expect("JSON");
        body["user_id"] = json!("ann");
        bodies.push(body.clone());
        body["source"] = json!("bank");
        body["external_id"] = json!(place.to_string());
        body["source_version"] = json!(i64::MAX);
        body["source_updated_at"] = json!("2024-05-06T07:08:09.123456Z");
        body["created_at"] = json!("2024-05-06T07:08:09.123456+02:00");
        body["status"] = json!("pending");
        bodies.push(body.clone());
        body["external_id"] = json!(format!("{place} credit"));
        body["side"] = json!("credit");
        bodies.push(body.clone());
        body["external_id"] = json!(format!("{place} debit"));
        body["side"] = json!("debit");
        body["metadata"] = json!({});
        bodies.push(body);
    }
    bodies
}

#[tokio::test]
async fn what_get_answered_may_be_sent_back() {
    let api = Api::new().await;
    for body in bodies() {
        let item = api.record(body).await;
        let path = path(&item);
        let got = api.get(&path).expect(200).await;
        for method in ["PUT", "PATCH"] {
            let answer = api.call(method, &path).json(got.text()).expect(200).await;
            assert_eq!((result(&answer), &answer.body), ("unchanged", &got.body), "{method}");
        }
        let mut changed = got.json();
        changed["amount"] = json!("7");
        let put = api.call("PUT", &path).json(changed.to_string()).expect(200).await;
        assert_eq!(put.json()["version"], 2);
        assert_eq!(put.json()["side_given"], item["side_given"]);
        // What was read before that is stale now.
        for method in ["PUT", "PATCH"] {
            let answer = api.call(method, &path).json(got.text()).expect(409).await;
            assert_eq!(answer.code(), "STALE_VERSION");
        }
    }
}

#[tokio::test]
async fn fields_that_never_change_are_named_where_a_body_contradicts_them() {
    let api = Api::new().await;
    let item = api.record(with(named(), &json!({"source_version": 3}))).await;
    let path = path(&item);
    let wrong = json!({"id": ID, "user_id": "bob", "transaction_type": "p2p", "currency": "EUR",
        "source": "shop", "external_id": null, "source_version": 4,
        "source_updated_at": "2024-01-01", "transfer_id": ID});
    for (method, body) in [("PUT", item.clone()), ("PATCH", json!({}))] {
        for (name, value) in wrong.as_object().expect("an object") {
            let mut body = body.clone();
            body[name] = value.clone();
            let answer = api.call(method, &path).json(body.to_string()).expect(422).await;
            let expected = [(format!("/{name}"), "IMMUTABLE".to_owned())];
            assert_eq!(answer.faults(), expected, "{method}");
        }
        let mut all = body.clone();
        all.as_object_mut().expect("an object").extend(wrong.as_object().expect("one").clone());
        let answer = api.call(method, &path).json(all.to_string()).expect(422).await;
        assert_eq!(answer.faults().len(), 9, "{}", answer.text());
        // What Daybook computes is not for clients to say.
        let computed = json!({"display": {"title": "x"}, "recorded_at": "2020-01-01",
            "updated_at": "2020-01-01", "side_given": true});
        let mut body = body.clone();
        body.as_object_mut().expect("an object").extend(computed.as_object().expect("one").clone());
        let answer = api.call(method, &path).json(body.to_string()).expect(200).await;
        assert_eq!(result(&answer), "unchanged");
    }
    let answer = api.call("PATCH", &path).json(r#"{"product":"P2P"}"#).expect(422).await;
    assert_eq!(answer.faults(), [("/product".to_owned(), "IMMUTABLE".to_owned())]);
}

/// What a side shows: in the item, its title, the filter and the statistics.
async fn shows(api: &Api, item: &Value, side: &str, title: &str) {
    let item = api.get(&path(item)).expect(200).await.json();
    assert_eq!((&item["side"], &item["display"]["title"]), (&json!(side), &json!(title)));
    let page = api.get(&format!("/transactions?user_id=ann&side={side}")).expect(200).await.json();
    assert_eq!(page["total"], 1);
    let statistics = api.get("/users/ann/statistics").expect(200).await.json();
    let totals = if side == "credit" { ["9.00", "0.00"] } else { ["0.00", "9.00"] };
    let found = ["credit_total", "debit_total"].map(|name| &statistics["currencies"][0][name]);
    assert_eq!(found, totals);
}

fn p2p(direction: &str) -> Value {
    json!({"user_id": "ann", "transaction_type": "p2p", "amount": 9, "status": "pending",
        "created_at": "2024-01-01", "source": "bank", "external_id": "1",
        "metadata": {"direction": direction, "peer_name": "Bo"}})
}

#[tokio::test]
async fn a_side_follows_the_metadata_however_that_changes() {
    for given in [false, true] {
        let api = Api::new().await;
        let mut body = p2p("sent");
        if given {
            body["side"] = json!("debit");
        }
        let item = api.record(body).await;
        assert_eq!(item.get("side_given"), given.then_some(&json!(true)));
        let path = path(&item);
        shows(&api, &item, "debit", "To Bo").await;
        let side = |follows: &'static str| if given { "debit" } else { follows };
        let patch = r#"{"metadata":{"direction":"received"}}"#;
        api.call("PATCH", &path).json(patch).expect(200).await;
        shows(&api, &item, side("credit"), "From Bo").await;
        let put = json!({"status": "pending", "amount": 9, "created_at": "2024-01-01",
            "metadata": {"direction": "sent", "peer_name": "Bo"}});
        api.call("PUT", &path).json(put.to_string()).expect(200).await;
        shows(&api, &item, "debit", "To Bo").await;
        let newer = with(p2p("received"), &json!({"source_version": 1}));
        api.post("/transactions", newer.to_string()).expect(200).await;
        shows(&api, &item, side("credit"), "From Bo").await;
        let forget = json!({"side": null}).to_string();
        api.call("PATCH", &path).json(forget).expect(200).await;
        shows(&api, &item, "credit", "From Bo").await;
    }
}

#[tokio::test]
async fn a_side_that_a_patch_names_stays_and_one_that_a_replacement_repeats_follows() {
    let api = Api::new().await;
    let path = path(&api.record(p2p("sent")).await);
    let answer = api.call("PATCH", &path).json(r#"{"side":"debit"}"#).expect(200).await.json();
    assert_eq!((&answer["side"], &answer["side_given"]), (&json!("debit"), &json!(true)));
    let turned = r#"{"metadata":{"direction":"received"}}"#;
    let answer = api.call("PATCH", &path).json(turned).expect(200).await.json();
    assert_eq!(answer["side"], "debit");
    for method in ["PUT", "PATCH"] {
        let api = Api::new().await;
        let path = self::path(&api.record(p2p("received")).await);
        let mut item = api.get(&path).expect(200).await.json();
        assert_eq!(item["side"], "credit");
        item["metadata"]["direction"] = json!("sent");
        let answer = api.call(method, &path).json(item.to_string()).expect(200).await.json();
        assert_eq!((&answer["side"], &answer["side_given"]), (&json!("debit"), &Value::Null));
    }
}

#[tokio::test]
async fn a_side_can_be_said_by_patch_put_and_a_newer_version() {
    let api = Api::new().await;
    let item = api.record(p2p("sent")).await;
    let path = path(&item);
    let answer = api.call("PATCH", &path).json(r#"{"side":"credit"}"#).expect(200).await.json();
    assert_eq!((&answer["side"], &answer["side_given"]), (&json!("credit"), &json!(true)));
    let patch = r#"{"metadata":{"direction":"sent","note":"n"}}"#;
    let answer = api.call("PATCH", &path).json(patch).expect(200).await.json();
    assert_eq!(answer["side"], "credit");
    let mut full = answer.clone();
    full["side"] = json!("debit");
    let answer = api.call("PUT", &path).json(full.to_string()).expect(200).await.json();
    assert_eq!(answer["side"], "debit");
    let newer = with(p2p("sent"), &json!({"source_version": 1, "side": "credit"}));
    let answer = api.post("/transactions", newer.to_string()).expect(200).await.json();
    assert_eq!((&answer["side"], &answer["side_given"]), (&json!("credit"), &json!(true)));
    // A newer version that does not say the side leaves it as it was said.
    let newer = with(p2p("sent"), &json!({"source_version": 2}));
    let answer = api.post("/transactions", newer.to_string()).expect(200).await.json();
    assert_eq!((&answer["side"], &answer["source_version"]), (&json!("credit"), &json!(2)));
    let history = api.get(&format!("{path}/history")).expect(200).await.json();
    let sides: Vec<_> = history["items"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|version| version["transaction"]["side"].clone())
        .collect();
    assert_eq!(sides, ["debit", "credit", "credit", "debit", "credit", "credit"]);
}

#[tokio::test]
async fn sentences_that_clients_of_the_old_feed_test_are_there() {
    let api = Api::guarded().await;
    let (ann, bob) = (user_token("ann"), user_token("bob"));
    let body = with(chosen(), &json!({"user_id": null})).to_string();
    api.post("/transactions", body).token(&ann).expect(201).await;
    let detail = |answer: &Answer| answer.json()["detail"].as_str().expect("one").to_owned();
    let own = format!("/transactions/{ID}");
    let answer = api.get(&own).token(&bob).expect(403).await;
    assert!(detail(&answer).contains("You can only access your own transactions"));
    let answer = api.get("/transactions/42").token(&ann).expect(400).await;
    assert!(detail(&answer).contains("Invalid transaction ID format"));
    let missing = "/transactions/6f1c2a34-0000-4000-8000-000000000000";
    let answer = api.get(missing).token(&ann).expect(404).await;
    assert!(detail(&answer).contains("Transaction not found"));
    for answer in [api.get("/auth/me").token("nonsense"), api.get("/transactions?user_id=ann")] {
        let answer = answer.expect(401).await;
        assert!(detail(&answer).contains("Invalid authentication credentials"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let open = Api::new().await;
    let answer = open.get("/transactions").expect(400).await;
    assert!(detail(&answer).contains("user_id is required"), "{}", answer.text());
    let answer = open.post("/transactions", r#"{"transaction_type":"card","amount":1}"#);
    assert!(detail(&answer.expect(422).await).contains("user_id is required"));
    let answer = open.post("/auth/token", "{}").expect(422).await;
    assert!(detail(&answer).contains("user_id is required"));
}
