//! The OpenAPI document and the pages that show it.

use serde_json::Value;

use crate::support::Api;

#[test]
fn the_document_is_pinned() {
    let mut document = daybook_server::http::openapi();
    document.info.version = "of the day".to_owned();
    insta::assert_json_snapshot!("openapi", document);
}

#[test]
fn every_call_has_an_id_and_documents_its_errors() {
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut ids = Vec::new();
    for (path, calls) in document["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            ids.push(call["operationId"].as_str().expect("an id").to_owned());
            let problems = call["responses"]
                .as_object()
                .expect("responses")
                .iter()
                .filter(|(status, _)| status.starts_with(['4', '5']) && *status != "503");
            for (status, problem) in problems {
                let problem = match problem["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
                    Some(pointer) => document.pointer(pointer).expect("a shared answer"),
                    None => problem,
                };
                let content = problem["content"].as_object().expect("a body");
                let known = ["application/problem+json", "application/json"];
                assert!(
                    content.keys().all(|k| known.contains(&k.as_str())),
                    "{method} {path} {status}"
                );
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), count), (41, 41));
}

#[test]
fn every_call_but_the_probes_may_be_answered_with_429() {
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    for (path, calls) in document["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            let is_limited = call["tags"] != serde_json::json!(["operations"]);
            assert_eq!(call["responses"]["429"].is_object(), is_limited, "{method} {path}");
        }
    }
    let headers = &document["components"]["responses"]["RateLimited"]["headers"];
    assert_eq!(headers.as_object().expect("headers").len(), 6);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.push(reference.clone());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn writes_take_a_key_and_reads_a_position() {
    let api = Api::new().await;
    let document = api.get("/openapi.json").expect(200).await.json();
    assert_eq!(document, api.get("^/openapi.json").expect(200).await.json());
    for (path, method, name) in [
        ("/api/v1/transactions", "post", "Idempotency-Key"),
        ("/api/v1/transactions/batch", "post", "Idempotency-Key"),
        ("/api/v1/transactions/{id}", "patch", "If-Match"),
        ("/api/v1/transactions/{id}", "put", "If-Match"),
        ("/api/v1/transactions/{id}", "delete", "If-Match"),
        ("/api/v1/transactions/{id}", "delete", "Idempotency-Key"),
        ("/api/v1/transactions/{id}", "get", "If-None-Match"),
        ("/api/v1/transactions", "get", "X-Min-Commit-Seq"),
        ("/api/v1/transactions", "get", "metadata.<path>"),
        ("/api/v1/accounts", "post", "Idempotency-Key"),
        ("/api/v1/accounts/{id}", "patch", "If-Match"),
        ("/api/v1/accounts/{id}", "get", "at"),
        ("/api/v1/accounts/{id}/entries", "get", "X-Min-Commit-Seq"),
        ("/api/v1/transfers", "post", "Prefer"),
        ("/api/v1/transfers/{id}/post", "post", "Idempotency-Key"),
        ("/api/v1/transfers/{id}/void", "post", "Idempotency-Key"),
        ("/api/v1/transfers/{id}/rollback", "post", "Idempotency-Key"),
        ("/api/v1/users/{user_id}/statistics", "get", "tz"),
        ("/api/v1/users/{user_id}/statistics/series", "get", "group_by"),
    ] {
        let parameters = document["paths"][path][method]["parameters"].as_array().expect("a list");
        assert!(parameters.iter().any(|p| p["name"] == name), "{method} {path} {name}");
    }
}

#[tokio::test]
async fn the_pages_need_no_other_site() {
    let api = Api::new().await;
    let redirect = api.get("^/docs").send().await;
    assert_eq!(redirect.header("location"), Some("/docs/"));
    let mut pages =
        vec![api.get("^/docs/").expect(200).await, api.get("^/redoc").expect(200).await];
    pages.push(api.get("^/docs/swagger-initializer.js").expect(200).await);
    for page in &pages {
        for outside in ["http://", "https://", "src=\"//", "href=\"//"] {
            assert!(!page.text().contains(outside), "{outside} in {}", page.text());
        }
    }
    assert!(pages[2].text().contains("/openapi.json"));
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
        api.get(&format!("^/docs/{file}")).expect(200).await;
    }
}

#[tokio::test]
async fn a_page_that_is_not_there_is_a_problem() {
    let api = Api::new().await;
    for path in ["^/docs/nothing", "^/docs/a/b", "^/docs/nothing.js", "^/redoc/nothing"] {
        let answer = api.get(path).expect(404).await;
        assert_eq!(answer.code(), "NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn the_redoc_script_is_kept_by_the_browser() {
    let api = Api::new().await;
    let page = api.get("^/redoc").expect(200).await.text();
    let path =
        page.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a script");
    let script = api.get(&format!("^{path}")).expect(200).await;
    assert!(script.header("cache-control").is_some_and(|text| text.contains("immutable")));
    assert!(script.body.len() > 500_000);
    let tag = script.header("etag").expect("a tag").to_owned();
    api.get(&format!("^{path}")).header("if-none-match", &tag).expect(304).await;
}
