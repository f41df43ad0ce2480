//! Blobs that arrive in several requests: each is a file of its own until its digest is known to be right.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{BLOB_BYTES_MAX, BlobDigest, Blobs, interrupted, write_error};
use crate::BuildError;

/// How many blobs may be arriving in parts at once.
pub const PARTS_MAX: usize = 256;
/// How long whoever sends one may send nothing of it, before it is for others to go on.
pub const PART_STALLED_MAX: Duration = Duration::from_secs(20);
/// How the names of parts begin that a client sends.
const PREFIX: &str = "sent-";
/// How many random letters and digits such a name has.
const NAME_CHARS: usize = 24;

impl Blobs {
    /// Begins a blob; the name is needed to go on with it.
    pub fn begin_part(&self) -> Result<String, BuildError> {
        let entries = std::fs::read_dir(self.parts()).map_err(write_error)?;
        if entries.count() >= PARTS_MAX {
            return Err(BuildError::TooManyParts { max: PARTS_MAX });
        }
        let (_, path) = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(NAME_CHARS)
            .tempfile_in(self.parts())
            .and_then(|file| file.keep().map_err(|failed| failed.error))
            .map_err(write_error)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(name.trim_start_matches(PREFIX).into())
    }

    /// How much of a begun blob is there.
    pub fn part_bytes(&self, part: &str) -> Option<u64> {
        self.sent(part)?.metadata().ok().map(|facts| facts.len())
    }

    /// Goes on with a begun blob, at `from` if that is told; tells how much of it is there then. What arrived stays when
    /// the stream breaks off, or stalls.
    pub async fn append_part<S, E>(
        &self,
        part: &str,
        from: Option<u64>,
        stream: S,
    ) -> Result<u64, BuildError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.append(part, from, stream, PART_STALLED_MAX).await
    }

    async fn append<S, E>(
        &self,
        part: &str,
        from: Option<u64>,
        stream: S,
        stalled_max: Duration,
    ) -> Result<u64, BuildError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let unknown = || BuildError::PartUnknown { part: part.chars().take(64).collect() };
        let path = self.sent(part).ok_or_else(unknown)?;
        let _alone = self.flights().lock(part).await;
        let file = tokio::fs::OpenOptions::new().append(true).open(&path).await;
        let mut file = file.map_err(|_| unknown())?;
        let bytes = file.metadata().await.map_err(write_error)?.len();
        if from.is_some_and(|from| from != bytes) {
            return Err(BuildError::PartMisplaced);
        }
        let received = receive(&mut file, bytes, stream, stalled_max).await;
        // Whoever goes on finds all of it.
        file.flush().await.map_err(write_error)?;
        received
    }

    /// Makes a begun blob one of the store's, if its octets are those of `expected`; else it is gone.
    pub async fn finish_part(&self, part: &str, expected: &BlobDigest) -> Result<(), BuildError> {
        let unknown = || BuildError::PartUnknown { part: part.chars().take(64).collect() };
        let path = self.sent(part).filter(|path| path.is_file()).ok_or_else(unknown)?;
        let _alone = self.flights().lock(part).await;
        match self.adopt(path, expected).await? {
            true => Ok(()),
            false => Err(BuildError::BlobMismatch { digest: expected.to_string() }),
        }
    }

    /// Gives a begun blob up.
    pub fn abandon_part(&self, part: &str) {
        if let Some(path) = self.sent(part) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn sent(&self, part: &str) -> Option<PathBuf> {
        let plain = part.len() == NAME_CHARS && part.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| self.parts().join(format!("{PREFIX}{part}")))
    }
}

/// Writes what comes after so many octets; tells how many there are then.
async fn receive<S, E>(
    file: &mut File,
    mut bytes: u64,
    mut stream: S,
    stalled_max: Duration,
) -> Result<u64, BuildError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    let stalled = |_| interrupted(io::Error::from(io::ErrorKind::TimedOut));
    while let Some(chunk) = timeout(stalled_max, stream.next()).await.map_err(stalled)? {
        let chunk = chunk.map_err(interrupted)?;
        bytes += chunk.len() as u64;
        if bytes > BLOB_BYTES_MAX {
            return Err(BuildError::UploadTooLarge { max: BLOB_BYTES_MAX });
        }
        file.write_all(&chunk).await.map_err(write_error)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn store() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        (folder, blobs)
    }

    fn piece(octets: &'static str) -> stream::Iter<std::vec::IntoIter<io::Result<Bytes>>> {
        stream::iter(vec![Ok(octets.into())])
    }

    #[tokio::test]
    async fn a_blob_is_gone_on_with_once_whoever_sent_it_stalled() {
        let (_folder, blobs) = store();
        let part = blobs.begin_part().unwrap();
        let stalls = piece("hel").chain(stream::pending());
        let stalled = blobs.append(&part, None, stalls, SHORT).await;
        assert!(matches!(stalled, Err(BuildError::UploadInterrupted { .. })), "{stalled:?}");
        assert_eq!(blobs.append_part(&part, Some(3), piece("lo")).await.unwrap(), 5);
        blobs.finish_part(&part, &BlobDigest::of(b"hello")).await.unwrap();
    }

    #[tokio::test]
    async fn of_two_pieces_for_one_place_the_second_is_refused() {
        let (_folder, blobs) = store();
        let part = blobs.begin_part().unwrap();
        let (first, second) = tokio::join!(
            blobs.append_part(&part, Some(0), piece("hel")),
            blobs.append_part(&part, Some(0), piece("HEL")),
        );
        assert!(matches!((first, second), (Ok(3), Err(BuildError::PartMisplaced))));
        assert_eq!(blobs.part_bytes(&part), Some(3));
    }
}
