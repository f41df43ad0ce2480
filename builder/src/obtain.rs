//! Gets octets from whichever other node has them: verified, resumed, and asked for once at a time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use temps_state::NodeId;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::blobs::{BLOB_BYTES_MAX, write_error};
use crate::peers::{PeerPath, Peers};
use crate::{BlobDigest, Blobs, BuildError};

/// How long a node may take to begin its answer, in seconds: its engine may have to hand over an image first.
pub const PEER_ANSWER_SECONDS_MAX: u64 = 600;
/// How long a node may send nothing in the middle of an answer, in seconds.
pub const PEER_STALLED_SECONDS_MAX: u64 = 20;
/// How often all candidates are asked again while each time more of the octets has come.
pub const ROUNDS_MAX: usize = 10;
/// The most octets of an answer that is kept in memory.
pub const SMALL_ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Whom was asked in vain, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Asked(Vec<(NodeId, String)>);

impl Asked {
    fn note(&mut self, node: NodeId, outcome: impl fmt::Display) {
        self.0.retain(|(asked, _)| *asked != node);
        self.0.push((node, outcome.to_string()));
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "no other node could be asked");
        }
        let outcomes = self.0.iter().map(|(node, outcome)| format!("node {node}: {outcome}"));
        write!(f, "{}", outcomes.collect::<Vec<_>>().join("; "))
    }
}

/// Says whether what came is what was wanted, and takes it.
pub(crate) trait Accept: Sync {
    /// Takes the file, or says that it is wrong.
    fn accept(&self, part: &Path) -> impl Future<Output = Result<bool, BuildError>> + Send;
}

/// Something that other nodes have, on its way into a file of the store's parts.
pub(crate) struct Download<'a> {
    pub(crate) peers: &'a Arc<dyn Peers>,
    pub(crate) path: PeerPath,
    pub(crate) part: PathBuf,
}

impl Download<'_> {
    /// Asks the candidates in their order until what came is accepted. What a candidate sent before it broke off is
    /// not sent again; what was not accepted is thrown away.
    pub(crate) async fn run(
        &self,
        candidates: &[NodeId],
        wanted: &impl Accept,
    ) -> Result<Result<(), Asked>, BuildError> {
        let mut asked = Asked::default();
        for _ in 0..ROUNDS_MAX {
            let before = self.here();
            for node in candidates {
                if self.ask(*node, &mut asked, wanted).await? {
                    return Ok(Ok(()));
                }
            }
            if self.here() <= before {
                break;
            }
        }
        Ok(Err(asked))
    }

    async fn ask(
        &self,
        node: NodeId,
        asked: &mut Asked,
        wanted: &impl Accept,
    ) -> Result<bool, BuildError> {
        // A second time when what was there already may be what was wrong.
        for resumed in [self.here() > 0, false] {
            match self.receive(node).await {
                Ok(()) if wanted.accept(&self.part).await? => return Ok(true),
                Ok(()) => asked.note(node, "what it sent is not what was asked for"),
                Err(BuildError::Read { source, .. }) => {
                    asked.note(node, source);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            let _ = std::fs::remove_file(&self.part);
            if !resumed {
                break;
            }
        }
        Ok(false)
    }

    fn here(&self) -> u64 {
        self.part.metadata().map_or(0, |facts| facts.len())
    }

    async fn receive(&self, node: NodeId) -> Result<(), BuildError> {
        let from = self.here();
        let mut stream = answer(self.peers, node, &self.path, from).await?;
        let file = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.part).await;
        let mut file = file.map_err(write_error)?;
        let mut bytes = from;
        let stalled = Duration::from_secs(PEER_STALLED_SECONDS_MAX);
        let received = loop {
            match timeout(stalled, stream.next()).await {
                Ok(None) => break Ok(()),
                Ok(Some(Ok(chunk))) => {
                    bytes += chunk.len() as u64;
                    if bytes > BLOB_BYTES_MAX {
                        break Err(read_error(io::ErrorKind::FileTooLarge.into()));
                    }
                    file.write_all(&chunk).await.map_err(write_error)?;
                }
                Ok(Some(Err(source))) => break Err(read_error(source)),
                Err(_) => break Err(read_error(io::ErrorKind::TimedOut.into())),
            }
        };
        file.flush().await.map_err(write_error)?;
        received
    }
}

async fn answer(
    peers: &Arc<dyn Peers>,
    node: NodeId,
    path: &PeerPath,
    from: u64,
) -> Result<crate::peers::PeerStream, BuildError> {
    let asking = peers.get(node, path.to_string(), from);
    let answered = timeout(Duration::from_secs(PEER_ANSWER_SECONDS_MAX), asking).await;
    answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(read_error)
}

/// A small answer of one node, whole.
pub(crate) async fn ask_small(
    peers: &Arc<dyn Peers>,
    node: NodeId,
    path: &PeerPath,
) -> io::Result<Vec<u8>> {
    let receiving = async {
        let mut stream = peers.get(node, path.to_string(), 0).await?;
        let mut octets = Vec::new();
        while let Some(chunk) = stream.next().await {
            octets.extend_from_slice(&chunk?);
            if octets.len() as u64 > SMALL_ANSWER_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        Ok(octets)
    };
    let limit = Duration::from_secs(PEER_ANSWER_SECONDS_MAX);
    timeout(limit, receiving).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The answers of the candidates to a small question, until `accept` takes one.
pub(crate) async fn ask_each(
    peers: &Arc<dyn Peers>,
    path: &PeerPath,
    candidates: &[NodeId],
    accept: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, Asked> {
    let mut asked = Asked::default();
    for node in candidates {
        match ask_small(peers, *node, path).await {
            Ok(octets) if accept(&octets) => return Ok(octets),
            Ok(_) => asked.note(*node, "what it sent is not what was asked for"),
            Err(error) => asked.note(*node, error),
        }
    }
    Err(asked)
}

impl Blobs {
    /// Gets a blob from the first candidate that has it, unless it is here. Everybody who asks at the same time gets
    /// it by one transfer; an interrupted one goes on where it stopped.
    pub(crate) async fn obtain(
        &self,
        peers: Option<&Arc<dyn Peers>>,
        digest: &BlobDigest,
        candidates: &[NodeId],
    ) -> Result<(), BuildError> {
        let _alone = self.flights().lock(digest.hex()).await;
        if self.has(digest) {
            return Ok(());
        }
        let missing = |asked: Asked| BuildError::BlobMissing {
            digest: digest.to_string(),
            asked: asked.to_string(),
        };
        let Some(peers) = peers else { return Err(missing(Asked::default())) };
        let part = self.parts().join(digest.hex());
        let download = Download { peers, path: PeerPath::Blob(digest.clone()), part };
        download.run(candidates, &Whole { blobs: self, digest }).await?.map_err(missing)
    }
}

/// A blob that was asked for.
struct Whole<'a> {
    blobs: &'a Blobs,
    digest: &'a BlobDigest,
}

impl Accept for Whole<'_> {
    async fn accept(&self, part: &Path) -> Result<bool, BuildError> {
        self.blobs.adopt(part.into(), self.digest).await
    }
}

fn read_error(source: io::Error) -> BuildError {
    BuildError::Read { what: "from another node", source }
}
