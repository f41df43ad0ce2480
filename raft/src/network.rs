//! How openraft reaches the other nodes.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, EntryPayload, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;
use temps_proto::peer::Message;
use temps_proto::peer::peer_client::PeerClient;
use temps_state::NodeId;
use tokio::time::Instant;
use tonic::{Response, Status};

use crate::machine::blocking;
use crate::peer::{Lane, PeerError, Peers, Target, Wire, pack, snapshot_parts, unpack};
use crate::snapshots::Image;
use crate::types::{LogEntry, TypeConfig, Vote};

type MachineSnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, Image>;

/// The octets of entries in one message, unless the first one alone is longer.
const APPEND_BYTES: usize = 4 << 20;
/// How long a message with entries, or a heartbeat, may take: the other node syncs what came before.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long replication to a node that cannot be reached waits before it tries again.
const BACKOFF: Duration = Duration::from_millis(200);
/// The same for snapshots: they are large, and a disk without room has none for a while.
const SNAPSHOT_BACKOFF: Duration = Duration::from_secs(2);

/// The way to the other nodes; to nobody when this node is alone.
#[derive(Clone)]
pub struct Network {
    /// This node.
    pub node: NodeId,
    /// The channels.
    pub peers: Option<Arc<Peers>>,
}

/// The way to one node.
#[derive(Clone)]
pub struct Way {
    from: u64,
    peers: Option<Arc<Peers>>,
    to: Target,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Way;

    async fn new_client(&mut self, node: u64, known: &BasicNode) -> Way {
        self.way(node, known, Lane::Calls)
    }

    async fn new_snapshot_client(&mut self, node: u64, known: &BasicNode) -> Way {
        self.way(node, known, Lane::Bulk)
    }
}

impl Network {
    fn way(&self, node: u64, known: &BasicNode, lane: Lane) -> Way {
        let to = Target { node: NodeId(node), fallback: known.addr.parse().ok(), lane };
        Way { from: self.node.0, peers: self.peers.clone(), to }
    }
}

impl Way {
    async fn call<Q, A, F>(
        &self,
        question: &Q,
        within: Duration,
        ask: impl FnOnce(PeerClient<Wire>, Message) -> F,
    ) -> Result<A, PeerError>
    where
        Q: Serialize,
        A: DeserializeOwned,
        F: Future<Output = Result<Response<Message>, Status>>,
    {
        let peers = self.peers.as_ref().ok_or(PeerError::Alone)?;
        let message = Message { body: pack(question) };
        let answer = peers.call(&self.to, within, |client| ask(client, message)).await?;
        unpack(&answer.body).map_err(|source| PeerError::Unreadable { node: self.to.node, source })
    }

