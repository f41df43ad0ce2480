//! How this node reaches the others. A group of one has none, so everybody is out of reach.

use std::future::Future;
use std::io;

use bytes::Bytes;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};

use crate::types::{TypeConfig, Vote};

type MachineSnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, Bytes>;

/// The way to nobody.
pub struct Nobody;

/// A node that cannot be reached.
pub struct OutOfReach {
    node: u64,
}

impl OutOfReach {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        let error = io::Error::other(format!("there is no way to node {}", self.node));
        Unreachable::new(&error)
    }
}

impl RaftNetworkFactory<TypeConfig> for Nobody {
    type Network = OutOfReach;

    async fn new_client(&mut self, node: u64, _: &BasicNode) -> OutOfReach {
        OutOfReach { node }
    }
}

impl RaftNetworkV2<TypeConfig> for OutOfReach {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    /// The default would grant it.
    async fn pre_vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: MachineSnapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}
