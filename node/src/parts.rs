//! A node that runs: what it is made of, what ends it, and how the parts end in the reverse of the order in which they
//! began.

use std::io;
use std::time::{Duration, Instant};

use temps_dns::{Authority, Dns};
use temps_proxy::EdgeHandle;
use temps_raft::Cluster;
use temps_scheduler::Scheduler;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::peers::Peers;
use crate::removal;
use crate::serve_error::ServeError;
use crate::service;
use crate::signals::Signals;
use crate::upgrade::handover::{Sockets, Successor};
use crate::upgrade::{Candidate, Upgrader, own_program};

/// How long API requests under way may take to end; streams that are followed are cut then.
const API_DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// How long requests to apps may take to end.
const EDGE_DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// How long streams of other nodes may take to end before a new process takes the port.
const STREAMS_DRAIN_WITHIN: Duration = EDGE_DRAIN_WITHIN;
/// How long the scheduler may take to leave off; containers run on.
const SCHEDULER_STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long the containers of a node that is gone may take to end.
const SCHEDULER_CLEAR_WITHIN: Duration = Duration::from_secs(30);
/// How long another node may take to take the lead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);
/// How long the others may take to hear of a handover to another process.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(3);
/// How long writing everything to disk may take.
const CLUSTER_STOP_WITHIN: Duration = Duration::from_secs(10);

/// The task that answers the API.
pub type ApiTask = JoinHandle<io::Result<()>>;

/// The parts of a node that runs.
pub struct Parts {
    /// The API.
    pub api: ApiTask,
    /// Ends the API and what else needs no care.
    pub stop: CancellationToken,
    /// Cancelled once the node was removed through its own API.
    pub left: CancellationToken,
    /// The listening sockets, for the process that follows.
    pub sockets: Sockets,
    /// Says when another program follows.
    pub upgrader: Upgrader,
    /// The edge.
    pub edge: EdgeHandle,
    /// What resolves names for containers.
    pub dns: Dns,
    /// What answers for the cluster's zones, if it does.
    pub authority: Option<Authority>,
    /// The containers.
    pub scheduler: Scheduler,
    /// Streams to and from other nodes.
    pub peers: Peers,
    /// What the cluster agrees on.
    pub cluster: Cluster,
}

/// Why a node ends.
enum End {
    /// It is to stop, or cannot go on.
    Stop(Result<(), ServeError>),
    /// It does not belong to the cluster any more.
    Gone(Result<(), ServeError>),
    /// Another program is to run it.
    Upgrade(Candidate),
}

impl Parts {
    /// Runs until something ends the node, and ends it.
    pub async fn run(mut self, mut signals: Signals) -> Result<(), ServeError> {
        match self.end(&mut signals).await {
            End::Stop(outcome) => {
                signals.exit_at_next();
                self.drain(false, outcome).await
            }
            End::Gone(outcome) => {
                signals.exit_at_next();
                self.drain(true, outcome).await
            }
            End::Upgrade(candidate) => self.hand_over(candidate, signals).await,
        }
    }

    async fn end(&mut self, signals: &mut Signals) -> End {
        tokio::select! {
            signal = signals.next() => {
                info!(signal, "draining; a second signal ends the node at once");
                End::Stop(Ok(()))
            }
            candidate = self.upgrader.wanted() => End::Upgrade(candidate),
            failed = self.cluster.failed() => End::Stop(Err(ServeError::Failed(failed))),
            ended = &mut self.api => {
                End::Stop(Err(ServeError::Api(ended.map_or_else(io::Error::other, died))))
            }
            gone = gone(&self.cluster, &self.peers, &self.left) => End::Gone(gone),
        }
    }

    /// Gives away the lead, then ends the parts, each within its time. A node that is `gone` leaves no container behind.
    async fn drain(self, gone: bool, outcome: Result<(), ServeError>) -> Result<(), ServeError> {
        let began = Instant::now();
        service::tell_stopping();
        give_up_lead(&self.cluster).await;
        // Nobody finds a port open that answers no more.
        drop(self.sockets);
        stop_api(self.stop, self.api).await;
        self.edge.stop(EDGE_DRAIN_WITHIN).await;
        drop((self.dns, self.authority));
        match gone {
            true => clear_scheduler(&self.scheduler).await,
            false => stop_scheduler(&self.scheduler).await,
        }
        self.peers.stop().await;
        let stopped = stop_cluster(&self.cluster).await;
        if stopped.is_ok() {
            info!(seconds = began.elapsed().as_secs_f64(), "everything is written; bye");
        }
        outcome?;
        stopped
    }

