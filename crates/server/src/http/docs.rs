//! The OpenAPI document and two ways to read it, neither of which needs the internet.

use super::caller::API_KEY;
use super::error::Error;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tower::util::MapResponseLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, tag::TagBuilder};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;

/// The script is what its version says, so a browser may keep it for ever. Only one thing in it was
/// changed: the address of a logo on another site is empty.
const REDOC_PATH: &str = "/redoc/redoc-2.5.4.standalone.js";
const REDOC_TAG: &str = "\"2.5.4\"";
const REDOC_SCRIPT: &[u8] = include_bytes!("../../assets/redoc/redoc.standalone.js");
const REDOC_PAGE: &str = include_str!("../../assets/redoc/index.html");
/// What the pages need and nothing more; above all, nothing from elsewhere.
const REDOC_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const SWAGGER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

const ABOUT: &str = "The one place where every transaction of a user ends up: recorded once, \
    searchable and counted the moment the answer is sent.\n\n\
    Times are RFC 3339 in UTC with microseconds. Amounts are exact and never go through a binary \
    float. Errors are `application/problem+json` (RFC 9457) with a stable `code`. Every answer \
    carries `X-Request-ID` and `X-Process-Time`.\n\n\
    Where requests are limited, each answer says in `RateLimit`, `RateLimit-Policy` and \
    `X-RateLimit-Limit`, `-Remaining` and `-Reset` how the budget stands that has least left; a \
    request over it is answered with 429 and `Retry-After`.";

/// The document without its calls.
pub fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Daybook")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    let key = "An API key, for those who cannot send it behind `Bearer`.";
    let key = ApiKeyValue::with_description(API_KEY.as_str(), key);
    let tag =
        |name: &str, about: &str| TagBuilder::new().name(name).description(Some(about)).build();
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("bearer", SecurityScheme::Http(bearer))
                .security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key)))
                .response_from::<super::schema::RateLimited>()
                .schema_from::<super::schema::BatchBody>()
                .schema_from::<super::schema::TransferBatchBody>()
                .build(),
        ))
        // A development server lets callers in without a token.
        .security(Some([
            SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []),
            SecurityRequirement::new::<_, [&str; 0], &str>("key", []),
            SecurityRequirement::default(),
        ]))
        .tags(Some([
            tag("feed", "A user's transactions."),
            tag("statistics", "A user's totals."),
            tag("accounts", "What holds money, and its statements."),
            tag("transfers", "Movements of money between accounts."),
            tag("ledger", "The proof that it adds up."),
            tag("access", "Who calls."),
            tag("operations", "How the server is."),
        ]))
        .build()
}

/// The document, Swagger UI and ReDoc.
pub fn pages(openapi: &OpenApi) -> Router<App> {
    let document = openapi.to_json().map(Bytes::from).unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        Bytes::new()
    });
    let document = get(move || {
        let document = document.clone();
        async move { super::answer::json(StatusCode::OK, document) }
    });
    // The badge that Swagger UI shows by default is an image of another site.
    let config = Config::from("/openapi.json").validator_url("none");
    let swagger_policy = MapResponseLayer::new(|mut response: Response| {
        if response.status() == StatusCode::NOT_FOUND {
            return Error::NoRoute.into_response();
        }
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SWAGGER_POLICY);
        response
    });
    Router::new()
        .route("/openapi.json", document.clone())
        .route("/api/v1/openapi.json", document)
        .route("/redoc", get(redoc))
        .route(REDOC_PATH, get(redoc_script))
        .merge(Router::from(SwaggerUi::new("/docs").config(config)).layer(swagger_policy))
}

async fn redoc() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, REDOC_POLICY)], Html(REDOC_PAGE)).into_response()
}

async fn redoc_script(headers: HeaderMap) -> Response {
    let kept = [
        (header::ETAG, HeaderValue::from_static(REDOC_TAG)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == REDOC_TAG) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    let script = HeaderValue::from_static("text/javascript; charset=utf-8");
    (kept, [(header::CONTENT_TYPE, script)], REDOC_SCRIPT).into_response()
}
