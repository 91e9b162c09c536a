//! What browsers are told, and whose pages may ask.

use axum::http::HeaderValue;
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::Trust;
use daybook_server::http::{Names, Origins};

use crate::support::{Answer, Api, Call, SECRET, card, user_token};

const LOCKED: &str = "default-src 'none'; frame-ancestors 'none'";

fn listed(origins: &[&'static str]) -> Origins {
    Origins::Listed(origins.iter().map(|origin| HeaderValue::from_static(origin)).collect())
}

async fn guarded(origins: Origins) -> Api {
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    Api::with(Settings { auth, origins, ..Settings::default() }).await
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let api = Api::new().await;
    let id = api.record(card()).await["id"].as_str().expect("an id").to_owned();
    let item = format!("/transactions/{id}");
    let check = |answer: &Answer, path: &str| {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        for name in ["server", "strict-transport-security", "access-control-allow-origin"] {
            assert_eq!(answer.header(name), None, "{path}: {name}");
        }
    };
    for (path, status) in [
        ("/transactions?user_id=ann", 200),
        (item.as_str(), 200),
        ("/transactions/1", 400),
        ("/nothing", 404),
        ("^/", 200),
        ("^/health", 200),
        ("^/metrics", 200),
        ("^/openapi.json", 200),
    ] {
        let answer = api.get(path).send().await;
        assert_eq!(answer.status, status, "{path}");
        check(&answer, path);
        assert_eq!(answer.header("content-security-policy"), Some(LOCKED), "{path}");
    }
    let answer = api.call("PUT", "/transactions").expect(405).await;
    check(&answer, "a method that is not known");
    // Whoever keeps a copy all the same may ask whether it is the newest.
    let tag = api.get(&item).expect(200).await.header("etag").expect("a tag").to_owned();
    let answer = api.get(&item).header("if-none-match", &tag).send().await;
    assert_eq!(answer.status, 304);
    check(&answer, "a copy that is new enough");
}

#[tokio::test]
async fn pages_of_documentation_may_load_their_own_and_nothing_else() {
    let api = Api::new().await;
    for path in ["^/docs", "^/docs/", "^/docs/swagger-ui-bundle.js", "^/redoc"] {
        let answer = api.get(path).send().await;
        let policy = answer.header("content-security-policy").expect(path);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("connect-src 'self'") && !policy.contains('*'), "{path}: {policy}");
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let script = api.get("^/redoc/redoc-2.5.4.standalone.js").send().await;
    let kept = script.header("cache-control").expect("a rule");
    assert!(kept.contains("immutable"), "what says for itself how long it is good: {kept}");
}

#[tokio::test]
async fn without_configuration_no_other_page_reads_an_answer() {
    let api = guarded(listed(&[])).await;
    let preflight = api
        .call("OPTIONS", "/transactions")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let answer = preflight.expect(405).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let token = user_token("ann");
    let call = api.get("/transactions").token(&token).header("origin", "https://evil.example");
    // With a secret the token decides; the browser keeps the answer from the page.
    assert_eq!(call.expect(200).await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn listed_origins_may_call_and_read() {
    let api = guarded(listed(&["https://app.example", "http://localhost:3000"])).await;
    let preflight = |origin: &str| {
        api.call("OPTIONS", "/transactions/01900000-0000-7000-8000-000000000000")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,idempotency-key,if-match")
    };
    let answer = preflight("https://app.example").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET,HEAD,POST,PUT,PATCH,DELETE")
    );
    let allowed = answer.header("access-control-allow-headers").expect("headers");
    for name in ["authorization", "content-type", "idempotency-key", "if-match", "prefer"] {
        assert!(allowed.split(',').any(|found| found == name), "{name}: {allowed}");
    }
    assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")));
    for foreign in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let answer = preflight(foreign).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{foreign}");
    }
    let token = user_token("ann");
    let ask = |path: &str| api.get(path).token(&token).header("origin", "http://localhost:3000");
    for (path, status) in [("/transactions", 200), ("/transactions/1", 400), ("/nothing", 404)] {
        let answer = ask(path).expect(status).await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("http://localhost:3000"), "{path}");
        let exposed = answer.header("access-control-expose-headers").expect("headers");
        for name in [
            "x-request-id",
            "x-commit-seq",
            "etag",
            "location",
            "retry-after",
            "ratelimit",
            "ratelimit-policy",
            "x-ratelimit-remaining",
            "idempotent-replayed",
        ] {
            assert!(exposed.split(',').any(|found| found == name), "{name}: {exposed}");
        }
    }
}

