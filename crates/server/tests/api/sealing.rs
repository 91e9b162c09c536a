//! Sealed values over HTTP: their owner reads them as they were sent, until they are destroyed.

use daybook_server::app::{Auth, Settings};
use daybook_server::auth::{Scope, Trust};
use serde_json::{Value, json};

use crate::support::{Answer, Api, Place, SECRET, service_token, user_token};

const ITEM: &str = r#"{"transaction_type":"card","amount":1,"metadata":{
    "merchant_name":"Starbucks","card_last_four":"5678","cardholder_name":"Zebediah Quirk"}}"#;

fn settings() -> Settings {
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    Settings { auth, ..Settings::default() }
}

/// Records an item of a user; the same request is answered as it was.
async fn record(api: &Api, user: &str) -> Answer {
    let call = api.post("/transactions", ITEM).token(&user_token(user));
    call.header("idempotency-key", "k").expect(201).await
}

/// Changes an item of ann's; the same request is answered as it was.
async fn change(api: &Api, path: &str) -> Answer {
    let patch = r#"{"metadata":{"cardholder_name":"Zoe Quirk"}}"#;
    let call = api.call("PATCH", path).token(&user_token("ann")).json(patch);
    call.header("idempotency-key", "k").expect(200).await
}

/// What a user reads at a path.
async fn read(api: &Api, user: &str, path: &str) -> Value {
    api.get(path).token(&user_token(user)).expect(200).await.json()
}

/// The sealed values of ann's item in every answer that shows it: as it is now, in its history, and
/// in repeated answers.
async fn shown(api: &Api, path: &str) -> Value {
    let feed = read(api, "ann", "/transactions?merchant_name=starbucks").await;
    let sync = read(api, "ann", "/transactions/sync").await;
    let history = read(api, "ann", &format!("{path}/history")).await;
    let repeated = [record(api, "ann").await, change(api, path).await];
    for answer in &repeated {
        assert_eq!(answer.header("idempotent-replayed"), Some("true"));
    }
    let [recorded, changed] = repeated.map(|answer| answer.json());
    let answers = [
        &read(api, "ann", path).await,
        &feed["items"][0],
        &sync["added"][0],
        &history["items"][0]["transaction"],
        &history["items"][1]["transaction"],
        &recorded,
        &changed,
    ];
    for answer in answers {
        assert_eq!(answer["metadata"]["merchant_name"], "Starbucks", "{answer}");
    }
    let values = |item: &Value| {
        let metadata = &item["metadata"];
        json!([metadata["card_last_four"], metadata["cardholder_name"]])
    };
    answers.map(values).to_vec().into()
}

