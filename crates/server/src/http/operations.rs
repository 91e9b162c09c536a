//! How the server is, for people, load balancers and Prometheus.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use daybook_core::EventSeq;
use daybook_store::Follower;
use serde::Serialize;

use super::answer;
use super::error::Result;
use super::request::Params;
use super::schema::{HealthBody, HealthParams, IndexBody, ReadyBody};
use crate::app::App;

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Healthy,
    Degraded,
    Unhealthy,
    Disabled,
}

#[derive(Serialize)]
struct Health {
    status: Condition,
    /// Why it is not healthy, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    version: &'static str,
    database: Condition,
    replica: Condition,
    redis: Condition,
    elasticsearch: Condition,
    kafka: Condition,
    rabbitmq: Condition,
    breakers: BTreeMap<&'static str, &'static str>,
    followers: BTreeMap<String, Following>,
}

#[derive(Serialize)]
struct Following {
    /// The newest event that is done.
    place: EventSeq,
    /// Events that are not done yet.
    lag: i64,
    /// Whether somebody follows by this name now.
    is_owned: bool,
}

/// The whole answer as checks of the replaced feed know it: these members, and of each that it is healthy
/// or is not.
#[derive(Serialize)]
struct CompatibleHealth {
    status: Condition,
    database: Condition,
    redis: Condition,
    elasticsearch: Condition,
    kafka: Condition,
}

impl CompatibleHealth {
    /// What is not configured is in nobody's way, so it counts as healthy.
    fn of(database: Condition) -> Self {
        let database = match database {
            Condition::Healthy | Condition::Disabled => Condition::Healthy,
            Condition::Degraded | Condition::Unhealthy => Condition::Unhealthy,
        };
        let none = Condition::Healthy;
        Self { status: database, database, redis: none, elasticsearch: none, kafka: none }
    }
}

/// A full disk refuses writes; reads go on.
const FULL: &str = "The disk is full: reads go on, writes are refused until there is space.";

#[derive(Serialize)]
struct Index {
    message: &'static str,
    version: &'static str,
    docs: &'static str,
}

/// Says what this is and where its documentation is.
#[utoipa::path(
    get, path = "/", tag = "operations", operation_id = "getIndex", security(()),
    responses((status = 200, description = "What this is.", body = IndexBody)),
)]
pub async fn index() -> Result<Response> {
    answer::of(&Index { message: "Daybook", version: env!("CARGO_PKG_VERSION"), docs: "/docs" })
}

/// Says how the server and each system that it uses are.
///
/// With `compat=1` the answer is the one that checks of the feed before Daybook know: five members, each
/// `healthy` or `unhealthy`, and always 200.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "operations", operation_id = "getHealth", security(()),
    params(HealthParams),
    responses(
        (status = 200, description = "Healthy, or degraded: reads are answered.", body = HealthBody),
        (status = 503, description = "The store is away.", body = HealthBody),
    ),
)]
pub async fn health(State(app): State<App>, params: Params) -> Result<Response> {
    let found = app.pulse().take(&app).await;
    let is_full = found.status.as_ref().is_some_and(|found| found.is_full);
    let database = match &found.status {
        None => Condition::Unhealthy,
        Some(_) if is_full => Condition::Degraded,
        Some(_) => Condition::Healthy,
    };
    // Probes add parameters of their own, so others are passed over here.
    if params.all("compat").any(|value| matches!(value, "1" | "true")) {
        return answer::of(&CompatibleHealth::of(database));
    }
    let replica = match found.status.as_ref().and_then(|found| found.replica) {
        None => Condition::Disabled,
        Some(replica) if replica.is_fresh => Condition::Healthy,
        Some(_) => Condition::Degraded,
    };
    let newest = app.store().seq();
    let following = |follower: &Follower| Following {
        place: follower.place,
        lag: follower.lag(newest),
        is_owned: follower.owner.is_some(),
    };
    let followers = found.followers.iter();
    let followers = followers.map(|found| (found.name.clone(), following(found))).collect();
    let status = match (database, replica) {
        (Condition::Healthy, Condition::Degraded) => replica,
        _ => database,
    };
    let mut response = answer::of(&Health {
        status,
        reason: is_full.then_some(FULL),
        version: env!("CARGO_PKG_VERSION"),
        database,
        replica,
        redis: Condition::Disabled,
        elasticsearch: Condition::Disabled,
        kafka: Condition::Disabled,
        rabbitmq: Condition::Disabled,
        breakers: BTreeMap::new(),
        followers,
    })?;
    if database == Condition::Unhealthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// Says that the process runs.
#[utoipa::path(
    get, path = "/api/v1/livez", tag = "operations", operation_id = "getLive", security(()),
    responses((status = 200, description = "It runs.", body = ReadyBody)),
)]
pub async fn live() -> Response {
    answer::json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Says whether requests should be sent here.
#[utoipa::path(
    get, path = "/api/v1/readyz", tag = "operations", operation_id = "getReady", security(()),
    responses(
        (status = 200, description = "Send requests. `read_only` says that the disk is full, so that \
         writes are refused.", body = ReadyBody),
        (status = 503, description = "The store is away, or the server is stopping.",
         body = ReadyBody),
    ),
)]
pub async fn ready(State(app): State<App>) -> Response {
    if app.is_stopping() {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#);
    }
    match &app.pulse().take(&app).await.status {
        None => answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"store_away"}"#),
        // Whoever took it out of service would lose the reads too, and find no other disk behind it.
        Some(status) if status.is_full => answer::json(StatusCode::OK, r#"{"status":"read_only"}"#),
        Some(_) => answer::json(StatusCode::OK, r#"{"status":"ready"}"#),
    }
}

/// Counts and durations, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/api/v1/metrics", tag = "operations", operation_id = "getMetrics", security(()),
    responses((status = 200, description = "The metrics.", body = String,
               content_type = "text/plain")),
)]
pub async fn metrics(State(app): State<App>) -> Response {
    app.pulse().take(&app).await;
    let mut response = answer::json(StatusCode::OK, app.metrics().render());
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
