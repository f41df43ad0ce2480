//! What can go wrong.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use temps_state::{FORMAT, Rejected, TooNew};

use crate::TrustError;

/// Why the node cannot start, or must stop.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// A file or folder cannot be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried, such as `read`.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error(
        "the data folder {} is in use by another process{}: stop that one first, or choose another \
         folder with --data-dir",
        path.display(),
        by.map(|pid| format!(" (number {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The other process's number, if it told.
        by: Option<u32>,
    },
    /// There is data, but not the key to its secrets.
    #[error(
        "{} is missing, but there is data that was sealed with it: put the file back from your \
         backup; a new key could not open the stored secrets",
        path.display()
    )]
    KeyMissing {
        /// Where the key belongs.
        path: PathBuf,
    },
    /// The key file does not hold a key.
    #[error(
        "{} is damaged: it must hold 64 hexadecimal digits; put the file back from your backup",
        path.display()
    )]
    KeyDamaged {
        /// The key file.
        path: PathBuf,
    },
    /// The key is another cluster's.
    #[error(
        "{} is not the key of this cluster: put the right file back from your backup",
        path.display()
    )]
    KeyWrong {
        /// The key file.
        path: PathBuf,
    },
    /// There is a log, but nothing says which node it belongs to.
    #[error(
        "{} is missing, but the log beside it is not empty: put the file back from your backup",
        path.display()
    )]
    IdentityMissing {
        /// Where the file belongs.
        path: PathBuf,
    },
    /// The file that says which node this is cannot be read.
    #[error("{} cannot be read: put the file back from your backup", path.display())]
    IdentityDamaged {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The file that says which node this is was written by a newer version.
    #[error(
        "{} has format {found}, which this version does not know: start the version that wrote it, \
         or a newer one",
        path.display()
    )]
    IdentityFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A join wrote a part of its files and was interrupted, or who this node is was lost since.
    #[error(
        "{}/raft/node.json is missing, though this machine has been let into a cluster: if a join was \
         interrupted, run `temps join` again; if the file was lost, put it back from your backup, or \
         remove the node and join again with an empty data folder",
        path.display()
    )]
    JoinUnfinished {
        /// The data folder.
        path: PathBuf,
    },
    /// A join began and came to nothing. Whoever wanted to join must not found a cluster instead.
    #[error(
        "this machine was to join a cluster, and was not let in: run `temps join` again; to found a cluster of its own \
         here, delete {} first",
        path.display()
    )]
    JoinRefused {
        /// The key that the join made.
        path: PathBuf,
    },
    /// The log is gone, and there was one.
    #[error(
        "the log in {} is gone: this node may have promised what it does not know any more, and an older log \
         from a backup would not know it either. Remove the node from its cluster and join again with an empty data \
         folder; a cluster of one node can only go on from a backup of its whole data folder",
        path.display()
    )]
    LogLost {
        /// The log's folder.
        path: PathBuf,
    },
    /// The log has lost something that was synced.
    #[error(
        "the log is damaged: {} cannot be read from octet {at} on, and it is no torn end. This node may have promised \
         what it does not know any more, and an older log from a backup would not know it either. Remove the node from \
         its cluster and join again with an empty data folder; a cluster of one node can only go on from a backup of \
         its whole data folder",
        path.display()
    )]
    LogDamaged {
        /// The segment.
        path: PathBuf,
        /// Where what cannot be read begins.
        at: usize,
    },
    /// A node that joined has lost its private key.
    #[error(
        "{} is missing, and the other nodes know this node by it: put the file back from your \
         backup, or remove the node and join again with an empty data folder",
        path.display()
    )]
    NodeKeyMissing {
        /// Where the key belongs.
        path: PathBuf,
    },
    /// The file with the node's private key holds none.
    #[error(
        "{} is damaged: put the file back from your backup, or remove the node and join again with \
         an empty data folder",
        path.display()
    )]
    NodeKeyDamaged {
        /// The file.
        path: PathBuf,
        /// Why it is none.
        #[source]
        source: TrustError,
    },
    /// A key or certificate could not be made.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The log cannot be opened.
    #[error(
        "the log in {} cannot be opened: if its disk is damaged, remove the node from its cluster and join again with \
         an empty data folder",
        path.display()
    )]
    Log {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state's store cannot be opened, and not because it is damaged.
    #[error("the state in {} cannot be opened", path.display())]
    Store {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state's store was written by a newer version.
    #[error(
        "the state in {} has format {found}, and this version reads formats up to {FORMAT}: start \
         the version that wrote it, or a newer one",
        path.display()
    )]
    StateFormat {
        /// Its folder.
        path: PathBuf,
        /// The newest format in it.
        found: u8,
    },
    /// The log begins after what is known to be applied.
    #[error(
        "the log in {} begins at entry {first}, but state and snapshots reach only to {known}: \
         restore the data folder from your backup",
        path.display()
    )]
    Gap {
        /// The log's folder.
        path: PathBuf,
        /// The first entry of the log.
        first: u64,
        /// The last entry that is known.
        known: u64,
    },
    /// The port for other nodes cannot be used.
    #[error("cannot listen for other nodes on {address}: choose another address with --peer")]
    PeerPort {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nobody leads although this node is alone.
    #[error("the node could not become the leader of its own cluster in time")]
    NotLeading,
    /// Something still uses the data folder although the node was told to stop.
    #[error("the node did not let go of its data folder within {within:?}: end its process")]
    StopTimeout {
        /// How long it had.
        within: Duration,
    },
    /// The log or the state cannot be written or read any more; nothing may be acknowledged.
    #[error("the node must stop, because its log or state failed: {reason}")]
    Failed {
        /// What failed.
        reason: String,
        /// The cause, as Raft tells it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl RaftError {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { doing, path, source }
    }

    pub(crate) fn failed(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed { reason: source.to_string(), source: Box::new(source) }
    }
}

/// Why a proposal did not take effect, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The cluster refused the command. Nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Nobody leads, so nothing can change. The proposal is in no log: try again.
    #[error("the cluster has no quorum, so nothing can be changed now: try again in a moment")]
    NoQuorum,
    /// No answer in time. The proposal may still take effect: look, or retry with the same idempotency key.
    #[error(
        "the cluster did not answer in time; the change may still happen: look before you try again"
    )]
    Timeout,
    /// The command is longer than a log entry may be.
    #[error("the change takes {bytes} bytes, more than the {max} that one change may take")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// Not every node could read the change yet. The proposal is in no log.
    #[error(transparent)]
    TooNew(#[from] TooNew),
    /// The disk has no room for the change. The proposal is in no log.
    #[error(
        "the disk with the data folder is full: {} MiB are free, and a change needs {} MiB",
        .free >> 20, .needed >> 20
    )]
    DiskFull {
        /// How many octets are free.
        free: u64,
        /// How many must be.
        needed: u64,
    },
    /// This node takes part no longer; the proposal may have taken effect before it stopped.
    #[error("this node has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Why the newest state could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Nobody leads, so nobody knows what is newest.
    #[error("the cluster has no quorum, so the newest state is not known: try again in a moment")]
    NoQuorum,
    /// No answer in time.
    #[error("the cluster did not answer in time: try again")]
    Timeout,
    /// This node takes part no longer.
    #[error("this node has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Why the lead could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// No other voter can be reached.
    #[error("no other voting node can be reached that could lead: bring one back, or let one join")]
    NobodyElse,
    /// Nobody took it in time.
    #[error("no other node took the lead in time: try again")]
    Timeout,
    /// This node takes part no longer.
    #[error("this node has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}
