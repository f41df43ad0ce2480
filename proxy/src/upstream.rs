//! Which endpoint answers a request, and what to try when it does not.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use temps_state::EnvironmentId;
use tokio::time::{Instant, timeout_at};

use crate::answer_window::AnswerWindow;
use crate::choice::choose;
use crate::connector::{Place, Upgradable};
use crate::endpoint::{Endpoint, next_serial};
use crate::error_page::Fault;
use crate::limits::{
    CONNECT_MAX, KEEPALIVE, Limits, REACH_MAX, RETRY_PAUSE, SWITCH_WAIT_MAX, UPGRADED_IDLE_MAX,
    UPSTREAM_IDLE_MAX,
};
use crate::live_table::LiveTable;
use crate::request::Attempts;
use crate::request_count::{RequestCount, RequestShare};
use crate::route::Target;

/// The endpoints of one environment.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// All of them.
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    turn: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { endpoints, turn: 0.into() }
    }

    /// The best endpoint of those that have not `refused` this request; equals take turns.
    pub(crate) fn choose(&self, refused: &[Place]) -> Option<&Arc<Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.endpoints.len();
        let candidates = (0..count)
            .map(|step| &self.endpoints[turn.wrapping_add(step) % count])
            .filter(|endpoint| !refused.contains(&endpoint.line.place))
            .map(|endpoint| (endpoint.candidate(), endpoint));
        choose(candidates)
    }
}

/// How a request is spoken to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1, which every app understands.
    Http1,
    /// HTTP/1.1 that turns into another protocol.
    Upgrade,
    /// HTTP/2 from the first octet, for gRPC: its trailers have no place in HTTP/1.1 as apps speak it.
    Http2,
}

/// A request's place at an endpoint; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    endpoint: Arc<Endpoint>,
    /// What the app may send ahead, where it is spoken to by HTTP/2.
    window: Option<AnswerWindow>,
    /// What the request takes of its client's share of other nodes.
    share: Option<RequestShare>,
}

impl Lease {
    fn take(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.begin();
        Self { endpoint: endpoint.clone(), window: None, share: None }
    }

