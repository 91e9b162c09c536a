//! `GET /transactions`: filters, pages and cursors.

use daybook_core::query::PARAMETERS;
use serde_json::{Value, json};

use crate::support::{Api, ids, user_token};

/// Thirty items of ann, an hour apart, and one of bob.
async fn filled() -> Api {
    let api = Api::new().await;
    let mut items = vec![json!({"user_id": "bob", "transaction_type": "card", "amount": 1,
        "created_at": "2024-01-01T00:00:00Z"})];
    for n in 0..30 {
        let (kind, metadata) = match n % 3 {
            0 => (
                "card",
                json!({"merchant_name": "Starbucks", "card_last_four": "5678",
                                 "city": "Madrid", "score": n}),
            ),
            1 => ("p2p", json!({"direction": "sent", "peer_name": "Zoë"})),
            _ => ("other", json!({"nested": {"flag": true}})),
        };
        items.push(json!({
            "user_id": "ann", "transaction_type": kind, "amount": n + 1, "metadata": metadata,
            "currency": if n % 2 == 0 { "USD" } else { "EUR" },
            "status": if n < 5 { "pending" } else { "completed" },
            "side": if n % 2 == 0 { "debit" } else { "credit" },
            "source": "bank", "external_id": format!("x{n}"),
            "created_at": format!("2024-01-{:02}T{:02}:00:00Z", 1 + n / 24, n % 24),
        }));
    }
    let results = api.post("/transactions/batch", Value::Array(items).to_string());
    assert_eq!(results.expect(200).await.json()["created"], 31);
    api
}

async fn total(api: &Api, query: &str) -> u64 {
    let page = api.get(&format!("/transactions?user_id=ann&{query}")).expect(200).await.json();
    page["total"].as_u64().expect("a number")
}

