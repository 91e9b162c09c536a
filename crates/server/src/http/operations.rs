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
use super::schema::{HealthBody, ReadyBody};
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
    let found = app.pulse().take(&app).await;
    let database = if found.status.is_some() { Condition::Healthy } else { Condition::Unhealthy };
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
    if app.pulse().take(&app).await.status.is_none() {
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
    app.pulse().take(&app).await;
    let mut response = answer::json(StatusCode::OK, app.metrics().render());
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
