//! What only another version of Temps would write.

use std::time::Duration;

use jiff::Timestamp;
use temps_state::{Actor, Command, Entry, FORMAT, Node, NodeId, Rejected, Settings};
use tokio::time::timeout;

use super::Cluster;
use crate::types::Payload;
use crate::{Config, Proposal, ProposeError, RaftError};

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
