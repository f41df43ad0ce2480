//! Why a node does not start, or stops, and what to do about it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use temps_api::ApiError;
use temps_builder::BuildError;
use temps_mesh::MeshError;
use temps_proxy::EdgeError;
use temps_raft::{JoinError, ProposeError, RaftError, ReadError};

use crate::error::Exit;
use crate::node_config::ConfigError;
use crate::upgrade::handover::Failed;

/// Why a node does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A flag that cannot be followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be written.
    #[error("cannot use the data folder {}", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address} for --{flag}")]
    Listen {
        /// The flag that named it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no threads.
    #[error("cannot start the node's threads")]
    Threads(#[source] io::Error),
    /// The machine cannot join the cluster.
    #[error("cannot join the cluster")]
    Join(#[source] JoinError),
    /// The cluster removed the node.
    #[error("this node was removed from its cluster")]
    Removed,
    /// The peer port cannot be used for streams.
    #[error("cannot open streams to other nodes")]
    Mesh(#[source] MeshError),
    /// The replicated state cannot be opened.
    #[error("cannot open the replicated state")]
    Open(#[source] RaftError),
    /// Nothing can look at domains.
    #[error("cannot make ready what looks at domains")]
    Probe(#[source] reqwest::Error),
    /// Nothing can answer for the cluster's zones.
    #[error("cannot start what answers for the cluster's zones")]
    Authority(#[source] io::Error),
    /// The first admin cannot be made.
    #[error("cannot make the first admin")]
    Admin(#[source] ApiError),
    /// The cluster does not take the node.
    #[error("cannot tell the cluster of this node")]
    Record(#[source] ProposeError),
    /// The builder cannot use its folders.
    #[error("cannot open the builder")]
    Builder(#[source] BuildError),
    /// The registry of the node's own engine cannot listen.
    #[error("cannot open the registry on loopback")]
    Registry(#[source] io::Error),
    /// The edge cannot start.
    #[error("cannot start the edge")]
    Edge(#[source] EdgeError),
    /// The API stopped by itself.
    #[error("the API stopped")]
    Api(#[source] io::Error),
    /// The node can no longer keep what it acknowledges.
    #[error("the node stopped, because it can no longer keep what it acknowledges")]
    Failed(#[source] RaftError),
    /// What the process before leaves cannot be taken, or be told of.
    #[error("cannot take over from the process before")]
    TakeOver(#[source] io::Error),
    /// The process before ended, and nobody knows whether it wanted this one to go on.
    #[error("the process before ended before this one served")]
    Orphaned,
    /// A process that follows another does not find the cluster.
    #[error("the cluster is not found")]
    Unheard(#[source] ReadError),
    /// No process follows this one.
    #[error("neither the new program nor the one before came up")]
    Follow(#[source] Failed),
    /// Something could not be made durable at the end.
    #[error("the node stopped, but not everything was written")]
    Stop(#[source] RaftError),
}

impl ServeError {
    /// The replicated state cannot be opened, or the port for other nodes be had.
    pub fn open(error: RaftError) -> Self {
        match error {
            RaftError::PeerPort { address, source } => {
                Self::Listen { flag: "peer", address, source }
            }
            error => Self::Open(error),
        }
    }

    /// The port for streams of other nodes cannot be had.
    pub fn mesh(error: MeshError) -> Self {
        match error {
            MeshError::Bind { address, source } => Self::Listen { flag: "peer", address, source },
            error => Self::Mesh(error),
        }
    }

    /// How the process shall end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Join(JoinError::TokenMalformed(_)) => Exit::Usage,
            Self::Join(JoinError::NoQuorum) => Exit::NoQuorum,
            _ => Exit::Failed,
        }
    }

    /// Why, and what to do next.
    pub fn advice(&self) -> (String, String) {
        match self {
            Self::Config(error) => error.advice(),
            Self::DataDir { source, path } => (
                source.to_string(),
                format!("make {} writable, or choose another: --data-dir FOLDER", path.display()),
            ),
            Self::Listen { flag, address, source } => listen(flag, *address, source),
            Self::Join(error) => join(error),
            Self::Removed => (
                "it was removed while it was away, or without being drained".into(),
                "to come back as a new node, empty the data folder, and run here what `temps nodes token` prints on \
                 another node"
                    .into(),
            ),
            _ => (self.causes(), self.next().into()),
        }
    }

    /// What failed and why, on one line.
    pub fn in_full(&self) -> String {
        let (why, _) = self.advice();
        if why.is_empty() { self.to_string() } else { format!("{self}: {why}") }
    }

    fn next(&self) -> &'static str {
        match self {
            Self::Open(_) => "do what is said above, then start the node again",
            Self::Admin(_) => {
                "set TEMPS_ADMIN_EMAIL and TEMPS_ADMIN_PASSWORD to other values, or unset them"
            }
            Self::Edge(EdgeError::ReadCountries { .. }) => {
                "name another file with --geoip, or start the node without one"
            }
            Self::Edge(_) => {
                "choose other addresses: --http ADDRESS --https ADDRESS (or --https off)"
            }
            Self::Failed(_) | Self::Stop(_) => {
                "check the disk (dmesg, df -h), then start the node again"
            }
            Self::Builder(_) => "check the data folder's permissions and free space",
            _ => "start the node again; if it stays, start it with --log-level debug",
        }
    }

    /// Every cause, the outermost first; one that says what the one above said already is left out.
    fn causes(&self) -> String {
        let mut text = String::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.contains(&line) {
                let between = if text.is_empty() { "" } else { ": " };
                text = format!("{text}{between}{line}");
            }
            cause = error.source();
        }
        text
    }
}

/// A join's failure says itself what to do next, after why.
fn join(error: &JoinError) -> (String, String) {
    let text = error.to_string();
    let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match text.split_once(": ") {
        Some((why, next)) => (format!("{why}{cause}"), next.into()),
        None => (format!("{text}{cause}"), "run the same line again".into()),
    }
}

fn listen(flag: &str, address: SocketAddr, source: &io::Error) -> (String, String) {
    match source.kind() {
        io::ErrorKind::AddrInUse => (
            format!("another program listens on port {}", address.port()),
            format!(
                "ss -ltnp 'sport = :{}', or choose another port: --{flag} ADDRESS",
                address.port()
            ),
        ),
        io::ErrorKind::PermissionDenied => (
            "ports below 1024 need root or CAP_NET_BIND_SERVICE".into(),
            format!("run it as root, or choose another port: --{flag} {}:8080", address.ip()),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is no address of this machine", address.ip()),
            format!("ip addr, then --{flag} ADDRESS"),
        ),
        _ => (source.to_string(), format!("choose another address: --{flag} ADDRESS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_how_to_find_who_has_it() {
        let address = "127.0.0.1:3000".parse().unwrap();
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        let (why, next) = ServeError::Listen { flag: "api", address, source }.advice();
        assert_eq!(why, "another program listens on port 3000");
        assert!(next.contains("ss -ltnp") && next.contains("--api"));
    }

    #[test]
    fn causes_are_told_in_order_and_once() {
        let path = PathBuf::from("/data");
        let error = ServeError::Open(RaftError::Locked { path, by: Some(7) });
        let (why, _) = error.advice();
        assert!(why.contains("/data") && why.contains("number 7"));
    }
}
