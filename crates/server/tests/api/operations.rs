//! `/health`, `/livez`, `/readyz` and `/metrics`.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn health_names_every_system() {
    let api = Api::guarded().await;
    for path in ["/health", "^/health"] {
        let health = api.get(path).expect(200).await.json();
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["database"], "healthy");
        for system in ["redis", "elasticsearch", "kafka", "rabbitmq"] {
            assert_eq!(health[system], "disabled");
        }
        assert_eq!((&health["breakers"], &health["followers"]), (&json!({}), &json!({})));
    }
}

#[tokio::test]
async fn old_checks_find_what_they_know() {
    let api = Api::guarded().await;
    for path in ["/health?compat=1", "^/health?compat=true&nocache=7"] {
        let health = api.get(path).expect(200).await.json();
        let whole = json!({"status": "healthy", "database": "healthy", "redis": "healthy",
                           "elasticsearch": "healthy", "kafka": "healthy"});
        assert_eq!(health, whole, "{path}");
    }
    for path in ["/health?compat=0", "/health?compat=", "/health?nocache=7"] {
        assert_eq!(api.get(path).expect(200).await.json()["redis"], "disabled", "{path}");
    }
    let api = Api::guarded().await;
    api.app.store().close().await;
    let health = api.get("/health?compat=1").expect(200).await.json();
    let (status, database) = (&health["status"], &health["database"]);
    assert_eq!((status, database), (&json!("unhealthy"), &json!("unhealthy")));
    assert_eq!(
        (&health["redis"], health.as_object().expect("members").len()),
        (&json!("healthy"), 5)
    );
}

#[tokio::test]
async fn a_server_without_its_store_says_so_and_lives() {
    let api = Api::new().await;
    api.app.store().close().await;
    let health = api.get("/health").expect(503).await.json();
    assert_eq!(
        (&health["status"], &health["database"]),
        (&json!("unhealthy"), &json!("unhealthy"))
    );
    api.get("/readyz").expect(503).await;
    api.get("/livez").expect(200).await;
    api.get("/metrics").expect(200).await;
    let body = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;
    let answer = api.post("/transactions", body).expect(503).await;
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn probes_answer_at_the_root_too() {
    let api = Api::new().await;
    for path in ["/livez", "^/livez", "/readyz", "^/readyz"] {
        api.get(path).expect(200).await;
    }
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let api = Api::new().await;
    let body = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;
    api.post("/transactions", body).expect(201).await;
    api.get("/transactions?user_id=ann").expect(200).await;
    api.get("/transactions").expect(400).await;
    api.get("/nowhere").expect(404).await;
    for path in ["/metrics", "^/metrics"] {
        let answer = api.get(path).expect(200).await;
        assert!(answer.header("content-type").is_some_and(|t| t.starts_with("text/plain")));
        let text = answer.text();
        let route = r#"daybook_requests_total{route="/api/v1/transactions",status="#;
        for line in [
            format!("{route}\"2xx\"}} 2"),
            format!("{route}\"4xx\"}} 1"),
            r#"daybook_requests_total{route="other",status="4xx"} 1"#.to_owned(),
            "daybook_commits_total 1".to_owned(),
            "daybook_event_seq 1".to_owned(),
            "daybook_store_queue_length 0".to_owned(),
            r#"daybook_request_duration_seconds_count{route="/api/v1/transactions"} 3"#.to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("daybook_store_bytes "));
    }
}