    /// Leaves the node to a new process of the candidate, or of this program if that does not come up. The edge serves
    /// on until one of them does.
    async fn hand_over(self, candidate: Candidate, mut signals: Signals) -> Result<(), ServeError> {
        info!(binary = candidate.digest.hex(), "handing over to another program");
        give_up_lead(&self.cluster).await;
        step_aside(&self.peers).await;
        stop_api(self.stop, self.api).await;
        stop_scheduler(&self.scheduler).await;
        announce(&self.cluster).await;
        stop_cluster(&self.cluster).await?;

        let following = follow(&self.upgrader, &candidate, &self.sockets);
        let followed = tokio::select! {
            followed = following => followed,
            // The process that was to follow ends with the attempt.
            signal = signals.next() => return interrupted(signal),
        };
        signals.exit_at_next();
        let successor = followed?;
        let pid = successor.id().unwrap_or_default();
        service::tell_successor(pid);
        successor.release();
        drop((self.sockets, self.dns, self.authority));
        self.edge.stop(EDGE_DRAIN_WITHIN).await;
        self.peers.drain(STREAMS_DRAIN_WITHIN).await;
        self.peers.stop().await;
        info!(pid, "another process runs the node now; bye");
        Ok(())
    }
}

/// Starts the candidate, or this program again where that fails; the process that serves then.
async fn follow(
    upgrader: &Upgrader,
    candidate: &Candidate,
    sockets: &Sockets,
) -> Result<Successor, ServeError> {
    let installed = upgrader.installed();
    let failed = match Successor::start(&candidate.path, installed, sockets, false).await {
        Ok(successor) => {
            upgrader.succeeded(candidate);
            return Ok(successor);
        }
        Err(failed) => failed,
    };
    warn!(why = %failed, "the new program did not come up; going back");
    upgrader.went_back(candidate, failed);
    let back = Successor::start(&own_program(), installed, sockets, true).await;
    back.map_err(ServeError::Follow)
}

fn interrupted(signal: &str) -> Result<(), ServeError> {
    warn!(signal, "ended while handing over");
    Ok(())
}

async fn stop_api(stop: CancellationToken, api: ApiTask) {
    stop.cancel();
    let abort = api.abort_handle();
    if !api.is_finished() && timeout(API_DRAIN_WITHIN, api).await.is_err() {
        warn!("cut API requests that did not end in time");
        abort.abort();
    }
}

async fn step_aside(peers: &Peers) {
    if let Err(error) = peers.step_aside(STREAMS_DRAIN_WITHIN).await {
        warn!(%error, "streams of other nodes are cut");
        peers.stop().await;
    }
}

async fn stop_scheduler(scheduler: &Scheduler) {
    if timeout(SCHEDULER_STOP_WITHIN, scheduler.stop()).await.is_err() {
        warn!("the scheduler did not leave off in time");
    }
}

/// Nobody else would take the containers away.
async fn clear_scheduler(scheduler: &Scheduler) {
    match timeout(SCHEDULER_CLEAR_WITHIN, scheduler.clear()).await {
        Ok(Ok(containers)) => info!(containers, "took the node's containers away"),
        Ok(Err(error)) => warn!(%error, "the node's containers stay: take them away by hand"),
        Err(_) => warn!("some of the node's containers stay: take them away by hand"),
    }
}

async fn stop_cluster(cluster: &Cluster) -> Result<(), ServeError> {
    match timeout(CLUSTER_STOP_WITHIN, cluster.stop()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => {
            error!(error = %failure, "not everything could be written");
            Err(ServeError::Stop(failure))
        }
        Err(_) => {
            error!("writing everything took too long");
            Ok(())
        }
    }
}

/// Others need not find out that their leader is gone.
async fn give_up_lead(cluster: &Cluster) {
    if is_alone(cluster) || !*cluster.leading().borrow() {
        return;
    }
    match timeout(HAND_OVER_WITHIN, cluster.hand_over()).await {
        Ok(Ok(())) => info!("another node leads now"),
        Ok(Err(error)) => warn!(%error, "nobody took the lead"),
        Err(_) => warn!("nobody took the lead in time"),
    }
}

/// Others need not take the silence until the new process serves for a loss. Without their word for it, it counts as one
/// where it takes long.
async fn announce(cluster: &Cluster) {
    if is_alone(cluster) {
        return;
    }
    match timeout(ANNOUNCE_WITHIN, cluster.announce_handover()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the others do not know of the handover"),
        Err(_) => warn!("the others did not hear of the handover in time"),
    }
}

/// Whether this node is all of its cluster.
pub fn is_alone(cluster: &Cluster) -> bool {
    let members = cluster.status().members;
    members.len() == 1 && members[0].id == cluster.node_id()
}

/// Resolves when this node does not belong to the cluster any more. It is an error unless it was meant to go.
async fn gone(
    cluster: &Cluster,
    peers: &Peers,
    left: &CancellationToken,
) -> Result<(), ServeError> {
    let orderly = tokio::select! {
        drained = removal::removed(cluster) => drained,
        () = removal::locked_out(cluster, peers) => false,
        () = left.cancelled() => true,
    };
    match orderly {
        true => {
            info!("this node has left its cluster; its data folder is of no more use");
            Ok(())
        }
        false => Err(ServeError::Removed),
    }
}

fn died(ended: io::Result<()>) -> io::Error {
    ended.err().unwrap_or_else(|| io::Error::other("it ended without being asked to"))
}
