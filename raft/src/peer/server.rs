//! What this node does when another one calls.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use openraft::Snapshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use temps_proto::peer::peer_server::{Peer, PeerServer};
use temps_proto::peer::{
    Message, ProposeReply, ProposeRequest, ReadIndexReply, ReadIndexRequest, SnapshotPart,
    StatusReply, StatusRequest, WaitEdgeReply, WaitEdgeRequest,
};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

use super::{MESSAGE_BYTES_MAX, pack, snapshot_parts, unpack};
use crate::cluster::Group;
use crate::cluster::forward::to_reply;
use crate::snapshots::{Image, ReceiveError};
use crate::trust::{Caller, PeerIdentity, Trust};
use crate::types::Payload;

/// How long a call may wait for an edge.
const WAIT_EDGE_MAX: Duration = Duration::from_secs(30);

/// Answers the calls of other nodes.
pub struct PeerService {
    group: Group,
    /// For one snapshot on its way in: they are large.
    snapshots: Semaphore,
}

impl PeerService {
    /// The service; only nodes of the cluster get through to it.
    pub fn new(
        group: Group,
        trust: Arc<Trust>,
    ) -> InterceptedService<PeerServer<Self>, impl Interceptor + Clone> {
        InterceptedService::new(Self::for_all(group), move |request: Request<()>| {
            match request.extensions().get::<Caller>() {
                Some(Caller { identity: PeerIdentity::Node(node), .. }) if trust.belongs(*node) => {
                    Ok(request)
                }
                _ => Err(Status::permission_denied("only for nodes of this cluster")),
            }
        })
    }
}

impl PeerService {
    /// The service, whoever calls.
    pub fn for_all(group: Group) -> PeerServer<Self> {
        PeerServer::new(Self { group, snapshots: Semaphore::new(1) })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Peer for PeerService {
    async fn append(&self, request: Request<Message>) -> Answer<Message> {
        let request = read(request)?;
        answer(self.group.raft.append_entries(request).await)
    }

    async fn vote(&self, request: Request<Message>) -> Answer<Message> {
        let request = read(request)?;
        answer(self.group.raft.vote(request).await)
    }

    async fn pre_vote(&self, request: Request<Message>) -> Answer<Message> {
        let request = read(request)?;
        answer(self.group.raft.pre_vote(request).await)
    }

    async fn snapshot(&self, request: Request<Streaming<SnapshotPart>>) -> Answer<Message> {
        let turn = self.snapshots.try_acquire();
        let _turn = turn.map_err(|_| Status::unavailable("another snapshot is on its way"))?;
        let has_room = |octets| self.group.snapshots.has_room(octets);
        let (vote, meta, octets) = snapshot_parts::collect(request.into_inner(), has_room).await?;
        let said = meta.clone();
        let received = spawn_blocking(move || Image::receive(&said, &octets)).await;
        let received = received.map_err(|_| Status::internal("it could not be read"))?;
        let snapshot = received.map_err(damaged)?;
        answer(self.group.raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await)
    }

    async fn transfer_leader(&self, request: Request<Message>) -> Answer<Message> {
        let request = read(request)?;
        answer(self.group.raft.handle_transfer_leader(request).await)
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Answer<ProposeReply> {
        let payload = Payload(request.into_inner().entry);
        Ok(Response::new(to_reply(self.group.accept(payload).await)))
    }

    async fn read_index(&self, _: Request<ReadIndexRequest>) -> Answer<ReadIndexReply> {
        let index = self.group.lead_index().await.ok();
        Ok(Response::new(ReadIndexReply { index }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusReply> {
        let status = self.group.own_status();
        Ok(Response::new(StatusReply {
            applied: status.applied,
            last_log: status.last_log,
            edge_applied: status.edge_applied,
            version: status.version,
            lacks_room: status.lacks_room,
        }))
    }

    async fn wait_edge(&self, request: Request<WaitEdgeRequest>) -> Answer<WaitEdgeReply> {
        let WaitEdgeRequest { index, within_ms } = request.into_inner();
        let within = Duration::from_millis(within_ms).min(WAIT_EDGE_MAX);
        let edge_applied = self.group.edge.wait(index, within).await;
        Ok(Response::new(WaitEdgeReply { edge_applied }))
    }
}

/// The leader sends it again in a while.
fn damaged(error: ReceiveError) -> Status {
    warn!(error = &error as &dyn Error, "the leader's snapshot was not taken");
    Status::data_loss(error.to_string())
}

fn read<T: DeserializeOwned>(request: Request<Message>) -> Result<T, Status> {
    let message = request.into_inner();
    unpack(&message.body).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn answer<T: Serialize>(result: Result<T, impl std::error::Error>) -> Answer<Message> {
    let answer = result.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(Response::new(Message { body: pack(&answer) }))
}
