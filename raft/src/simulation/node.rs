//! One run of a node: everything that the product starts, without its API, its edge and its certificates.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use temps_state::{Actor, ClusterKey, Command, FORMAT, Node, NodeId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::disk::Disk;
use super::network::Listening;
use super::wire::Station;
use super::world::world;
use crate::cluster::Group;
use crate::cluster::serve::take_up_duties;
use crate::cluster::start::{found, lead_if_alone};
use crate::config::{LogLength, raft_config};
use crate::identity::Identity;
use crate::log::Log;
use crate::network::Network;
use crate::parts::Parts;
use crate::peer::{PeerService, Peers};
use crate::store::Store;
use crate::types::{LogId, Raft};
use crate::{Proposal, ProposeError, RaftError};

/// A log so short that snapshots, purges and installs come often.
const LOG: LogLength = LogLength { snapshot_every: 24, kept: 30, purge_batch: 4 };
/// How often a node tells what it is until it is taken.
const RECORD_EVERY: Duration = Duration::from_millis(500);

/// One run of a node.
pub struct Running {
    /// Which node and run.
    pub station: Station,
    /// Its part in the group.
    pub group: Group,
    /// Who it is.
    pub identity: Identity,
    /// The cluster's key.
    pub key: ClusterKey,
    disk: Arc<Disk>,
    log: Log,
    store: Store,
    died: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

/// Where a machine is.
pub fn address(slot: u64) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, slot as u8), 7000).into()
}

/// What a node tells of itself.
pub fn facts(slot: u64, id: NodeId) -> Node {
    let name = format!("n{slot}");
    let key = format!("key-{slot}");
    let (address, format) = (Some(address(slot)), FORMAT.into());
    Node { key, address, format, ..Node::new(id, name, Timestamp::UNIX_EPOCH) }
}

impl Running {
    /// Starts the node whose data is in a folder.
    pub async fn start(root: &Path, disk: &Arc<Disk>) -> Result<Arc<Self>, RaftError> {
        let (slot, life) = disk.life();
        let opened = Parts::open(root.into());
        disk.settle_now();
        let Parts { identity, key, log, store, machine, snapshots, shown } = opened?;
        let applied = shown.applied.subscribe();
        let station = Station { node: identity.node.0, life };
        let peers = Some(Peers::simulated(station, applied.clone()));
        tokio::spawn(disk.clone().run());
        let network = Network { node: identity.node, peers: peers.clone() };
        let raft = Raft::new(station.node, raft_config(LOG), network, log.clone(), machine).await;
        let raft = raft.map_err(RaftError::failed)?;
        let group = Group::new(identity.node, root.into(), snapshots, raft.clone(), applied, peers);
        if identity.founded() {
            found(&raft, identity.node, Some(address(slot))).await?;
        }
        lead_if_alone(&raft, identity.node).await?;
        let server = PeerService::for_all(group.clone());
        world().network.listen(Listening { station, server });
        let mut tasks = JoinSet::new();
        take_up_duties(&group, &mut tasks);
        tasks.spawn(watch_raft(slot, station, raft));
        tasks.spawn(record(slot, group.clone()));
        world().note(&format!("started {station:?} at {}", group.applied().index));
        let (tasks, died) = (Mutex::new(tasks), watch::Sender::new(false));
        let disk = disk.clone();
        Ok(Arc::new(Self { station, group, identity, key, disk, log, store, died, tasks }))
    }

    /// Does something unless, or until, the node dies: `None` then.
    pub async fn unless_dead<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut died = self.died.subscribe();
        tokio::select! {
            biased;
            _ = died.wait_for(|died| *died) => None,
            done = work => Some(done),
        }
    }

    /// The machine loses power.
    pub fn lose_power(&self) -> io::Result<()> {
        self.disk.lose_power();
        world().network.leave(self.station.node);
        self.died.send_replace(true);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        // What still runs finds everything closed. Of what closing writes nothing lasts.
        self.log.close();
        self.group.snapshots.close();
        self.store.close()?;
        let raft = self.group.raft.clone();
        tokio::spawn(async move { raft.shutdown().await });
        self.disk.cut()
    }
}

/// Tells the oracle who leads, and notices nodes that stop by themselves.
async fn watch_raft(slot: u64, station: Station, raft: Raft) {
    let mut metrics = raft.metrics();
    let mut seen = [None; 3];
    loop {
        let now = metrics.borrow_watched().clone();
        if let Err(fatal) = &now.running_state
            && !matches!(fatal, Fatal::Stopped)
        {
            world().violated(format!("node {station:?} stopped by itself: {fatal:?}"));
        }
        if now.state == ServerState::Leader {
            let news = world().tell(|oracle| oracle.leads(now.current_term, station.node));
            if news == Some(true) {
                world().count("leader.changed", &format!("{station:?} term {}", now.current_term));
                world().happened("leader.changed", slot);
            }
        }
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        let is = [
            ("members.changed", index(*now.membership_config.log_id())),
            ("snapshot.built", index(now.snapshot)),
            ("purged", index(now.purged)),
        ];
        for ((what, is), was) in is.iter().zip(seen) {
            if was.is_some_and(|was| was != *is) {
                world().count(what, &format!("{station:?} {is}"));
                world().happened(what, slot);
            }
        }
        seen = is.map(|(_, index)| Some(index));
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the cluster what this node is, until that is taken.
async fn record(slot: u64, group: Group) {
    loop {
        let command = Command::RecordNode { node: facts(slot, group.node) };
        let proposal = Proposal::new(Actor::Node { id: group.node }, command);
        if let Ok(_) | Err(ProposeError::Rejected(_)) = group.propose(proposal).await {
            return;
        }
        sleep(RECORD_EVERY).await;
    }
}
