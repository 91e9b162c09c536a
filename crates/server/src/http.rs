//! Every route on one page, and the one stack of middleware around them.

mod accounts;
pub mod address;
mod answer;
mod auth;
mod batch;
mod books;
mod browser;
pub(crate) mod budget;
pub mod caller;
mod changes;
mod checkpoint;
mod coding;
mod docs;
pub mod error;
mod keyring;
mod keys;
mod ledger;
mod limit;
mod observe;
mod operations;
mod request;
mod schema;
mod statistics;
mod transactions;
mod transfers;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tower::ServiceBuilder;
use tower::util::{MapResponseLayer, option_layer};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) use browser::is_this_machine;
pub use browser::{Names, Origins};
pub use wire::Entrance;
pub(crate) use wire::{HEAD_BYTES_MAX, OnWire, explain};

/// Answers smaller than this are sent as they are: they fit in one packet anyway.
const COMPRESSED_BYTES_MIN: u64 = 1_024;

/// The calls that are documented.
fn calls() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::base())
        .routes(routes!(transactions::create, transactions::list))
        .routes(routes!(batch::create))
        .routes(routes!(changes::sync))
        .routes(routes!(
            transactions::get,
            transactions::patch,
            transactions::put,
            transactions::delete
        ))
        .routes(routes!(changes::history))
        .routes(routes!(statistics::statistics))
        .routes(routes!(statistics::series))
        .routes(routes!(accounts::create, accounts::list))
        .routes(routes!(accounts::get, accounts::patch))
        .routes(routes!(accounts::entries))
        .routes(routes!(transfers::create, transfers::list))
        .routes(routes!(transfers::create_batch))
        .routes(routes!(transfers::get))
        .routes(routes!(transfers::post))
        .routes(routes!(transfers::void))
        .routes(routes!(transfers::roll_back))
        .routes(routes!(ledger::verify))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::get, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(checkpoint::get))
        .routes(routes!(keyring::get))
        .routes(routes!(keyring::rotate))
        .routes(routes!(keyring::rewrap))
        .routes(routes!(keyring::shred))
        .routes(routes!(auth::token))
        .routes(routes!(auth::me))
        .routes(routes!(operations::index))
        .routes(routes!(operations::health))
        .routes(routes!(operations::live))
        .routes(routes!(operations::ready))
        .routes(routes!(operations::metrics))
}

/// The OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    calls().into_openapi()
}

/// Everything that the server answers.
pub fn router(app: App) -> Entrance {
    Entrance(router_with(app, Router::new()))
}

/// The same with more routes, for tests of what surrounds every route.
pub(crate) fn router_with(app: App, more: Router<App>) -> Router {
    let (calls, openapi) = calls().split_for_parts();
    let operations = ["/health", "/livez", "/readyz", "/metrics"];
    let paths = openapi.paths.paths.keys().cloned();
    let paths = paths.chain(operations.map(str::to_owned));
    let routes = Arc::new(app.metrics().routes(paths));
    let observe = observe::Observe { app: app.clone(), routes };
    let compressed = SizeAbove::new(COMPRESSED_BYTES_MIN).and(NotForContentType::IMAGES);
    let compression =
        CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(compressed);
    let around = ServiceBuilder::new()
        .layer(MapResponseLayer::new(browser::tell))
        .layer(option_layer(browser::cors(&app)))
        .layer(compression)
        .layer(observe);
    calls
        .route("/health", get(operations::health))
        .route("/livez", get(operations::live))
        .route("/readyz", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .merge(docs::pages(&openapi))
        .merge(more)
        .fallback(|| async { error::Error::NoRoute })
        .layer(around)
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_blank_500_with_the_requests_id() {
        async fn panics() {
            panic!("a secret reason");
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = daybook_store::open(&url, Default::default()).await.expect("a new store");
        let app = App::new(store, crate::app::Settings::default()).expect("an app");
        let router = router_with(app, Router::new().route("/panics", get(panics)));
        let request = Request::get("/panics").header("x-request-id", "r1").body(Body::empty());
        let response = router.oneshot(request.expect("a request")).await.expect("infallible");
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key("x-process-time"));
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(
            text.contains("\"request_id\":\"r1\"") && text.contains("INTERNAL_ERROR"),
            "{text}"
        );
        assert!(!text.contains("secret"));
    }
}
