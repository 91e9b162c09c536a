//! `/users/{user_id}/statistics` and its series.

use serde_json::{Value, json};

use crate::support::{Api, service_token, user_token};

async fn filled() -> Api {
    let api = Api::new().await;
    let item = |currency: &str, amount: &str, side: &str, status: &str, at: &str| {
        json!({"user_id": "ann", "transaction_type": "other", "currency": currency,
            "amount": amount, "side": side, "status": status, "created_at": at,
            "metadata": {"shop": if side == "debit" { "A" } else { "B" }}})
    };
    let items = json!([
        item("EUR", "10.00", "debit", "completed", "2024-01-01T10:00:00Z"),
        item("EUR", "20.00", "credit", "completed", "2024-01-01T23:30:00Z"),
        item("EUR", "5.50", "debit", "pending", "2024-01-02T10:00:00Z"),
        item("EUR", "99.00", "debit", "failed", "2024-01-02T11:00:00Z"),
        item("USD", "7.00", "debit", "completed", "2024-02-01T00:00:00Z"),
    ]);
    let results = api.post("/transactions/batch", items.to_string()).expect(200).await;
    assert_eq!(results.json()["created"], 5);
    api
}

async fn ask(api: &Api, query: &str) -> Value {
    api.get(&format!("/users/ann/statistics{query}")).expect(200).await.json()
}

#[tokio::test]
async fn currencies_are_never_mixed() {
    let api = filled().await;
    let answer = ask(&api, "").await;
    assert_eq!((&answer["user_id"], &answer["tz"]), (&json!("ann"), &json!("UTC")));
    assert_eq!((&answer["start_date"], &answer["end_date"]), (&Value::Null, &Value::Null));
    let currencies = answer["currencies"].as_array().expect("a list");
    assert_eq!(currencies.len(), 2);
    let euro = currencies.iter().find(|c| c["currency"] == "EUR").expect("euros");
    for (name, expected) in [
        ("transaction_count", json!(3)),
        ("total_transaction_value", json!("35.50")),
        ("average_transaction_value", json!("11.83")),
        ("credit_total", json!("20.00")),
        ("debit_total", json!("15.50")),
        ("net", json!("4.50")),
        ("largest", json!("20.00")),
        ("smallest", json!("5.50")),
        ("highest_transaction_day", json!({"date": "2024-01-01", "count": 2})),
    ] {
        assert_eq!(euro[name], expected, "{name}");
    }
    assert_eq!(euro["by_status"]["failed"]["total"], "99.00");
    assert_eq!(euro["by_type"]["other"]["transaction_count"], 3);
    assert!(euro["last_updated"].is_string());
    let only = ask(&api, "?currency=usd").await;
    assert_eq!(only["currencies"].as_array().map(Vec::len), Some(1));
    let both = ask(&api, "?currency=USD&currency=EUR").await;
    assert_eq!(both["currencies"].as_array().map(Vec::len), Some(2));
    let nobody = api.get("/users/nobody/statistics").expect(200).await.json();
    assert_eq!(nobody["currencies"], json!([]));
}

#[tokio::test]
async fn days_are_those_of_the_zone_asked_for() {
    let api = filled().await;
    let utc = ask(&api, "?currency=EUR&end_date=2024-01-01").await;
    assert_eq!(utc["currencies"][0]["transaction_count"], 2);
    assert_eq!(utc["end_date"], "2024-01-01");
    let madrid = ask(&api, "?currency=EUR&end_date=2024-01-01&tz=Europe/Madrid").await;
    assert_eq!(madrid["tz"], "Europe/Madrid");
    assert_eq!(madrid["currencies"][0]["transaction_count"], 1);
    let all = ask(&api, "?currency=EUR&tz=Europe/Madrid").await;
    let day = &all["currencies"][0]["highest_transaction_day"];
    assert_eq!(day, &json!({"date": "2024-01-02", "count": 2}));
    let start = ask(&api, "?currency=EUR&start_date=2024-01-01T23:30:00Z").await;
    assert_eq!(start["currencies"][0]["transaction_count"], 2);
}

