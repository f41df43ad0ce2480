//! What the edge counts, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::guard::{Hindrance, Verdict};

/// The edge's counters. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    requests: Family<Class, Counter>,
    /// Requests answered by the first digit of their status; looked up once, as the family has a lock.
    answered: [Counter; CLASSES.len()],
    hindered: Family<Why, Counter>,
    /// Requests that the checks kept from going on, by [`Hindrance::ALL`]; looked up once for the same reason.
    kept: [Counter; Hindrance::ALL.len()],
    /// Requests being answered.
    pub(crate) in_flight: Gauge,
    /// Octets of request bodies.
    pub(crate) received_bytes: Counter,
    /// Octets of answers' bodies.
    pub(crate) sent_bytes: Counter,
    /// Attempts on replicas that failed.
    pub(crate) upstream_errors: Counter,
    /// Attempts that were repeated.
    pub(crate) upstream_retries: Counter,
    /// Connections accepted.
    pub(crate) connections: Counter,
    /// Connections refused because too many were open.
    pub(crate) connections_refused: Counter,
    /// Connections that rested and were closed to make room for others.
    pub(crate) connections_displaced: Counter,
    /// TLS handshakes refused because there is no certificate for the name.
    pub(crate) handshakes_refused: Counter,
    /// Connections open now.
    pub(crate) connections_open: Gauge,
    /// Whether HTTP/3 is taken: 1 or 0.
    pub(crate) http3_listens: Gauge,
    /// Access log entries lost because the log was too slow.
    pub(crate) access_log_dropped: Counter,
}

/// The classes of statuses by their first digit; 0 is a client that left before its answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

impl Metrics {
    /// Counters at zero.
    pub(crate) fn new() -> Self {
        let requests = Family::<Class, Counter>::default();
        let answered = CLASSES.map(|status| requests.get_or_create(&Class { status }).clone());
        let hindered = Family::<Why, Counter>::default();
        let kept = Hindrance::ALL
            .map(|hindrance| hindered.get_or_create(&Why { reason: hindrance.word() }).clone());
        Self { requests, answered, hindered, kept, ..Self::default() }
    }

    /// Shows the counters in a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self {
            requests,
            answered: _,
            hindered,
            kept: _,
            in_flight,
            received_bytes,
            sent_bytes,
            upstream_errors,
            upstream_retries,
            connections,
            connections_refused,
            connections_displaced,
            handshakes_refused,
            connections_open,
            http3_listens,
            access_log_dropped,
        } = self.clone();
        let edge = registry.sub_registry_with_prefix("temps_edge");
        edge.register("requests", "Requests answered, by class of status", requests);
        edge.register("requests_hindered", "Requests that checks kept from apps", hindered);
        edge.register("requests_in_flight", "Requests being answered", in_flight);
        edge.register("received_bytes", "Octets of request bodies", received_bytes);
        edge.register("sent_bytes", "Octets of answers' bodies", sent_bytes);
        edge.register("upstream_errors", "Failed attempts on replicas", upstream_errors);
        edge.register("upstream_retries", "Repeated attempts on replicas", upstream_retries);
        edge.register("connections", "Connections accepted", connections);
        edge.register("connections_refused", "Connections over the limit", connections_refused);
        edge.register(
            "connections_displaced",
            "Idle connections closed to make room for others",
            connections_displaced,
        );
        edge.register(
            "handshakes_refused",
            "TLS handshakes refused for want of a certificate",
            handshakes_refused,
        );
        edge.register("connections_open", "Connections open", connections_open);
        edge.register("http3_listens", "Whether HTTP/3 is taken", http3_listens);
        edge.register("access_log_dropped", "Access log entries lost", access_log_dropped);
    }

    /// Counts a request that the checks keep from going on.
    pub(crate) fn judged(&self, verdict: &Verdict) {
        let counter = verdict.hindrance().and_then(|hindrance| self.kept.get(hindrance as usize));
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    /// Counts an answered request; status 0 is a client that left.
    pub(crate) fn answered(&self, status: u16) {
        if let Some(counter) = self.answered.get(usize::from(status / 100)) {
            counter.inc();
        }
    }
}
