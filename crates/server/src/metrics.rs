//! What the server counts. Every series is registered before the first request, so that counting
//! one costs an addition. The recorder belongs to one application, not to the process.

use std::collections::HashMap;
use std::time::Duration;

use daybook_core::Timestamp;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// The upper bounds of the duration buckets, in seconds.
const DURATION_BUCKETS_S: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    pub commits: Counter,
    store_queue: Gauge,
    store_bytes: Gauge,
    store_full: Gauge,
    event_seq: Gauge,
    pub attempts: Attempts,
    due: Gauge,
}

/// What became of the attempts of the ledger's worker.
pub(crate) struct Attempts {
    pub complete: Counter,
    pub held: Counter,
    pub retried: Counter,
    pub failed: Counter,
    pub expired: Counter,
}

/// The series of one route.
pub(crate) struct RouteMetrics {
    /// By the first digit of the status, from 1 on.
    requests: [Counter; 5],
    duration: Histogram,
}

/// The series of all routes; what matches none is counted together.
pub(crate) struct Routes {
    known: HashMap<String, RouteMetrics>,
    other: RouteMetrics,
}

impl Metrics {
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Only an empty list is refused, and this one is not.
        let builder = builder.set_buckets(DURATION_BUCKETS_S).unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, describe);
        let (commits, store_queue, store_bytes, event_seq) = with_local_recorder(&recorder, || {
            (
                counter!("daybook_commits_total"),
                gauge!("daybook_store_queue_length"),
                gauge!("daybook_store_bytes"),
                gauge!("daybook_event_seq"),
            )
        });
        let (attempts, due) = with_local_recorder(&recorder, || {
            (Attempts::new(), gauge!("daybook_ledger_due_transfers"))
        });
        let store_full = with_local_recorder(&recorder, || gauge!("daybook_store_full"));
        Self {
            recorder,
            handle,
            commits,
            store_queue,
            store_bytes,
            store_full,
            event_seq,
            attempts,
            due,
        }
    }

    /// Registers the series of every route.
    pub fn routes(&self, paths: impl Iterator<Item = String>) -> Routes {
        with_local_recorder(&self.recorder, || Routes {
            known: paths.map(|path| (path.clone(), RouteMetrics::new(path))).collect(),
            other: RouteMetrics::new("other".to_owned()),
        })
    }

    /// Counts the requests that a budget refused.
    pub fn rate_limited(&self, budget: String) -> Counter {
        with_local_recorder(
            &self.recorder,
            || counter!("daybook_rate_limited_total", "budget" => budget),
        )
    }

    /// Counts the budgets that were forgotten for want of room.
    pub fn budgets_forgotten(&self) -> Counter {
        with_local_recorder(&self.recorder, || counter!("daybook_rate_budgets_forgotten_total"))
    }

    /// Takes over how the store is.
    pub fn observe_store(&self, status: &daybook_store::Status) {
        self.store_queue.set(gauge_value(u64::try_from(status.waiting).unwrap_or(u64::MAX)));
        self.store_bytes.set(gauge_value(status.bytes));
        self.store_full.set(gauge_value(u64::from(status.is_full)));
        self.event_seq.set(gauge_value(u64::try_from(status.seq.0).unwrap_or(0)));
        if let Some(replica) = status.replica {
            with_local_recorder(&self.recorder, || {
                let lag = u64::try_from(status.seq.0 - replica.seq.0).unwrap_or(0);
                gauge!("daybook_replica_lag_events").set(gauge_value(lag));
                gauge!("daybook_replica_fresh").set(if replica.is_fresh { 1.0 } else { 0.0 });
            });
        }
    }

    /// Takes over how many transfers were due when the worker last looked.
    pub fn observe_due(&self, transfers: usize) {
        self.due.set(gauge_value(u64::try_from(transfers).unwrap_or(u64::MAX)));
    }

    /// Takes over how many events a follower of the log has not done yet.
    pub fn observe_follower(&self, name: &str, lag: i64) {
        with_local_recorder(&self.recorder, || {
            let lag = u64::try_from(lag).unwrap_or(0);
            gauge!("daybook_follower_lag_events", "follower" => name.to_owned())
                .set(gauge_value(lag));
        });
    }

    /// Takes over what a look at the ledger found. There is no such series before the first.
    pub fn observe_ledger(&self, differences: usize, at: Timestamp) {
        with_local_recorder(&self.recorder, || {
            let ok = if differences == 0 { 1.0 } else { 0.0 };
            gauge!("daybook_ledger_ok").set(ok);
            let differences = u64::try_from(differences).unwrap_or(u64::MAX);
            gauge!("daybook_ledger_differences").set(gauge_value(differences));
            let seconds = u64::try_from(at.seconds()).unwrap_or(0);
            gauge!("daybook_ledger_verified_timestamp_seconds").set(gauge_value(seconds));
        });
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves what was counted since the last call out of the way; to be called every few seconds.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

/// A gauge's value; exact up to 2^53, which no queue, file or log of ours reaches.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats, and this is no money")]
fn gauge_value(value: u64) -> f64 {
    value as f64
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("daybook_requests_total", "requests answered, by route and status class");
    describe_histogram!("daybook_request_duration_seconds", Unit::Seconds, "time to answer");
    describe_counter!("daybook_commits_total", "submissions that the store decided");
    describe_counter!("daybook_rate_limited_total", "requests over a rate limit, by budget");
    describe_counter!(
        "daybook_rate_budgets_forgotten_total",
        "budgets forgotten before they were full; see `rate.budgets`"
    );
    describe_gauge!("daybook_store_queue_length", "submissions that wait to be committed");
    describe_gauge!("daybook_store_bytes", Unit::Bytes, "bytes on disk");
    describe_gauge!("daybook_store_full", "1 while the disk is full and writes are refused");
    describe_gauge!("daybook_event_seq", "the newest event");
    describe_gauge!("daybook_replica_lag_events", "events that the replica does not have yet");
    describe_gauge!("daybook_replica_fresh", "1 while the replica keeps up and may answer, else 0");
    describe_gauge!("daybook_follower_lag_events", "events that a follower has not done yet");
    describe_counter!("daybook_ledger_attempts_total", "attempts of the worker, by outcome");
    describe_gauge!("daybook_ledger_due_transfers", "transfers due when the worker last looked");
    describe_gauge!("daybook_ledger_ok", "1 when the last look found no difference, else 0");
    describe_gauge!("daybook_ledger_differences", "differences that the last look found");
    describe_gauge!(
        "daybook_ledger_verified_timestamp_seconds",
        Unit::Seconds,
        "when the ledger was last looked at, since 1970"
    );
}

impl Attempts {
    fn new() -> Self {
        let counter =
            |outcome: &'static str| counter!("daybook_ledger_attempts_total", "outcome" => outcome);
        Self {
            complete: counter("complete"),
            held: counter("held"),
            retried: counter("retried"),
            failed: counter("failed"),
            expired: counter("expired"),
        }
    }
}

impl RouteMetrics {
    fn new(route: String) -> Self {
        let class = |status: &'static str| {
            let route = route.clone();
            counter!("daybook_requests_total", "route" => route, "status" => status)
        };
        Self {
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class),
            duration: histogram!("daybook_request_duration_seconds", "route" => route.clone()),
        }
    }

    pub fn count(&self, status: http::StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(requests) = self.requests.get(class) {
            requests.increment(1);
        }
        self.duration.record(duration.as_secs_f64());
    }
}

impl Routes {
    pub fn get(&self, route: Option<&str>) -> &RouteMetrics {
        route.and_then(|route| self.known.get(route)).unwrap_or(&self.other)
    }
}
