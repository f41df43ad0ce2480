//! Several nodes in this process, on loopback, with real certificates: each joined with a token.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use temps_raft::{Cluster, Config, JoinConfig, PeerConfig, Proposal, ProposeError, Status, join};
use temps_state::{Actor, Command, FORMAT, Node, NodeId};

use super::link::Link;
use super::{PATIENCE, until};

/// A node's folder and port, and the node while it runs.
pub struct Place {
    dir: TempDir,
    listen: SocketAddr,
    /// Where the others reach it.
    pub address: SocketAddr,
    pub id: NodeId,
    cluster: Option<Cluster>,
}

impl Place {
    pub fn new(id: NodeId) -> Self {
        let listen = free_address();
        let dir = tempfile::tempdir().unwrap();
        Self { dir, listen, address: listen, id, cluster: None }
    }

    /// One that the others reach by a link.
    async fn behind(id: NodeId) -> (Self, Link) {
        let mut place = Self::new(id);
        let link = Link::open(place.listen).await;
        place.address = link.address;
        (place, link)
    }

    fn advertise(&self) -> Option<SocketAddr> {
        Some(self.address).filter(|address| *address != self.listen)
    }

    pub fn node(&self) -> &Cluster {
        self.cluster.as_ref().expect("the node runs")
    }

    pub fn is_running(&self) -> bool {
        self.cluster.is_some()
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().into()
    }

    /// Starts the node; it does not wait for others.
    pub async fn start(&mut self) {
        let peer = Some(PeerConfig { listen: self.listen, advertise: self.advertise() });
        let started = Cluster::start(Config { data_dir: self.dir(), peer }).await;
        self.cluster = Some(started.expect("the node starts"));
    }

    /// Puts a successor in the node's place, in the same folder and on the same port; both are to be dropped by somebody.
    pub async fn succeed(&mut self) -> Cluster {
        let former = self.cluster.take().expect("the node runs");
        former.stop().await.expect("the node stops");
        self.start().await;
        former
    }

    /// Tells the cluster what the node is, as nodes do when they start.
    pub async fn report(&self) {
        let key = self.node().fingerprint().unwrap();
        let record = Node { address: Some(self.address), key, ..facts(self.id) };
        propose(self.node(), record.into()).await;
    }

    /// Ends the node at once, as far as others can tell.
    pub async fn stop(&mut self) {
        let cluster = self.cluster.take().expect("the node runs");
        cluster.stop().await.expect("the node stops");
    }

    pub fn status(&self) -> Status {
        self.node().status()
    }

    pub fn leads(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| *cluster.leading().borrow())
    }
}

fn facts(id: NodeId) -> Node {
    Node {
        version: env!("CARGO_PKG_VERSION").into(),
        format: u32::from(FORMAT),
        ..Node::new(id, format!("node{id}"), jiff::Timestamp::now())
    }
}

/// A port that nobody has now.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// The first node of a cluster.
pub async fn found() -> Place {
    founded(Place::new(NodeId(1))).await
}

/// The same, reached by a link.
pub async fn found_behind() -> (Place, Link) {
    let (place, link) = Place::behind(NodeId(1)).await;
    (founded(place).await, link)
}

/// Founds a cluster with a machine.
pub async fn founded(mut place: Place) -> Place {
    place.start().await;
    place.report().await;
    place
}

/// A token from `member`, with which one machine may join.
pub async fn token(member: &Place) -> String {
    let (record, text) = member.node().draw_token(Duration::from_secs(600), 1).unwrap();
    propose(member.node(), Command::CreateJoinToken { token: record }).await;
    text
}

/// Lets one more node join through `member`, and starts it.
pub async fn join_one(member: &Place) -> Place {
    let mut place = admit(member, Place::new(NodeId(0))).await;
    place.start().await;
    place.report().await;
    place
}

/// The same, reached by a link.
pub async fn join_behind(member: &Place) -> (Place, Link) {
    let (place, link) = Place::behind(NodeId(0)).await;
    let mut place = admit(member, place).await;
    place.start().await;
    place.report().await;
    (place, link)
}

/// Lets a machine join through `member`; it does not start yet.
pub async fn admit(member: &Place, mut place: Place) -> Place {
    let config = JoinConfig {
        data_dir: place.dir(),
        peer: member.address.to_string(),
        token: token(member).await,
        facts: facts(NodeId(0)),
        listen: place.listen,
        advertise: place.advertise(),
    };
    place.id = join(config, |_| {}).await.expect("the machine joins").node;
    place
}

/// So many nodes, all of which vote, and know that they may lose a minority.
pub async fn cluster_of(count: usize) -> Vec<Place> {
    grown(found().await, count).await
}

/// The same, of a first node that is there.
pub async fn grown(first: Place, count: usize) -> Vec<Place> {
    let mut places = vec![first];
    while places.len() < count {
        let place = join_one(&places[0]).await;
        places.push(place);
    }
    let spare = (count - 1) / 2;
    let is_whole = |place: &Place| {
        voters(place) == count
            && place.node().may_lose(&Default::default()).count == spare
            && place.status().quorum
    };
    until("all of them vote", || places.iter().all(is_whole)).await;
    places
}

pub fn voters(place: &Place) -> usize {
    place.status().members.iter().filter(|member| member.voter).count()
}

/// Proposes until it is taken; what has no quorum or no answer yet is tried again.
pub async fn propose(cluster: &Cluster, command: Command) {
    let begun = Instant::now();
    loop {
        let actor = Actor::Node { id: cluster.node_id() };
        match cluster.propose(Proposal::new(actor, command.clone())).await {
            Ok(_) => return,
            Err(ProposeError::NoQuorum | ProposeError::Timeout) if begun.elapsed() < PATIENCE => {}
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

/// The place of the running node that leads.
pub async fn leader(places: &[Place]) -> usize {
    let find = || places.iter().position(Place::leads);
    until("somebody leads", || find().is_some()).await;
    find().unwrap()
}
