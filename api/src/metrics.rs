//! `/metrics`: what Prometheus scrapes.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::ApiError;
use crate::context::{Context, Shared};
use crate::dns_providers::FailingDnsProviderOut;
use crate::dns_zones::{ZoneOut, ZoneStatus};
use crate::failing;

/// The media type of what [`encode_registry`] writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    path: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

/// A request that was answered.
pub(crate) struct Handled {
    pub method: Method,
    /// The route; `None` when there was none, so that made-up paths make no new series.
    pub path: Option<String>,
    pub status: StatusCode,
}

/// What is counted of the API's own requests.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let seconds = Histogram::new(exponential_buckets(0.001, 4.0, 8));
        Self { requests: Family::default(), seconds }
    }
}

impl HttpMetrics {
    /// Counts an answer.
    pub fn count(&self, handled: &Handled, took: Duration) {
        let known = matches!(
            handled.method,
            Method::GET
                | Method::HEAD
                | Method::POST
                | Method::PUT
                | Method::PATCH
                | Method::DELETE
        );
        let labels = RequestLabels {
            method: if known { handled.method.to_string() } else { "other".into() },
            path: handled.path.clone().unwrap_or_else(|| "none".into()),
            status: handled.status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Prometheus metrics of this node.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "text/plain"))
)]
pub(crate) async fn scrape(State(context): State<Shared>) -> Result<Response, ApiError> {
    let mut text = String::new();
    encode_registry(&mut text, &context.registry)?;
    encode_registry(&mut text, &of_now(&context))?;
    encode_eof(&mut text)?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

/// The API's own metrics, and gauges of what is so now.
fn of_now(context: &Context) -> Registry {
    let mut registry = Registry::with_prefix("temps");
    let HttpMetrics { requests, seconds } = context.http.clone();
    registry.register("api_requests", "requests answered by the API", requests);
    registry.register("api_request_seconds", "seconds until the API began to answer", seconds);
    let state = context.cluster.state();
    let status = context.cluster.status();
    let healthy = state.replicas.values().filter(|r| r.serving_endpoint().is_some()).count();
    let live = state.environments.values().filter(|environment| environment.current.is_some());
    let wanted: u64 = live.map(|environment| u64::from(state.replicas_wanted(environment))).sum();
    let edge_applied = *context.edge_applied.borrow();
    let zones = ZoneOut::all(context, &state);
    let misdelegated = zones.iter().filter(|zone| zone.status == ZoneStatus::Wrong).count();
    let leads = status.leader == Some(status.node);
    for (name, help, value) in [
        ("raft_term", "the current term", status.term),
        ("raft_last_log_index", "the last index in this node's log", status.last_log),
        ("raft_applied_index", "the last index applied here", state.index),
        ("raft_leader", "1 on the node that leads", u64::from(leads)),
        ("edge_applied_index", "the index this node's edge serves from", edge_applied),
        ("projects", "projects of the cluster", state.projects.len() as u64),
        ("replicas", "replicas of the cluster", state.replicas.len() as u64),
        ("replicas_healthy", "replicas that take traffic", healthy as u64),
        ("replicas_wanted", "replicas that environments ask for", wanted),
        (
            "certificates_failing",
            "names whose certificate cannot be had or renewed, or ends without another one",
            failing::count(&state, Timestamp::now()) as u64,
        ),
        (
            "dns_providers_failing",
            "accounts with DNS providers whose records are not as they should be",
            FailingDnsProviderOut::all(&state).count() as u64,
        ),
        (
            "dns_zones_misdelegated",
            "zones that the zone above does not hand over as it should, as this node saw them last",
            misdelegated as u64,
        ),
        ("uptime_seconds", "seconds since this node started", context.started.elapsed().as_secs()),
    ] {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    registry.register("deployments", "deployments by phase", by_phase(context));
    registry
}

fn by_phase(context: &Context) -> Family<PhaseLabels, Gauge<i64, AtomicI64>> {
    let family = Family::<PhaseLabels, Gauge<i64, AtomicI64>>::default();
    let state = context.cluster.state();
    for deployment in state.deployments.values() {
        family.get_or_create(&PhaseLabels { phase: deployment.phase.name() }).inc();
    }
    family
}
