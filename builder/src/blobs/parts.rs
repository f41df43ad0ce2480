//! Blobs that arrive in several requests: each is a file of its own until its digest is known to be right.

use std::path::PathBuf;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use super::{BLOB_BYTES_MAX, BlobDigest, Blobs, interrupted, write_error};
use crate::BuildError;

/// How many blobs may be arriving in parts at once.
pub const PARTS_MAX: usize = 256;
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

    /// Goes on with a begun blob; tells how much of it is there then. What arrived stays when the stream breaks off.
    pub async fn append_part<S, E>(&self, part: &str, mut stream: S) -> Result<u64, BuildError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let unknown = || BuildError::PartUnknown { part: part.chars().take(64).collect() };
        let path = self.sent(part).ok_or_else(unknown)?;
        let _alone = self.flights().lock(part).await;
        let file = tokio::fs::OpenOptions::new().append(true).open(&path).await;
        let mut file = file.map_err(|_| unknown())?;
        let mut bytes = file.metadata().await.map_err(write_error)?.len();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(interrupted)?;
            bytes += chunk.len() as u64;
            if bytes > BLOB_BYTES_MAX {
                return Err(BuildError::UploadTooLarge { max: BLOB_BYTES_MAX });
            }
            file.write_all(&chunk).await.map_err(write_error)?;
        }
        file.flush().await.map_err(write_error)?;
        Ok(bytes)
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