#[tokio::test]
async fn filters_combine() {
    let api = filled().await;
    for (query, expected) in [
        ("", 30),
        ("transaction_type=card", 10),
        ("transaction_type=card&transaction_type=p2p", 20),
        ("product=Card", 10),
        ("status=pending", 5),
        ("currency=EUR", 15),
        ("currency=eur", 15),
        ("currency=GBP", 0),
        ("side=credit", 15),
        ("start_date=2024-01-02", 6),
        ("end_date=2024-01-01", 24),
        ("start_date=2024-01-01T01:00:00Z&end_date=2024-01-01T02:00:00Z", 2),
        ("min_amount=10.00&max_amount=12", 3),
        ("direction=sent", 10),
        ("merchant_name=starbucks", 10),
        ("card_last_four=5678", 10),
        ("peer_name=Zo%C3%AB", 10),
        ("source=bank", 30),
        ("external_id=x7", 1),
        ("external_id=x7&external_id=x8", 2),
        ("metadata.city=Madrid", 10),
        ("metadata.city[ne]=Madrid", 20),
        ("metadata.city[exists]=false", 20),
        ("metadata.city%5Bexists%5D=true", 10),
        ("metadata.score[gte]=9&metadata.score[lt]=15", 2),
        ("metadata.score[gt]=9&metadata.score[lte]=15", 2),
        ("metadata.nested.flag=true", 10),
        ("transaction_type=card&currency=USD&metadata.city=Madrid&min_amount=10", 3),
        ("search_query=starbucks&currency=EUR", 5),
    ] {
        assert_eq!(total(&api, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn numbered_pages_cover_everything_once() {
    let api = filled().await;
    let mut seen = Vec::new();
    for number in 1..=4 {
        let path = format!("/transactions?user_id=ann&page={number}&page_size=8");
        let page = api.get(&path).expect(200).await.json();
        assert_eq!(page["total"], 30);
        assert_eq!(page["total_pages"], 4);
        assert_eq!((&page["page"], &page["page_size"]), (&json!(number), &json!(8)));
        seen.extend(ids(&page));
    }
    assert_eq!(seen.len(), 30);
    let all = api.get("/transactions?user_id=ann&page_size=100").expect(200).await.json();
    assert_eq!(ids(&all), seen);
    let times: Vec<&str> = all["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|i| i["created_at"].as_str())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "newest first");
    let beyond = api.get("/transactions?user_id=ann&page=99").expect(200).await.json();
    assert_eq!(beyond["items"], json!([]));
    let first = api.get("/transactions?user_id=ann").expect(200).await.json();
    assert_eq!((&first["page"], &first["page_size"]), (&json!(1), &json!(20)));
}

#[tokio::test]
async fn cursors_neither_skip_nor_repeat_while_others_write() {
    let api = filled().await;
    let before = api.get("/transactions?user_id=ann&page_size=100").expect(200).await.json();
    let mut seen = Vec::new();
    let mut path = "/transactions?user_id=ann&limit=7".to_owned();
    loop {
        let page = api.get(&path).expect(200).await.json();
        assert_eq!(page["limit"], 7);
        seen.extend(ids(&page));
        api.record(json!({"user_id": "ann", "transaction_type": "other", "amount": 1})).await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            break;
        };
        assert_eq!(page["has_more"], true);
        path = format!("/transactions?user_id=ann&limit=7&cursor={cursor}");
    }
    assert_eq!(seen, ids(&before));
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_question_only() {
    let api = filled().await;
    let first = api.get("/transactions?user_id=ann&limit=5").expect(200).await.json();
    let cursor = first["next_cursor"].as_str().expect("more").to_owned();
    let ask = |query: String| api.get(&format!("/transactions?{query}"));
    // The size of the page may change between pages.
    ask(format!("user_id=ann&limit=9&cursor={cursor}")).expect(200).await;
    for query in [
        format!("user_id=ann&cursor={}", &cursor[..cursor.len() - 1]),
        format!("user_id=ann&cursor={cursor}A"),
        format!("user_id=bob&cursor={cursor}"),
        format!("user_id=ann&status=completed&cursor={cursor}"),
        "user_id=ann&cursor=abc".to_owned(),
        "user_id=ann&cursor=%00".to_owned(),
    ] {
        assert_eq!(ask(query.clone()).expect(400).await.code(), "INVALID_CURSOR", "{query}");
    }
    ask("user_id=ann&cursor=".to_owned()).expect(200).await;
}

#[tokio::test]
async fn parameters_out_of_bounds_are_named() {
    let api = Api::new().await;
    for (query, parameter) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("page=1000000000", "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("page=1&limit=5", "page"),
        ("page=1&page=2", "page"),
        ("transaction_type=gift", "transaction_type"),
        ("status=done", "status"),
        ("side=left", "side"),
        ("start_date=2023-02-29", "start_date"),
        ("end_date=tomorrow", "end_date"),
        ("min_amount=NaN", "min_amount"),
        ("max_amount=1e400", "max_amount"),
        ("sort=amount", "sort"),
        ("search_query=", "search_query"),
        ("metadata.a[like]=x", "metadata.a[like]"),
        ("metadata.=x", "metadata."),
        ("metadata.a[exists]=maybe", "metadata.a[exists]"),
    ] {
        let answer = api.get(&format!("/transactions?user_id=ann&{query}")).expect(422).await;
        assert_eq!(answer.faults()[0].0, parameter, "{query}: {}", answer.text());
    }
    let both = api.get("/transactions?user_id=ann&page=0&page_size=101").expect(422).await;
    assert_eq!(both.faults().len(), 2);
    api.get("/transactions?user_id=a%07b").expect(422).await;
}

#[tokio::test]
async fn an_unknown_parameter_is_told_the_nearest_known_one() {
    let api = Api::new().await;
    for (query, near) in [
        ("statuss=pending", "status"),
        ("transaction_typ=card", "transaction_type"),
        ("pagesize=3", "page_size"),
    ] {
        let answer = api.get(&format!("/transactions?user_id=ann&{query}")).expect(400).await;
        assert_eq!(answer.code(), "UNKNOWN_PARAMETER");
        assert!(answer.text().contains(&format!("did you mean '{near}'")), "{}", answer.text());
    }
    api.get("/transactions?user_id=ann&%ff=1").expect(400).await;
}

#[tokio::test]
async fn whose_feed_must_be_said_by_token_or_parameter() {
    let api = Api::new().await;
    assert_eq!(api.get("/transactions").expect(400).await.code(), "MISSING_USER_ID");
    let api = Api::guarded().await;
    let page = api.get("/transactions?user_id=bob").token(&user_token("ann")).expect(200).await;
    assert_eq!(page.json()["total"], 0);
    api.get("/transactions").token(&user_token("ann")).expect(200).await;
}

#[tokio::test]
async fn every_parameter_is_documented() {
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    let parameters = &document["paths"]["/api/v1/transactions"]["get"]["parameters"];
    let names: Vec<&str> =
        parameters.as_array().expect("a list").iter().filter_map(|p| p["name"].as_str()).collect();
    for name in PARAMETERS {
        assert!(names.contains(name), "{name}");
    }
}