    /// The same, unless this client has too many at other nodes.
    pub(crate) fn counted(
        mut self,
        requests: &Arc<RequestCount>,
        client: IpAddr,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        if !self.endpoint.line.is_local() {
            self.share = Some(requests.take_remote(client, limits)?);
        }
        Ok(self)
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The endpoint in Pingora's terms. A `fresh` connection is one that no other request used.
    pub(crate) fn peer(&mut self, limits: &Limits, speech: Speech, fresh: bool) -> HttpPeer {
        let line = &self.endpoint.line;
        let window = (speech == Speech::Http2).then(AnswerWindow::take);
        let mut peer = HttpPeer::new(line.place.addr, false, String::new());
        // Streams to other nodes, and those that may turn into another protocol, show Pingora no descriptor, by which
        // its pool tells connections apart, so they are never pooled: each has a group of its own and no time to idle.
        let upgrade = speech == Speech::Upgrade;
        let pooled = line.is_local() && !upgrade;
        let serial = self.endpoint.serial;
        peer.group_key = match &window {
            _ if fresh || !pooled => next_serial(),
            Some(window) => window.group_of(serial),
            None => serial,
        };
        let idle = if pooled { UPSTREAM_IDLE_MAX } else { Duration::ZERO };
        let connect = if line.is_local() { CONNECT_MAX } else { REACH_MAX };
        let patience = match speech {
            Speech::Http1 => limits.upstream_read_max,
            Speech::Upgrade | Speech::Http2 => UPGRADED_IDLE_MAX,
        };
        let options = &mut peer.options;
        options.custom_l4 =
            Some(if upgrade { Arc::new(Upgradable(line.clone())) } else { line.clone() });
        options.total_connection_timeout = Some(connect);
        options.read_timeout = Some(patience);
        options.write_timeout = Some(limits.upstream_read_max);
        options.idle_timeout = Some(idle);
        options.tcp_keepalive = (speech != Speech::Http1).then_some(KEEPALIVE);
        if let Some(window) = &window {
            options.set_http_version(2, 2);
            options.h2_stream_window_size = Some(window.octets());
            // A connection has one stream at a time.
            options.h2_connection_window_size = Some(window.octets());
        }
        self.window = window;
        peer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.end();
    }
}

/// Finds an endpoint of an environment for a request. Where none is left, waits for the route to change, as it does when an app
/// is switched to another version or its container starts again, and asks those that refused once more.
pub(crate) async fn next_endpoint(
    table: &LiveTable,
    environment: EnvironmentId,
    attempts: &mut Attempts,
) -> Result<Lease, Fault> {
    if let Some(lease) = lease_of(table, environment, &attempts.refused)? {
        return Ok(lease);
    }
    let mut changes = table.changes();
    loop {
        // Before looking again, so that no change is missed.
        changes.mark_unchanged();
        if let Some(lease) = lease_of(table, environment, &attempts.refused)? {
            return Ok(lease);
        }
        let now = Instant::now();
        let deadline = *attempts.deadline.get_or_insert(now + SWITCH_WAIT_MAX);
        if deadline <= now {
            return Err(attempts.fault());
        }
        if timeout_at(deadline.min(now + RETRY_PAUSE), changes.changed()).await.is_err()
            && now + RETRY_PAUSE < deadline
        {
            attempts.refused.clear();
        }
    }
}

fn lease_of(
    table: &LiveTable,
    environment: EnvironmentId,
    refused: &[Place],
) -> Result<Option<Lease>, Fault> {
    let routes = table.load();
    let route = routes.route_of(environment).ok_or(Fault::UnknownHost)?;
    match &route.target {
        _ if route.disabled => Err(Fault::Disabled),
        Target::Replicas(pool) => Ok(pool.choose(refused).map(Lease::take)),
        Target::Static { .. } => Ok(None),
        Target::Nothing => Err(Fault::NothingDeployed),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use temps_state::{Id, NodeId, ReplicaId};

    use super::*;
    use crate::connector::{Connector, Line};
    use crate::reach::Nowhere;

    /// Endpoints on these nodes, all at the same address, seen from node 1.
    fn pool(nodes: &[u64]) -> Pool {
        let connector = Arc::new(Connector { node: NodeId(1), reach: Arc::new(Nowhere) });
        let endpoint = |(n, node): (u128, &u64)| {
            let addr = SocketAddr::from(([10, 0, 0, 1], 80));
            let place = Place { node: NodeId(*node), addr };
            let line = Line::new(connector.clone(), ReplicaId::from_parts(0, n), place);
            Arc::new(Endpoint::new(line))
        };
        Pool::new((1..).zip(nodes).map(endpoint).collect())
    }

    /// Which endpoints come next, counted from 1.
    fn chosen(pool: &Pool, times: usize) -> Vec<usize> {
        let position = |e: &Arc<Endpoint>| pool.endpoints.iter().position(|o| Arc::ptr_eq(o, e));
        (0..times).filter_map(|_| position(pool.choose(&[])?)).map(|at| at + 1).collect()
    }

    #[test]
    fn equals_take_turns() {
        assert_eq!(chosen(&pool(&[1, 1, 1]), 6), [1, 2, 3, 1, 2, 3]);
        assert_eq!(chosen(&pool(&[2, 3]), 4), [1, 2, 1, 2]);
        assert!(chosen(&pool(&[]), 2).is_empty());
    }

    #[test]
    fn the_least_loaded_is_next() {
        let pool = pool(&[1, 1]);
        let held: Vec<Lease> = (0..3).map(|_| Lease::take(&pool.endpoints[0])).collect();
        assert_eq!(chosen(&pool, 3), [2, 2, 2]);
        drop(held);
        assert_eq!(pool.endpoints[0].candidate().load, 0);
    }

    #[test]
    fn one_of_this_node_comes_before_others() {
        let pool = pool(&[2, 1, 3]);
        assert_eq!(chosen(&pool, 3), [2, 2, 2]);
        let _held: Vec<Lease> = (0..9).map(|_| Lease::take(&pool.endpoints[1])).collect();
        assert_eq!(chosen(&pool, 3), [1, 3, 3]);
    }

    #[test]
    fn one_that_failed_is_passed_over_while_there_is_another() {
        let pool = pool(&[1, 2]);
        assert!(pool.endpoints[0].eject());
        assert!(!pool.endpoints[0].eject(), "once is enough");
        assert_eq!(chosen(&pool, 3), [2, 2, 2]);
        let [first, other] = [0, 1].map(|n| pool.endpoints[n].line.place);
        assert_ne!(first, other, "equal addresses on two nodes are two places");
        let left = pool.choose(&[other]).map(|e| e.line.place);
        assert_eq!(left, Some(first));
        assert!(pool.choose(&[other, first]).is_none());
        pool.endpoints[0].readmit();
        assert_eq!(chosen(&pool, 3), [1, 1, 1]);
    }
}