    /// Sends entries, or a heartbeat, and takes note of the answer.
    async fn append(
        self,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesResponse<TypeConfig>, PeerError> {
        let begun = Instant::now();
        let ask = |mut client: PeerClient<_>, message| async move { client.append(message).await };
        let answer = self.call(&request, APPEND_TIMEOUT, ask).await?;
        let is_leader = !matches!(answer, AppendEntriesResponse::HigherVote(_));
        if let Some(peers) = self.peers.filter(|_| is_leader) {
            peers.heard().record(self.to.node, begun);
        }
        Ok(answer)
    }

    /// What openraft makes of a failure: it waits before it calls a node again that it cannot reach.
    fn error(&self, action: RPCTypes, error: PeerError) -> RPCError<TypeConfig> {
        match error {
            PeerError::Timeout { within, .. } => {
                let (id, target) = (self.from, self.to.node.0);
                RPCError::Timeout(Timeout { action, id, target, timeout: within })
            }
            error if error.is_unsent() => RPCError::Unreachable(Unreachable::new(&error)),
            error => RPCError::Network(NetworkError::new(&error)),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Way {
    type SnapshotData = Image;

    /// Sends as many of the entries as fit in a message, and says so.
    async fn append_entries(
        &mut self,
        mut request: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let fitting = fitting(&request.entries);
        let cut = fitting < request.entries.len();
        request.entries.truncate(fitting);
        let last = request.entries.last().map(|entry| entry.log_id);
        // Raft may give a heartbeat up; an answer that comes later is still a sign of life.
        let answer = tokio::spawn(self.clone().append(request)).await;
        let answer = answer.map_err(|ended| RPCError::Network(NetworkError::new(&ended)))?;
        match answer.map_err(|error| self.error(RPCTypes::AppendEntries, error))? {
            AppendEntriesResponse::Success if cut => {
                Ok(AppendEntriesResponse::PartialSuccess(last))
            }
            answer => Ok(answer),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let ask = |mut client: PeerClient<_>, message| async move { client.vote(message).await };
        let answer = self.call(&request, option.hard_ttl(), ask).await;
        answer.map_err(|error| self.error(RPCTypes::Vote, error))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let ask =
            |mut client: PeerClient<_>, message| async move { client.pre_vote(message).await };
        let answer = self.call(&request, option.hard_ttl(), ask).await;
        answer.map_err(|error| self.error(RPCTypes::Vote, error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: MachineSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let action = RPCTypes::InstallSnapshot;
        let peers = self.peers.as_ref().ok_or(PeerError::Alone);
        let peers = peers.map_err(|error| streaming(self.error(action, error)))?;
        let octets = octets(snapshot.snapshot).await;
        let octets = octets.map_err(|error| RPCError::Network(NetworkError::new(&error)));
        let parts = snapshot_parts::parts(&vote, &snapshot.meta, octets.map_err(streaming)?);
        let sending = peers.call(&self.to, option.hard_ttl(), |mut client| async move {
            client.snapshot(parts).await
        });
        let answer = tokio::select! {
            answer = sending => answer.map_err(|error| streaming(self.error(action, error)))?,
            closed = cancel => return Err(closed.into()),
        };
        let unreadable = |source| PeerError::Unreadable { node: self.to.node, source };
        let answer = unpack(&answer.body).map_err(unreadable);
        answer.map_err(|error| streaming(self.error(action, error)))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let ask = |mut client: PeerClient<_>, message| async move {
            client.transfer_leader(message).await
        };
        let answer = self.call(&request, option.hard_ttl(), ask).await;
        answer.map_err(|error| self.error(RPCTypes::TransferLeader, error))
    }

    fn backoff(&self) -> Option<Backoff> {
        let pause = match self.to.lane {
            Lane::Calls => BACKOFF,
            Lane::Bulk => SNAPSHOT_BACKOFF,
        };
        Some(Backoff::new(std::iter::repeat(pause)))
    }
}

/// Read where that holds up nobody.
async fn octets(image: Image) -> io::Result<Bytes> {
    blocking(move || image.octets().map_err(io::Error::other)).await
}

fn streaming(error: RPCError<TypeConfig>) -> StreamingError<TypeConfig> {
    match error {
        RPCError::Timeout(error) => error.into(),
        RPCError::Unreachable(error) => error.into(),
        RPCError::Network(error) => error.into(),
    }
}

/// How many entries go into one message.
fn fitting(entries: &[LogEntry]) -> usize {
    let mut octets = 0;
    let fits = |entry: &&LogEntry| {
        octets += length(entry);
        octets <= APPEND_BYTES
    };
    entries.iter().take_while(fits).count().max(1).min(entries.len())
}

fn length(entry: &LogEntry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LeaderId, LogId, Payload};

    fn entry(octets: usize) -> LogEntry {
        let leader_id = LeaderId { term: 1, node_id: 1 };
        let payload = EntryPayload::Normal(Payload(vec![0; octets].into()));
        LogEntry { log_id: LogId { leader_id, index: 1 }, payload }
    }

    #[test]
    fn a_message_takes_as_many_entries_as_fit_and_always_one() {
        let cases: [(&[usize], usize); 5] = [
            (&[], 0),
            (&[1, 1, 1], 3),
            (&[APPEND_BYTES + 1, 1], 1),
            (&[APPEND_BYTES - 1, 1, 1], 2),
            (&[1 << 20, 1 << 20, 1 << 20, 1 << 20, 1], 4),
        ];
        for (lengths, fit) in cases {
            let entries: Vec<LogEntry> = lengths.iter().map(|octets| entry(*octets)).collect();
            assert_eq!(fitting(&entries), fit, "{lengths:?}");
        }
    }
}
