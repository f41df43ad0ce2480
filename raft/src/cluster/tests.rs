//! What cannot be brought about from outside: what only another version of Temps would write, and certificates of long
//! ago.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use temps_state::{Actor, Command, Entry, FORMAT, Node, NodeId, Rejected, Settings};
use tokio::time::{sleep, timeout};

use super::{Cluster, Meeting};
use crate::trust::Trust;
use crate::types::Payload;
use crate::{Config, JoinConfig, PeerConfig, Proposal, ProposeError, RaftError, join};

const SOON: Duration = Duration::from_secs(10);

async fn start(dir: &std::path::Path) -> Result<Cluster, RaftError> {
    Cluster::start(Config { data_dir: dir.into(), peer: None }).await
}

/// A node alone that has told of which format it is.
async fn told(dir: &std::path::Path, format: u32) -> Cluster {
    let cluster = start(dir).await.unwrap();
    let node = Node { format, ..Node::new(NodeId(1), "n", Timestamp::now()) };
    let actor = Actor::Node { id: NodeId(1) };
    cluster.propose(Proposal::new(actor, node.into())).await.unwrap();
    cluster
}

fn change() -> Entry {
    Entry {
        at: Timestamp::now(),
        actor: Actor::Node { id: NodeId(1) },
        from: None,
        request: None,
        condition: None,
        command: Command::ChangeSettings { settings: Settings::default() },
    }
}

/// The same change, as if its command had come with a later format.
fn later() -> Payload {
    let mut octets = Payload::of(&change()).0.to_vec();
    octets[0] = FORMAT + 1;
    Payload(octets.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_does_not_know_is_in_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = told(dir.path(), FORMAT.into()).await;
    let group = &cluster.inner.group;
    let before = cluster.status().last_log;
    let Err(ProposeError::TooNew(refused)) = group.accept(later()).await else {
        panic!("it was taken");
    };
    assert_eq!((refused.needed, refused.behind.len()), (u32::from(FORMAT) + 1, 1));
    let nonsense = group.accept(Payload(vec![FORMAT, b'?'].into())).await;
    assert!(matches!(nonsense, Err(ProposeError::Rejected(Rejected::Invalid { .. }))));
    assert_eq!(cluster.status().last_log, before);
    group.accept(Payload::of(&change())).await.expect("what everybody knows is taken");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_read_stops_the_node_and_every_start_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = told(dir.path(), FORMAT.into()).await;
    let before = cluster.state();
    let index = cluster.status().last_log + 1;
    assert!(cluster.inner.group.raft.client_write(later()).await.is_err());
    let failed = timeout(SOON, cluster.failed()).await.unwrap().to_string();
    let said = format!("log entry {index} cannot be read by this version of Temps");
    assert!(failed.contains(&said), "{failed}");
    assert_eq!(cluster.state().state, before.state);
    cluster.stop().await.unwrap();
    let Err(refused) = start(dir.path()).await else { panic!("it started") };
    assert!(refused.to_string().contains("cannot be read by this version"), "{refused}");
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "{what} did not happen");
}

fn meeting(cluster: &Cluster) -> &Meeting {
    cluster.inner.meeting.as_ref().unwrap()
}

fn trust(cluster: &Cluster) -> &Arc<Trust> {
    &meeting(cluster).trust
}

/// Starts a node that meets others, and has it tell of itself.
async fn meet(dir: &std::path::Path, listen: SocketAddr) -> Cluster {
    let peer = Some(PeerConfig { listen, advertise: None });
    let cluster = Cluster::start(Config { data_dir: dir.into(), peer }).await.unwrap();
    let (id, address) = (cluster.node_id(), cluster.peer_listen_addr());
    let (key, format) = (cluster.fingerprint().unwrap(), FORMAT.into());
    let node = Node { key, address, format, ..Node::new(id, "n", Timestamp::now()) };
    let proposal = Proposal::new(Actor::Node { id }, node.into());
    while cluster.propose(proposal.clone()).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
    cluster
}

/// Two nodes of one cluster.
async fn two(dirs: [&std::path::Path; 2]) -> [Cluster; 2] {
    let free = || {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        any.local_addr().unwrap()
    };
    let one = timeout(SOON, meet(dirs[0], free())).await.unwrap();
    let (token, text) = one.draw_token(SOON, 1).unwrap();
    let command = Command::CreateJoinToken { token };
    one.propose(Proposal::new(Actor::Node { id: one.node_id() }, command)).await.unwrap();
    let listen = free();
    let joining = JoinConfig {
        data_dir: dirs[1].into(),
        peer: one.peer_listen_addr().unwrap().to_string(),
        token: text,
        facts: Node {
            version: env!("CARGO_PKG_VERSION").into(),
            format: FORMAT.into(),
            ..Node::new(NodeId(0), "n", Timestamp::now())
        },
        listen,
        advertise: None,
    };
    join(joining, |_| {}).await.unwrap();
    let two = timeout(SOON, meet(dirs[1], listen)).await.unwrap();
    [one, two]
}

/// Every node calls every other one by a connection of its own, made now.
async fn reach_each_other(nodes: &[Cluster; 2]) {
    for (from, to) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
        meeting(from).peers.hang_up();
        from.peer_status(to.node_id()).await.expect("it is believed, and believes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_while_the_cluster_runs_and_the_others_believe_the_new_ones() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes = two([dirs[0].path(), dirs[1].path()]).await;
    let now = Timestamp::now();
    for node in &nodes {
        trust(node).wear(now - DAY * 61);
        assert!(!trust(node).lasts(now), "it is due");
    }
    reach_each_other(&nodes).await;
    // One after the other, as their hours come: the new and the old believe each other.
    for node in &nodes {
        let keeping = tokio::spawn(trust(node).clone().keep_certificate());
        until("the renewal", || trust(node).lasts(now + DAY * 59)).await;
        keeping.abort();
        reach_each_other(&nodes).await;
    }
    for node in &nodes {
        assert!(node.state().nodes.values().all(Node::is_reachable));
        let actor = Actor::Node { id: node.node_id() };
        node.propose(Proposal::new(actor, change().command)).await.expect("they agree as ever");
    }
    // The one that ended is believed by nobody.
    trust(&nodes[1]).wear(now - DAY * 91);
    meeting(&nodes[1]).peers.hang_up();
    let refused = nodes[1].peer_status(nodes[0].node_id()).await;
    assert!(refused.is_err(), "{refused:?}");
    for node in &nodes {
        node.stop().await.unwrap();
    }
}
