//! Other nodes, as far as this one asks them for octets.

use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use temps_state::NodeId;

use crate::BlobDigest;

/// Octets that another node sends.
pub type PeerStream = BoxStream<'static, io::Result<Bytes>>;

/// Asks other nodes. What they answer is verified by whoever asks, so an implementation only carries octets.
pub trait Peers: Send + Sync + 'static {
    /// Asks a node for what it has under a path (see [`PeerPath`]), from an offset on. It fails with
    /// [`io::ErrorKind::NotFound`] when the node has no such thing. An answer may take minutes to begin: the node may
    /// have to ask its engine for the layers of an image first.
    fn get(
        &self,
        node: NodeId,
        path: String,
        from: u64,
    ) -> BoxFuture<'static, io::Result<PeerStream>>;
}

/// The paths that nodes answer each other below `/internal/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPath {
    /// The octets of a blob.
    Blob(BlobDigest),
    /// The files of a static site, as one archive; by the site's digest.
    Site(BlobDigest),
    /// The manifest that a tag of the registry names.
    Manifest {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
    },
}

impl PeerPath {
    /// Reads a path without `/internal/`.
    pub fn read(path: &str) -> Option<Self> {
        let (kind, rest) = path.split_once('/')?;
        match kind {
            "blobs" => BlobDigest::read(rest).map(Self::Blob),
            "sites" => BlobDigest::read(rest).map(Self::Site),
            "registry" => {
                let (repository, tag) = rest.rsplit_once("/tags/")?;
                Some(Self::Manifest { repository: repository.into(), tag: tag.into() })
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for PeerPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blob(digest) => write!(f, "blobs/{}", digest.hex()),
            Self::Site(digest) => write!(f, "sites/{}", digest.hex()),
            Self::Manifest { repository, tag } => write!(f, "registry/{repository}/tags/{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_what_it_shows() {
        let digest = BlobDigest::of(b"x");
        let manifest =
            PeerPath::Manifest { repository: "temps/web".into(), tag: digest.hex().into() };
        for path in [PeerPath::Blob(digest.clone()), PeerPath::Site(digest), manifest] {
            assert_eq!(PeerPath::read(&path.to_string()), Some(path));
        }
        for bad in ["", "blobs", "blobs/../x", "sites/x", "registry/x", "other/x"] {
            assert_eq!(PeerPath::read(bad), None, "{bad}");
        }
    }
}
