//! What this node tells the cluster of itself.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use temps_raft::{Cluster, ProposeError};
use temps_state::{Command, FORMAT, Node, Standing};
use tokio::time::sleep;
use tracing::{debug, info};

use crate::machine;
use crate::node_config::NodeConfig;

/// The pause before the cluster is told again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What this machine is, as far as it knows by itself.
pub fn facts(config: &NodeConfig) -> Node {
    Node {
        architecture: machine::architecture().into(),
        capacity: machine::capacity(),
        builds: config.builds,
        version: env!("CARGO_PKG_VERSION").into(),
        format: FORMAT.into(),
        http_port: Some(config.http.port()),
        https_port: config.https.map(|address| address.port()),
        ..Node::new(Default::default(), config.name.clone(), Timestamp::now())
    }
}

/// The address that is said to be this node's, or else the one it listens on, where that is one address.
pub fn address(config: &NodeConfig, listens: SocketAddr) -> Option<SocketAddr> {
    config.advertise.or(Some(listens).filter(|at| !at.ip().is_unspecified()))
}

/// Tells the cluster what this node is, unless it knows.
pub async fn tell(cluster: &Cluster, facts: &Node) -> Result<(), ProposeError> {
    let id = cluster.node_id();
    let state = cluster.state();
    let known = state.nodes.get(&id);
    let node = readable(told(Node { id, ..facts.clone() }, known), state.format());
    if known == Some(&node) {
        return Ok(());
    }
    cluster.propose_own(Command::RecordNode { node }).await.map(drop)
}

/// Tells it again and again until the cluster has taken it.
pub async fn keep_telling(cluster: Cluster, facts: Node) {
    while let Err(error) = tell(&cluster, &facts).await {
        debug!(%error, "the cluster does not know yet what this node is");
        sleep(RETRY_PAUSE).await;
    }
    info!(node = %cluster.node_id(), "the cluster knows this node");
    keep_telling_rest(cluster, facts).await;
}

/// Tells what not every node could read before, once all can.
async fn keep_telling_rest(cluster: Cluster, facts: Node) {
    let needed = Command::from(facts.clone()).format();
    let mut changes = cluster.watch();
    if changes.wait_for(|state| state.format() >= needed).await.is_err() {
        return;
    }
    while let Err(error) = tell(&cluster, &facts).await {
        debug!(%error, "the cluster does not know yet all of what this node is");
        sleep(RETRY_PAUSE).await;
    }
}

/// As much of a record as every node can read.
fn readable(node: Node, format: u32) -> Node {
    match Command::from(node.clone()).format() <= format {
        true => node,
        false => Node { dns: None, ..node },
    }
}

/// The record as the cluster will have it.
fn told(facts: Node, known: Option<&Node>) -> Node {
    let Some(known) = known else { return facts };
    let standing = match known.standing {
        Standing::Draining => Standing::Draining,
        Standing::Joining | Standing::Ready => Standing::Ready,
    };
    Node {
        joined_at: known.joined_at,
        labels: known.labels.clone(),
        key: if known.key.is_empty() { facts.key.clone() } else { known.key.clone() },
        address: facts.address.or(known.address),
        lost_since: known.lost_since,
        engine_away_since: known.engine_away_since,
        standing,
        ..facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_not_every_node_can_read_is_not_told() {
        let plain = Node::new(Default::default(), "n", Timestamp::UNIX_EPOCH);
        let dns = Some(([192, 0, 2, 1], 53).into());
        let full = Node { dns, ..plain.clone() };
        for (format, told) in [(1, &plain), (2, &plain), (3, &full), (4, &full)] {
            assert_eq!(&readable(full.clone(), format), told);
        }
    }

    #[test]
    fn what_others_say_of_a_node_stays() {
        let fresh = Node {
            key: "k2".into(),
            ..Node::new(Default::default(), "new", Timestamp::UNIX_EPOCH)
        };
        assert_eq!(told(fresh.clone(), None), fresh);
        let known = Node {
            key: "k1".into(),
            standing: Standing::Joining,
            labels: [("zone".to_string(), "a".to_string())].into(),
            engine_away_since: Some(Timestamp::UNIX_EPOCH),
            address: Some("10.0.0.1:7".parse().unwrap()),
            ..Node::new(Default::default(), "old", Timestamp::UNIX_EPOCH)
        };
        let node = told(fresh, Some(&known));
        assert_eq!((node.name.as_str(), node.key.as_str()), ("new", "k1"));
        assert_eq!((&node.labels, node.address), (&known.labels, known.address));
        assert_eq!(node.engine_away_since, known.engine_away_since);
        assert_eq!(node.standing, Standing::Ready);
    }
}
