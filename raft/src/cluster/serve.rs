//! What runs beside Raft on a node that meets others: the peer port, the certificate's renewal, the leader's duties.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use temps_state::ClusterKey;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tracing::error;

use super::group::Group;
use crate::join::{self, Proposer};
use crate::peer::{CONNECTION_WINDOW_BYTES, PeerService, Port, STREAM_WINDOW_BYTES};
use crate::trust::Trust;
use crate::{Committed, PeerConfig, Proposal, ProposeError, RaftError};

/// How many calls of one connection may be under way.
const CALLS_MAX: usize = 512;
/// How often a connection is checked, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long calls that are under way may take when the node stops.
const DRAIN: Duration = Duration::from_millis(500);

/// Everything that ends before Raft does.
pub struct Serving {
    tasks: JoinSet<()>,
    server: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Serving {
    /// Opens the port and takes up the duties.
    pub async fn start(
        group: &Group,
        trust: &Arc<Trust>,
        port: Port,
        peer: &PeerConfig,
        key: &ClusterKey,
    ) -> Result<Self, RaftError> {
        let signing = trust.clone();
        let signed =
            tokio::task::spawn_blocking(move || signing.ensure_certificate(jiff::Timestamp::now()));
        signed.await.map_err(RaftError::failed)??;
        let mut tasks = JoinSet::new();
        let (end, ended) = oneshot::channel();
        let server = serve(group, trust, port, peer, ended, &mut tasks);
        tasks.spawn(trust.clone().keep_certificate());
        take_up_duties(group, &mut tasks);
        tasks.spawn(group.clone().keep_authority(key.clone(), trust.cluster().into()));
        Ok(Self { tasks, server, end })
    }

    /// Takes no calls any more; those under way get a moment.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        // Where the server has ended by itself, there is nobody to tell.
        let _ = self.end.send(());
        if timeout(DRAIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

/// What a node does all the time for those that it meets, mostly while it leads.
pub fn take_up_duties(group: &Group, tasks: &mut JoinSet<()>) {
    tasks.spawn(group.clone().beat());
    tasks.spawn(group.clone().watch_quorum());
    tasks.spawn(group.clone().watch_nodes());
    tasks.spawn(group.clone().keep_members());
}

fn serve(
    group: &Group,
    trust: &Arc<Trust>,
    port: Port,
    peer: &PeerConfig,
    ended: oneshot::Receiver<()>,
    tasks: &mut JoinSet<()>,
) -> JoinHandle<()> {
    let number = port.address().port();
    let (sender, connections) = mpsc::channel(crate::peer::BACKLOG);
    tasks.spawn(port.accept(trust.clone(), sender));
    let router = Server::builder()
        .concurrency_limit_per_connection(CALLS_MAX)
        .max_concurrent_streams(CALLS_MAX as u32)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(PeerService::new(group.clone(), trust.clone()))
        .add_service(join::server(trust.clone(), group.clone(), number, peer.advertise));
    let end = async {
        // A dropped handle ends the server as well.
        let _ = ended.await;
    };
    let serving = router.serve_with_incoming_shutdown(ReceiverStream::new(connections), end);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            error!(%error, "the peer port has ended");
        }
    })
}

impl Proposer for Group {
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Committed, ProposeError>> {
        Box::pin(Group::propose(self, proposal))
    }
}