#[tokio::test]
async fn a_chart_has_points_by_interval_and_group() {
    let api = filled().await;
    let series = |query: &str| api.get(&format!("/users/ann/statistics/series{query}"));
    let days = series("?currency=EUR").expect(200).await.json();
    assert_eq!((&days["interval"], &days["group_by"]), (&json!("day"), &Value::Null));
    let points = &days["currencies"][0]["groups"][0]["points"];
    assert_eq!(
        points[0],
        json!({"date": "2024-01-01", "transaction_count": 2, "total": "30.00",
                                 "credit_total": "20.00", "debit_total": "10.00"})
    );
    assert_eq!(points[1]["transaction_count"], 1);
    for (query, groups) in [
        ("group_by=side", vec!["credit", "debit"]),
        ("group_by=transaction_type", vec!["other"]),
        ("group_by=product", vec!["Account"]),
        ("group_by=metadata.shop&interval=week", vec!["A", "B"]),
        ("interval=month&tz=America/New_York", vec!["all"]),
    ] {
        let answer = series(&format!("?currency=EUR&{query}")).expect(200).await.json();
        let found: Vec<&str> = answer["currencies"][0]["groups"]
            .as_array()
            .expect("groups")
            .iter()
            .filter_map(|group| group["group"].as_str())
            .collect();
        if query.contains("product") {
            assert_eq!(found.len(), 1, "{query}");
        } else {
            assert_eq!(found, groups, "{query}");
        }
    }
    let month = series("?interval=month&currency=EUR&start_date=2024-01-01&end_date=2024-01-31");
    let month = month.expect(200).await.json();
    assert_eq!(month["currencies"][0]["groups"][0]["points"][0]["total"], "35.50");
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let api = Api::new().await;
    for (query, parameter) in [
        ("/statistics?tz=Mars/Olympus", "tz"),
        ("/statistics?tz=", "tz"),
        ("/statistics?start_date=2024-02-30", "start_date"),
        ("/statistics?end_date=x", "end_date"),
        ("/statistics?start_date=2024-02-02&end_date=2024-02-01", "end_date"),
        ("/statistics?currency=E", "currency"),
        ("/statistics?currency=%E2%82%AC", "currency"),
        ("/statistics?tz=UTC&tz=UTC", "tz"),
        ("/statistics/series?interval=year", "interval"),
        ("/statistics/series?group_by=colour", "group_by"),
        ("/statistics/series?group_by=metadata.", "group_by"),
        ("/statistics/series?tz=Nowhere", "tz"),
    ] {
        let answer = api.get(&format!("/users/ann{query}")).expect(422).await;
        assert_eq!(answer.faults()[0].0, parameter, "{query}");
    }
    api.get("/users/ann/statistics?interval=day").expect(400).await;
    api.get("/users/ann/statistics/series?intervl=day").expect(400).await;
    assert_eq!(api.get("/users/a%07b/statistics").expect(400).await.code(), "INVALID_USER_ID");
    assert_eq!(api.get("/users/%ff/statistics").expect(400).await.code(), "INVALID_PATH");
}

#[tokio::test]
async fn statistics_are_private() {
    let api = Api::guarded().await;
    for path in ["/users/ann/statistics", "/users/ann/statistics/series"] {
        api.get(path).expect(401).await;
        assert_eq!(
            api.get(path).token(&user_token("bob")).expect(403).await.code(),
            "NOT_YOUR_USER"
        );
        api.get(path).token(&user_token("ann")).expect(200).await;
        let service = service_token(&[daybook_server::auth::Scope::Admin]);
        api.get(path).token(&service).expect(200).await;
        let service = service_token(&[daybook_server::auth::Scope::FeedWrite]);
        api.get(path).token(&service).expect(403).await;
    }
}