#[tokio::test]
async fn all_origins_may_call_with_a_token_when_so_configured() {
    let api = guarded(Origins::Any).await;
    let ask = || api.get("/transactions").header("origin", "https://any.example");
    let answer = ask().token(&user_token("ann")).expect(200).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(ask().expect(401).await.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn a_foreign_page_does_nothing_on_an_open_server() {
    let api = Api::new().await;
    let body = card().to_string();
    for origin in [
        "https://evil.example",
        "http://192.168.0.7:3000",
        "http://0.0.0.0:8000",
        "null",
        "file://",
        "http://localhost:8000.evil.example",
        "http://localhost.evil.example:8000",
        "",
    ] {
        // A simple request, which browsers send without asking before.
        let write = api.call("POST", "/transactions").header("content-type", "text/plain");
        let write = write.body(body.clone());
        let answer = write.header("host", "localhost:8000").header("origin", origin).expect(403);
        assert_eq!(answer.await.code(), "FOREIGN_ORIGIN", "{origin}");
        let read = api.get("/transactions?user_id=ann").header("host", "localhost:8000");
        let answer = read.header("origin", origin).expect(403).await;
        assert_eq!(answer.code(), "FOREIGN_ORIGIN", "{origin}");
    }
    let embedded = api.get("/ledger/verify").header("host", "localhost:8000");
    let embedded = embedded.header("sec-fetch-site", "cross-site");
    let answer = embedded.header("sec-fetch-mode", "no-cors").expect(403).await;
    assert_eq!(answer.code(), "FOREIGN_ORIGIN");
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 0);

    write(&api, "http://localhost:8000").expect(201).await;
    write(&api, "http://LocalHost:8000").expect(201).await;
    let link = api.get("^/docs/").header("host", "localhost:8000");
    let link = link.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    link.expect(200).await;
}

fn write<'a>(api: &'a Api, origin: &str) -> Call<'a> {
    let call = api.post("/transactions", card().to_string()).header("host", "localhost:8000");
    call.header("origin", origin)
}

#[tokio::test]
async fn an_open_server_lets_in_the_pages_of_this_machine() {
    let api = Api::new().await;
    for origin in
        ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8080", "https://localhost"]
    {
        let answer = write(&api, origin).expect(201).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{origin}");
        let preflight = api
            .call("OPTIONS", "/transactions")
            .header("host", "localhost:8000")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,idempotency-key");
        let answer = preflight.expect(200).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{origin}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{origin}");
    }
    // Who is no page is spared what pages are told.
    let answer = api.post("/transactions", card().to_string()).expect(201).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    // A page of another origin is told nothing, and a name that was made to point here is refused
    // whatever page asks.
    let answer = write(&api, "https://evil.example").expect(403).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let rebound = api.post("/transactions", card().to_string()).header("host", "evil.example:8000");
    let answer = rebound.header("origin", "http://localhost:3000").expect(403).await;
    assert_eq!(answer.code(), "FOREIGN_HOST");
    // With a secret the pages of this machine are as foreign as all others.
    let api = guarded(listed(&[])).await;
    let call = api.get("/transactions").token(&user_token("ann"));
    let answer = call.header("origin", "http://localhost:3000").expect(200).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn an_open_server_lets_listed_pages_in_but_never_all() {
    let app = "http://app.example:3000";
    let listed = Settings { origins: listed(&[app]), ..Settings::default() };
    let api = Api::with(listed).await;
    let answer = write(&api, app).expect(201).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(app));
    write(&api, "https://evil.example").expect(403).await;
    let api = Api::with(Settings { origins: Origins::Any, ..Settings::default() }).await;
    write(&api, app).expect(403).await;
}

#[tokio::test]
async fn an_open_server_answers_to_names_of_this_machine_only() {
    let api = Api::new().await;
    let ask = |host| api.get("/transactions?user_id=ann").header("host", host);
    for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "daybook.localhost"] {
        ask(host).expect(200).await;
    }
    for host in ["evil.example:8000", "10.0.0.1:8000", "localhost.evil.example", ""] {
        let answer = ask(host).expect(403).await;
        assert_eq!(answer.code(), "FOREIGN_HOST", "{host}");
    }
    // As HTTP/2 and proxies name the host.
    let answer = api.get("^http://evil.example/api/v1/transactions?user_id=ann").expect(403).await;
    assert_eq!(answer.code(), "FOREIGN_HOST");
    // Whoever opens it to the network without a secret has said so, and has a secret otherwise.
    let open = Api::with(Settings { names: Names::Any, ..Settings::default() }).await;
    open.get("/transactions?user_id=ann").header("host", "books.example").expect(200).await;
    let guarded = guarded(Origins::Listed(Vec::new())).await;
    let call = guarded.get("/transactions").header("host", "books.example");
    call.token(&user_token("ann")).expect(200).await;
}

/// A proxy on this machine asks by a name of this machine, for whoever reaches the proxy.
#[tokio::test]
async fn a_development_server_is_not_for_those_behind_a_proxy() {
    let api = Api::new().await;
    for name in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
        let call = api.get("/transactions?user_id=ann").header(name, "192.0.2.1");
        assert_eq!(call.expect(403).await.json()["code"], "PASSED_ON", "{name}");
    }
    // With tokens it does not matter who passes requests on.
    let api = guarded(listed(&[])).await;
    let token = user_token("ann");
    api.get("/transactions").token(&token).header("via", "1.1 a").expect(200).await;
}
