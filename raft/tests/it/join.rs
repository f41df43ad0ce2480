//! Machines that join a running cluster, over its real peer port.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::{TempDir, tempdir};
use temps_raft::{
    Cluster, Config, JoinConfig, JoinError, Joined, PeerConfig, Proposal, RaftError, join,
};
use temps_state::{Actor, Command, FORMAT, Node, NodeId, Standing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{put, until};

const HOUR: Duration = Duration::from_secs(3600);

/// A node of this process, with its folder.
struct Machine {
    dir: TempDir,
    listen: SocketAddr,
}

impl Machine {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { dir: tempdir().unwrap(), listen: free.local_addr().unwrap() }
    }

    async fn start(&self) -> Cluster {
        Cluster::start(self.config()).await.unwrap()
    }

    fn config(&self) -> Config {
        let peer = Some(PeerConfig { listen: self.listen, advertise: None });
        Config { data_dir: self.dir.path().to_path_buf(), peer }
    }

    async fn join(&self, member: &Cluster, token: &str) -> Result<Joined, JoinError> {
        join(config(self.dir.path(), self.listen, member, token), drop).await
    }
}

fn config(dir: &Path, listen: SocketAddr, member: &Cluster, token: &str) -> JoinConfig {
    JoinConfig {
        data_dir: dir.into(),
        peer: member.peer_listen_addr().unwrap().to_string(),
        token: token.into(),
        facts: facts(NodeId(0)),
        listen,
        advertise: None,
    }
}

fn facts(id: NodeId) -> Node {
    Node {
        version: env!("CARGO_PKG_VERSION").into(),
        format: u32::from(FORMAT),
        ..Node::new(id, format!("node{id}"), Timestamp::now())
    }
}

async fn propose(cluster: &Cluster, command: Command) {
    let actor = Actor::Node { id: cluster.node_id() };
    cluster.propose(Proposal::new(actor, command)).await.unwrap();
}

/// What a node does when it is fed: it tells what it is.
async fn tell(cluster: &Cluster) {
    let key = cluster.fingerprint().unwrap();
    propose(cluster, Node { key, ..facts(cluster.node_id()) }.into()).await;
}

async fn token(cluster: &Cluster, uses: u32) -> String {
    let (token, text) = cluster.draw_token(HOUR, uses).unwrap();
    propose(cluster, Command::CreateJoinToken { token }).await;
    text
}

fn voters(cluster: &Cluster) -> usize {
    cluster.status().members.iter().filter(|member| member.voter).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_join_by_different_nodes_and_all_three_vote() {
    let (one, two, three) = (Machine::new(), Machine::new(), Machine::new());
    let founder = one.start().await;
    tell(&founder).await;
    put(&founder, 1).await.unwrap();
    let text = token(&founder, 2).await;

    let joined = two.join(&founder, &text).await.unwrap();
    let second = two.start().await;
    assert_eq!(second.node_id(), joined.node);
    assert!(!second.founded());
    until("the second node is fed", || second.state().nodes.len() == 2).await;
    tell(&second).await;

    let joined = three.join(&second, &text).await.unwrap();
    assert!(joined.node > second.node_id());
    let third = three.start().await;
    until("the third node is fed", || third.state().nodes.len() == 3).await;
    tell(&third).await;
    until("all three vote", || voters(&founder) == 3).await;
    let state = founder.state();
    assert!(state.nodes.values().all(|node| node.standing == Standing::Ready));
    assert!(state.nodes.values().all(|node| node.address.is_some()));
    put(&third, 2).await.unwrap();
    for node in [third, second, founder] {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stopped_before_it_was_fed_starts_again() {
    let (one, two) = (Machine::new(), Machine::new());
    let founder = one.start().await;
    tell(&founder).await;
    let text = token(&founder, 1).await;
    let joined = two.join(&founder, &text).await.unwrap();
    founder.stop().await.unwrap();
    drop(founder);

    let unfed = two.start().await;
    assert_eq!(unfed.state().nodes.len(), 0);
    unfed.stop().await.unwrap();
    drop(unfed);
    let again = two.start().await;
    let founder = one.start().await;
    until("the node is fed", || again.state().nodes.contains_key(&joined.node)).await;
    assert!(two.join(&founder, &text).await.unwrap().already);
    for node in [again, founder] {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_log_is_not_let_in_again_under_its_id() {
    let (one, two) = (Machine::new(), Machine::new());
    let founder = one.start().await;
    tell(&founder).await;
    let text = token(&founder, 2).await;
    two.join(&founder, &text).await.unwrap();
    let second = two.start().await;
    until("the second node is fed", || second.state().nodes.len() == 2).await;
    tell(&second).await;
    let ready = |node: &Node| node.standing == Standing::Ready;
    until("both are ready", || founder.state().nodes.values().all(ready)).await;
    second.stop().await.unwrap();
    drop(second);
    let raft = two.dir.path().join("raft");
    fs::rename(raft.join("log"), two.dir.path().join("lost")).unwrap();
    let refused = Cluster::start(two.config()).await.map(drop).unwrap_err();
    assert!(matches!(refused, RaftError::LogLost { .. }), "{refused}");
    fs::remove_dir_all(raft.join("state")).unwrap();
    let refused = Cluster::start(two.config()).await.map(drop).unwrap_err();
    assert!(matches!(refused, RaftError::LogLost { .. }), "{refused}");
    fs::remove_dir_all(&raft).unwrap();
    let refused = two.join(&founder, &text).await.unwrap_err();
    assert!(refused.to_string().contains("temps nodes remove"), "{refused}");
    founder.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_gets_no_answer_and_its_machine_comes_back_as_another_one() {
    let (one, two, wiped) = (Machine::new(), Machine::new(), Machine::new());
    let founder = one.start().await;
    tell(&founder).await;
    let text = token(&founder, 2).await;
    let removed = two.join(&founder, &text).await.unwrap().node;
    let second = two.start().await;
    until("it is fed", || second.state().nodes.len() == 2).await;
    assert!(second.peer_status(founder.node_id()).await.is_ok());
    propose(&founder, Command::RemoveNode { id: removed, beside: [].into() }).await;
    assert!(second.peer_status(founder.node_id()).await.is_err());
    second.stop().await.unwrap();
    let joined = wiped.join(&founder, &text).await.unwrap();
    assert!(joined.node > removed);
    founder.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_port_says_nothing_to_strangers() {
    let one = Machine::new();
    let founder = one.start().await;
    for greeting in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\0\0\0\0"] {
        let mut stream = TcpStream::connect(one.listen).await.unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        // A reset is as good an end as any.
        let _ = stream.read_to_end(&mut heard).await;
        // A TLS alert is two octets behind a head of five.
        assert!(heard.len() <= 7, "{heard:?}");
    }
    founder.stop().await.unwrap();
}
