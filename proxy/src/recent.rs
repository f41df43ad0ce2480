//! The latest requests of every environment, for people who look at them. The thread of the access log keeps them, so no
//! request waits for whoever reads.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use jiff::Timestamp;
use temps_state::{EnvironmentId, NodeId};
use tokio::sync::broadcast;

use crate::access_log::Entry;

/// How many requests of one environment are kept.
pub const KEPT_OF_ONE: usize = 1_000;
/// How many are kept in all. Beyond it, the environment that has the most loses its oldest.
pub const KEPT_IN_ALL: usize = 20_000;
/// How many requests somebody who follows may be behind; more are missed, and counted.
const BEHIND_MAX: usize = 1_024;

/// A request that an edge answered, as its access log has it: without what its query carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRequest {
    /// The environment that it was for.
    pub environment: EnvironmentId,
    /// When it was over.
    pub at: Timestamp,
    /// Its id, which its answer and the app have, too.
    pub request_id: String,
    /// Its method.
    pub method: Method,
    /// The name that it was sent to.
    pub host: String,
    /// Its path, or the beginning of a long one.
    pub path: String,
    /// Whether it came over TLS.
    pub https: bool,
    /// The status of its answer; `None` when the client left before.
    pub status: Option<u16>,
    /// How many octets of a body it brought.
    pub received_bytes: u64,
    /// How many octets of a body it got.
    pub sent_bytes: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// Who sent it.
    pub client: IpAddr,
    /// The node of the replica that answered; `None` where the edge did itself.
    pub replica_node: Option<NodeId>,
    /// What went wrong.
    pub error: Option<String>,
}

impl SeenRequest {
    /// What is kept of an entry; nothing of one that belongs to no environment.
    fn of(entry: Entry) -> Option<Self> {
        let environment = entry.route.as_ref()?.environment;
        Some(Self {
            environment,
            at: entry.at,
            request_id: entry.request_id,
            method: entry.method,
            host: entry.host,
            path: entry.path,
            https: entry.https,
            status: (entry.status > 0).then_some(entry.status),
            received_bytes: entry.received_bytes,
            sent_bytes: entry.sent_bytes as u64,
            milliseconds: entry.milliseconds,
            client: entry.client,
            replica_node: entry.endpoint.map(|place| place.node),
            error: entry.error,
        })
    }
}

/// Where the latest requests are kept. Clones share it.
#[derive(Debug, Clone)]
pub struct Recent {
    kept: Arc<Mutex<Kept>>,
    live: broadcast::Sender<Arc<SeenRequest>>,
}

impl Default for Recent {
    fn default() -> Self {
        let (live, _) = broadcast::channel(BEHIND_MAX);
        Self { kept: Arc::default(), live }
    }
}

impl Recent {
    /// The latest requests of an environment, oldest first.
    pub fn of(&self, environment: EnvironmentId) -> Vec<Arc<SeenRequest>> {
        let kept = self.kept();
        kept.rings.get(&environment).map(|ring| ring.iter().cloned().collect()).unwrap_or_default()
    }

    /// Every request from now on, of all environments.
    pub fn follow(&self) -> broadcast::Receiver<Arc<SeenRequest>> {
        self.live.subscribe()
    }

    /// Keeps what an entry tells.
    pub(crate) fn keep(&self, entry: Entry) {
        let Some(seen) = SeenRequest::of(entry).map(Arc::new) else { return };
        self.kept().push(seen.clone());
        // Nobody may be following.
        let _ = self.live.send(seen);
    }

    /// Only readers and the access log's thread meet here.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Kept {
    rings: BTreeMap<EnvironmentId, VecDeque<Arc<SeenRequest>>>,
    count: usize,
}

impl Kept {
    fn push(&mut self, seen: Arc<SeenRequest>) {
        let ring = self.rings.entry(seen.environment).or_default();
        ring.push_back(seen);
        self.count += 1;
        if ring.len() > KEPT_OF_ONE {
            ring.pop_front();
            self.count -= 1;
        }
        while self.count > KEPT_IN_ALL {
            self.shorten();
        }
    }

    /// Takes the oldest of whoever has the most.
    fn shorten(&mut self) {
        if let Some(ring) = self.rings.values_mut().max_by_key(|ring| ring.len()) {
            ring.pop_front();
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    fn seen(environment: u64, number: usize) -> Arc<SeenRequest> {
        Arc::new(SeenRequest {
            environment: EnvironmentId::from_parts(1, environment.into()),
            at: Timestamp::UNIX_EPOCH,
            request_id: number.to_string(),
            method: Method::GET,
            host: "app.example.com".into(),
            path: "/".into(),
            https: true,
            status: Some(200),
            received_bytes: 0,
            sent_bytes: 3,
            milliseconds: 1,
            client: IpAddr::from([127, 0, 0, 1]),
            replica_node: None,
            error: None,
        })
    }

    fn lengths(kept: &Kept) -> Vec<usize> {
        kept.rings.values().map(VecDeque::len).collect()
    }

    #[test]
    fn the_latest_of_an_environment_are_kept() {
        let mut kept = Kept::default();
        (0..KEPT_OF_ONE + 5).for_each(|number| kept.push(seen(1, number)));
        let ring = kept.rings.values().next().unwrap();
        assert_eq!((ring.len(), kept.count), (KEPT_OF_ONE, KEPT_OF_ONE));
        assert_eq!(ring.front().unwrap().request_id, "5");
    }

    #[test]
    fn where_many_have_some_the_busy_ones_lose_theirs_first() {
        let mut kept = Kept::default();
        let many = KEPT_IN_ALL / KEPT_OF_ONE;
        for environment in 1..=many {
            (0..KEPT_OF_ONE).for_each(|number| kept.push(seen(environment as u64, number)));
        }
        kept.push(seen(0, 7));
        kept.push(seen(0, 8));
        assert_eq!(kept.count, KEPT_IN_ALL);
        assert_eq!(lengths(&kept)[0], 2, "a quiet one keeps what it has");
        assert_eq!(lengths(&kept).iter().filter(|length| **length < KEPT_OF_ONE).count(), 3);
    }
}
