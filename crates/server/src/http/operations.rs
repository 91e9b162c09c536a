//! How the server is, for people, load balancers and Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use daybook_core::EventSeq;
use daybook_store::Status;
use serde::Serialize;

use super::answer;
use super::error::Result;
use super::schema::{HealthBody, ReadyBody};
use crate::app::App;

/// A store that does not say how it is within this time is away.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

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

/// Says how the server and each system that it uses are.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "operations", operation_id = "getHealth", security(()),
    responses(
        (status = 200, description = "Healthy.", body = HealthBody),
        (status = 503, description = "The store is away.", body = HealthBody),
    ),
)]
pub async fn health(State(app): State<App>) -> Result<Response> {
    let found = store_answers(&app).await;
    let database = if found.is_some() { Condition::Healthy } else { Condition::Unhealthy };
    let replica = match found.as_ref().and_then(|found| found.replica) {
        None => Condition::Disabled,
        Some(replica) if replica.is_fresh => Condition::Healthy,
        Some(_) => Condition::Degraded,
    };
    let followers = if found.is_some() { followers(&app).await } else { BTreeMap::new() };
    let status = if replica == Condition::Degraded { replica } else { database };
    let mut response = answer::of(&Health {
        status,
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
    if database != Condition::Healthy {
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
        (status = 200, description = "Send requests.", body = ReadyBody),
        (status = 503, description = "The store is away, or the server is stopping.",
         body = ReadyBody),
    ),
)]
pub async fn ready(State(app): State<App>) -> Response {
    if app.is_stopping() {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#);
    }
    if store_answers(&app).await.is_none() {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"store_away"}"#);
    }
    answer::json(StatusCode::OK, r#"{"status":"ready"}"#)
}

/// Counts and durations, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/api/v1/metrics", tag = "operations", operation_id = "getMetrics", security(()),
    responses((status = 200, description = "The metrics.", body = String,
               content_type = "text/plain")),
)]
pub async fn metrics(State(app): State<App>) -> Response {
    if store_answers(&app).await.is_some() {
        followers(&app).await;
    }
    let mut response = answer::json(StatusCode::OK, app.metrics().render());
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// Asks who follows the event log, and takes the answer over into the metrics.
async fn followers(app: &App) -> BTreeMap<String, Following> {
    let asked = tokio::time::timeout(STORE_PATIENCE, app.store().followers());
    let Ok(Ok(found)) = asked.await else { return BTreeMap::new() };
    let newest = app.store().seq();
    let following = |follower: daybook_store::Follower| {
        let lag = follower.lag(newest);
        app.metrics().observe_follower(&follower.name, lag);
        let is_owned = follower.owner.is_some();
        (follower.name, Following { place: follower.place, lag, is_owned })
    };
    found.into_iter().map(following).collect()
}

/// Asks the store how it is, and takes the answer over into the metrics.
async fn store_answers(app: &App) -> Option<Status> {
    match tokio::time::timeout(STORE_PATIENCE, app.store().status()).await {
        Ok(Ok(status)) => {
            app.metrics().observe_store(&status);
            Some(status)
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not say how it is");
            None
        }
        Err(_elapsed) => {
            tracing::warn!("the store takes too long to say how it is");
            None
        }
    }
}
