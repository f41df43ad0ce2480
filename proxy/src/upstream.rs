//! Which endpoint answers a request, and what to try when it does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pingora_core::upstreams::peer::HttpPeer;
use temps_state::ReplicaId;
use tokio::time::{Instant, timeout_at};

use crate::error_page::Fault;
use crate::limits::{
    CONNECT_MAX, EJECTED_FOR, KEEPALIVE, Limits, RETRY_PAUSE, SWITCH_WAIT_MAX, UPGRADED_IDLE_MAX,
    UPSTREAM_IDLE_MAX,
};
use crate::live_table::LiveTable;
use crate::request::Attempts;
use crate::route_table::Target;

/// Where a healthy replica listens, and how it fares on this node.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Whose endpoint it is.
    pub(crate) replica: ReplicaId,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Tells apart replicas that had the same address one after the other.
    serial: u64,
    in_flight: AtomicUsize,
    /// In milliseconds since the edge's first endpoint; 0 when it never failed.
    ejected_until_ms: AtomicU64,
}

impl Endpoint {
    pub(crate) fn new(replica: ReplicaId, addr: SocketAddr) -> Self {
        Self {
            replica,
            addr,
            serial: next_serial(),
            in_flight: 0.into(),
            ejected_until_ms: 0.into(),
        }
    }

    /// Passes it over for a while, where another one is there.
    pub(crate) fn eject(&self) {
        let until = elapsed_ms() + u64::try_from(EJECTED_FOR.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until_ms.store(until, Ordering::Relaxed);
    }

    fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.ejected_until_ms.load(Ordering::Relaxed)
    }

    fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

fn next_serial() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

fn elapsed_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

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

    /// The endpoint with the fewest requests of those that have not `refused` this one; ties take turns. One that
    /// failed lately is chosen only when there is no other.
    pub(crate) fn choose(&self, refused: &[SocketAddr]) -> Option<&Arc<Endpoint>> {
        let now = elapsed_ms();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.endpoints.len();
        (0..count)
            .map(|step| &self.endpoints[turn.wrapping_add(step) % count])
            .filter(|endpoint| !refused.contains(&endpoint.addr))
            .min_by_key(|endpoint| (endpoint.is_ejected(now), endpoint.load()))
    }
}

/// A request's place at an endpoint; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Endpoint>);

impl Lease {
    fn take(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(endpoint.clone())
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// The endpoint in Pingora's terms: plain HTTP/1.1, which every app speaks and which alone carries WebSockets.
    /// A `fresh` connection is one that no other request used.
    pub(crate) fn peer(&self, limits: &Limits, upgrade: bool, fresh: bool) -> HttpPeer {
        let mut peer = HttpPeer::new(self.0.addr, false, String::new());
        peer.group_key = if fresh { next_serial() } else { self.0.serial };
        let options = &mut peer.options;
        options.connection_timeout = Some(CONNECT_MAX);
        options.total_connection_timeout = Some(CONNECT_MAX);
        options.read_timeout =
            Some(if upgrade { UPGRADED_IDLE_MAX } else { limits.upstream_read_max });
        options.write_timeout = Some(limits.upstream_read_max);
        options.idle_timeout = Some(UPSTREAM_IDLE_MAX);
        options.tcp_keepalive = upgrade.then_some(KEEPALIVE);
        peer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Finds an endpoint for a request to `host`. Where none is left, waits for the route to change, as it does when an app
/// is switched to another version or its container starts again, and asks those that refused once more.
pub(crate) async fn next_endpoint(
    table: &LiveTable,
    host: &str,
    attempts: &mut Attempts,
) -> Result<Lease, Fault> {
    if let Some(lease) = lease_of(table, host, &attempts.refused)? {
        return Ok(lease);
    }
    let mut changes = table.changes();
    loop {
        // Before looking again, so that no change is missed.
        changes.mark_unchanged();
        if let Some(lease) = lease_of(table, host, &attempts.refused)? {
            return Ok(lease);
        }
        let now = Instant::now();
        let deadline = *attempts.deadline.get_or_insert(now + SWITCH_WAIT_MAX);
        if deadline <= now {
            return Err(if attempts.refused.is_empty() {
                Fault::NoHealthyReplica
            } else {
                Fault::BadGateway
            });
        }
        if timeout_at(deadline.min(now + RETRY_PAUSE), changes.changed()).await.is_err()
            && now + RETRY_PAUSE < deadline
        {
            attempts.refused.clear();
        }
    }
}

fn lease_of(table: &LiveTable, host: &str, refused: &[SocketAddr]) -> Result<Option<Lease>, Fault> {
    let routes = table.load();
    let route = routes.find(host).ok_or(Fault::UnknownHost)?;
    match &route.target {
        _ if route.disabled => Err(Fault::Disabled),
        Target::Replicas(pool) => Ok(pool.choose(refused).map(Lease::take)),
        Target::Static { .. } => Ok(None),
        Target::Nothing => Err(Fault::NothingDeployed),
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    fn pool(count: u16) -> Pool {
        let endpoint = |port| {
            let addr = SocketAddr::from(([10, 0, 0, 1], port));
            Arc::new(Endpoint::new(ReplicaId::from_parts(0, port.into()), addr))
        };
        Pool::new((1..=count).map(endpoint).collect())
    }

    fn ports(pool: &Pool, times: usize) -> Vec<u16> {
        (0..times).filter_map(|_| pool.choose(&[]).map(|e| e.addr.port())).collect()
    }

    #[test]
    fn equals_take_turns() {
        assert_eq!(ports(&pool(3), 6), [1, 2, 3, 1, 2, 3]);
        assert!(ports(&pool(0), 2).is_empty());
    }

    #[test]
    fn the_least_loaded_is_next() {
        let pool = pool(2);
        let held: Vec<Lease> = (0..3).map(|_| Lease::take(&pool.endpoints[0])).collect();
        assert_eq!(ports(&pool, 3), [2, 2, 2]);
        drop(held);
        assert_eq!(pool.endpoints[0].load(), 0);
    }

    #[test]
    fn one_that_failed_is_passed_over_while_there_is_another() {
        let pool = pool(2);
        pool.endpoints[0].eject();
        assert_eq!(ports(&pool, 3), [2, 2, 2]);
        let other = pool.endpoints[1].addr;
        assert_eq!(pool.choose(&[other]).map(|e| e.addr.port()), Some(1));
        assert!(pool.choose(&[other, pool.endpoints[0].addr]).is_none());
    }
}