fn path_of(item: &Answer) -> String {
    format!("/transactions/{}", item.json()["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn the_owner_reads_what_is_sealed_until_it_is_destroyed() {
    let api = Api::sealed(settings()).await;
    let admin = service_token(&[Scope::Admin]);
    let (mine, theirs) = (record(&api, "ann").await, record(&api, "bob").await);
    let (path, theirs) = (path_of(&mine), path_of(&theirs));
    change(&api, &path).await;
    let (first, second) = (json!(["5678", "Zebediah Quirk"]), json!(["5678", "Zoe Quirk"]));
    let expected = json!([second, second, second, first, second, first, second]);
    assert_eq!(shown(&api, &path).await, expected);

    let shred = || api.post("/users/ann/shred", "").token(&admin).expect(200);
    assert_eq!(shred().await.json(), json!({"keys": 1}));
    assert_eq!(shred().await.json(), json!({"keys": 0}));
    assert_eq!(shown(&api, &path).await, json!(vec![[Value::Null, Value::Null]; 7]));
    let found = read(&api, "ann", "/transactions?card_last_four=5678").await;
    assert_eq!(found["total"], 0);
    let item = read(&api, "ann", &path).await;
    assert!(!item["display"].to_string().contains("5678"), "{item}");
    assert_eq!(read(&api, "bob", &theirs).await["metadata"]["cardholder_name"], "Zebediah Quirk");

    // What is left of the item may be changed, and what comes later is sealed by another key.
    let note = api.call("PATCH", &path).token(&user_token("ann"));
    let noted = note.json(r#"{"metadata":{"note":"n"}}"#).expect(200).await.json();
    assert_eq!((&noted["metadata"]["note"], &noted["version"]), (&json!("n"), &json!(3)));
    let again = api.post("/transactions", ITEM).token(&user_token("ann")).expect(201).await;
    let again = read(&api, "ann", &path_of(&again)).await;
    assert_eq!(again["metadata"]["cardholder_name"], "Zebediah Quirk");
}

#[tokio::test]
async fn only_equality_can_be_asked_of_what_is_sealed() {
    let api = Api::sealed(settings()).await;
    record(&api, "ann").await;
    for path in [
        "/transactions?metadata.card_last_four[gte]=1",
        "/transactions?metadata.card_last_four[gt]=1&currency=USD",
        "/transactions?metadata.card_last_four[lte]=9&search_query=starbucks",
        "/transactions?metadata.card_last_four[lt]=9&limit=5",
        "/users/ann/statistics/series?group_by=metadata.card_last_four",
    ] {
        let answer = api.get(path).token(&user_token("ann")).expect(422).await;
        assert_eq!(answer.code(), "SEALED", "{path}");
        assert!(answer.text().contains("metadata.card_last_four"), "{}", answer.text());
    }
    for (query, total) in [
        ("card_last_four=5678", 1),
        ("card_last_four=5679", 0),
        ("metadata.cardholder_name=zebediah%20quirk", 1),
        ("metadata.card_last_four[ne]=5678", 0),
        ("metadata.card_last_four[exists]=true", 1),
        ("search_query=starbucks", 1),
        ("search_query=zebediah", 0),
        ("metadata.merchant_name[gte]=A", 1),
    ] {
        let page = read(&api, "ann", &format!("/transactions?{query}")).await;
        assert_eq!(page["total"], total, "{query}");
    }
}

#[tokio::test]
async fn administrators_look_after_the_ring() {
    let api = Api::sealed(settings()).await;
    let admin = service_token(&[Scope::Admin]);
    for user in ["ann", "bob"] {
        record(&api, user).await;
    }
    let ring = async |method: &str, path: &str| {
        api.call(method, path).token(&admin).expect(200).await.json()
    };
    let before = ring("GET", "/keyring").await;
    let master = &before["masters"][0];
    assert_eq!((&master["keys"], &master["is_current"]), (&json!(2), &json!(true)));
    assert_eq!((&before["shredded"], &before["total"]), (&json!(0), &json!(2)));
    assert_eq!(ring("POST", "/keyring/rotate").await, before, "the keys are where they were");
    assert_eq!(ring("POST", "/keyring/rewrap?limit=1").await, json!({"left": 0}));
    ring("POST", "/users/bob/shred").await;
    let after = ring("GET", "/keyring").await;
    assert_eq!(after["masters"][0]["keys"], 1);
    assert_eq!((&after["shredded"], &after["total"]), (&json!(1), &json!(2)));
    for path in ["/keyring/rewrap?limit=0", "/keyring/rewrap?limit=10001"] {
        api.post(path, "").token(&admin).expect(422).await;
    }
}

#[tokio::test]
async fn where_nothing_is_sealed_there_is_no_ring() {
    let place = Place::new().await;
    let api = Api::over(place.open_plain().await, settings(), place);
    for (method, path) in [
        ("GET", "/keyring"),
        ("POST", "/keyring/rotate"),
        ("POST", "/keyring/rewrap"),
        ("POST", "/users/ann/shred"),
    ] {
        let call = api.call(method, path).token(&service_token(&[Scope::Admin]));
        assert_eq!(call.expect(409).await.code(), "NOT_SEALING", "{method} {path}");
    }
}
