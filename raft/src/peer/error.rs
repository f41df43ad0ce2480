//! Why a call to another node failed.

use std::error::Error;
use std::io;
use std::time::Duration;

use temps_state::NodeId;
use tonic::{Code, Status};

/// Why a call to another node failed.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// This node takes no part in a cluster of several nodes.
    #[error("this node has no peer port, so it reaches no other node")]
    Alone,
    /// Nothing says where the node is.
    #[error("the address of node {node} is not known")]
    NoAddress {
        /// Which node.
        node: NodeId,
    },
    /// No connection could be made; nothing was sent.
    #[error("node {node} cannot be reached")]
    Unreachable {
        /// Which node.
        node: NodeId,
        /// Why not.
        #[source]
        source: Box<Status>,
    },
    /// The connection broke; the call may have been heard.
    #[error("the connection to node {node} broke")]
    Broken {
        /// Which node.
        node: NodeId,
        /// How.
        #[source]
        source: Box<Status>,
    },
    /// No answer in time; the call may have been heard.
    #[error("node {node} did not answer within {within:?}")]
    Timeout {
        /// Which node.
        node: NodeId,
        /// How long it had.
        within: Duration,
    },
    /// The node answered that it does not do this.
    #[error("node {node} refused the call")]
    Refused {
        /// Which node.
        node: NodeId,
        /// What it said.
        #[source]
        source: Box<Status>,
    },
    /// The answer cannot be read.
    #[error("node {node} answered something that this version does not know")]
    Unreadable {
        /// Which node.
        node: NodeId,
        /// Why not.
        #[source]
        source: rmp_serde::decode::Error,
    },
}

/// Marks what failed before anything was sent.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotConnected(#[from] pub io::Error);

impl PeerError {
    /// What a failed call was.
    pub(crate) fn of(node: NodeId, status: Status) -> Self {
        let source = Box::new(status);
        match source.code() {
            _ if is_not_connected(&source) => Self::Unreachable { node, source },
            Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented => {
                Self::Refused { node, source }
            }
            _ => Self::Broken { node, source },
        }
    }

    /// Whether the other node surely heard nothing.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Alone | Self::NoAddress { .. } | Self::Unreachable { .. } | Self::Refused { .. }
        )
    }
}

fn is_not_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<NotConnected>() {
            return true;
        }
        cause = error.source();
    }
    false
}
