//! How a node begins to take part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{BasicNode, ReadPolicy, ServerState};
use temps_state::{ClusterKey, NodeId};
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use super::duties::member;
use super::group::{Group, LOOK_EVERY, leads_quorum};
use super::serve::Serving;
use super::{Cluster, Inner, Meeting};
use crate::config::{LEAD_ALONE_TIMEOUT, LogLength, raft_config};
use crate::folder::Folder;
use crate::identity::Identity;
use crate::network::Network;
use crate::parts::Parts;
use crate::peer::{Peers, Port};
use crate::trust::Trust;
use crate::types::Raft;
use crate::{Applied, Config, PeerConfig, RaftError};

impl Cluster {
    /// Opens the data folder, or founds a new group of one when it has no data.
    ///
    /// A node that is alone leads itself on return, and has applied its whole log. One that is not alone returns at
    /// once, with what it applied before, whether or not it reaches anybody.
    pub async fn start(config: Config) -> Result<Self, RaftError> {
        let Config { data_dir, peer } = config;
        let folder = Folder { root: data_dir.clone() };
        let root = data_dir.clone();
        let opening = tokio::task::spawn_blocking(move || Parts::open(root));
        let parts = opening.await.map_err(RaftError::failed)??;
        let Parts { identity, key, log, store, machine, snapshots, shown } = parts;
        let applied = shown.applied.subscribe();
        let trust = open_trust(&peer, &folder, &identity, &applied, &key).await?;
        let peers = trust.clone().map(|trust| Peers::new(trust, applied.clone()));
        let port = bind(&peer).await?;

        let node = identity.node;
        let network = Network { node, peers: peers.clone() };
        let raft =
            Raft::new(node.0, raft_config(LogLength::default()), network, log.clone(), machine)
                .await;
        let raft = raft.map_err(RaftError::failed)?;
        let group = Group::new(node, data_dir, snapshots, raft.clone(), applied, peers.clone());
        let founded = identity.founded() && found(&raft, node, known_address(&peer)).await?;
        let leads = lead_if_alone(&raft, node).await?;
        let leading = watch_leading(&group);

        let meeting = match (trust, peers, port, peer) {
            (Some(trust), Some(peers), Some(port), Some(peer)) => {
                if leads {
                    group.found_authority(&key, &identity.cluster).await?;
                }
                let address = port.address();
                let serving = Serving::start(&group, &trust, port, &peer, &key).await?;
                let serving = Mutex::new(Some(serving));
                Some(Meeting { trust, peers, address, serving })
            }
            _ => None,
        };
        let stopped = OnceCell::new();
        let inner =
            Inner { group, identity, key, founded, leading, log, store, shown, meeting, stopped };
        Ok(Self { inner: Arc::new(inner) })
    }
}

async fn open_trust(
    peer: &Option<PeerConfig>,
    folder: &Folder,
    identity: &Identity,
    applied: &watch::Receiver<Arc<Applied>>,
    key: &ClusterKey,
) -> Result<Option<Arc<Trust>>, RaftError> {
    if peer.is_none() {
        return Ok(None);
    }
    let (folder, identity) = (folder.clone(), identity.clone());
    let (applied, key) = (applied.clone(), key.clone());
    let opening =
        tokio::task::spawn_blocking(move || Trust::open(&folder, &identity, applied, &key));
    opening.await.map_err(RaftError::failed)?.map(Some)
}

async fn bind(peer: &Option<PeerConfig>) -> Result<Option<Port>, RaftError> {
    let Some(PeerConfig { listen, .. }) = peer else { return Ok(None) };
    let port = Port::bind(*listen).await;
    port.map(Some).map_err(|source| RaftError::PeerPort { address: *listen, source })
}

/// Where others reach this node, if its settings say so.
fn known_address(peer: &Option<PeerConfig>) -> Option<SocketAddr> {
    let peer = peer.as_ref()?;
    let listens = Some(peer.listen).filter(|at| !at.ip().is_unspecified() && at.port() != 0);
    peer.advertise.or(listens)
}

/// Makes a new group with this node alone in it, unless there is one already.
pub async fn found(
    raft: &Raft,
    node: NodeId,
    address: Option<SocketAddr>,
) -> Result<bool, RaftError> {
    if raft.is_initialized().await.map_err(RaftError::failed)? {
        return Ok(false);
    }
    let members: BTreeMap<u64, BasicNode> = BTreeMap::from([(node.0, member(address))]);
    raft.initialize(members).await.map_err(RaftError::failed)?;
    Ok(true)
}

/// A node that is the only voter need not wait for anybody's heartbeat before it votes.
pub async fn lead_if_alone(raft: &Raft, node: NodeId) -> Result<bool, RaftError> {
    let voters = raft.with_raft_state(|state| {
        state.membership_state.effective().voter_ids().collect::<Vec<_>>()
    });
    if voters.await.map_err(RaftError::failed)? != [node.0] {
        return Ok(false);
    }
    if !raft.is_leader() {
        raft.trigger().elect(false).await.map_err(RaftError::failed)?;
    }
    let led = timeout(LEAD_ALONE_TIMEOUT, async {
        let leading = raft.wait(None).state(ServerState::Leader, "the only voter leads").await;
        leading.is_ok() && raft.ensure_linearizable(ReadPolicy::ReadIndex).await.is_ok()
    });
    if led.await.unwrap_or(false) {
        return Ok(true);
    }
    let running = raft.metrics().borrow_watched().running_state.clone();
    Err(running.map_or_else(RaftError::failed, |()| RaftError::NotLeading))
}

/// Follows whether this node leads and a quorum follows it, until Raft ends. A leader that is cut off does not know of another
/// one, and must not go on working in its place.
fn watch_leading(group: &Group) -> watch::Receiver<bool> {
    // Not the group itself, which keeps Raft alive.
    let (node, peers, mut metrics) = (group.node, group.peers.clone(), group.raft.metrics());
    let leads_now = leads_quorum(node, peers.as_deref(), &metrics.borrow_watched());
    let (sender, receiver) = watch::channel(leads_now);
    tokio::spawn(async move {
        while !matches!(timeout(LOOK_EVERY, metrics.changed()).await, Ok(Err(_))) {
            let now = leads_quorum(node, peers.as_deref(), &metrics.borrow_watched());
            sender.send_if_modified(|leading| std::mem::replace(leading, now) != now);
        }
        sender.send_replace(false);
    });
    receiver
}
