//! Uploaded source archives, each kept under the SHA-256 of its octets.

use std::path::PathBuf;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use crate::archive::Compression;
use crate::{BlobDigest, Blobs, BuildError};

/// The most octets an uploaded archive has unless the caller sets less.
pub const UPLOAD_BYTES_MAX: u64 = 512 << 20;

/// The archives that clients and pushes sent to this node.
#[derive(Clone)]
pub struct Uploads {
    blobs: Blobs,
}

/// An archive that was received whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// SHA-256 of its octets, in hex.
    pub digest: String,
    /// How many octets it has.
    pub bytes: u64,
}

impl Uploads {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }

    /// Where the archive of that digest is, or would be. A text that is not a digest leads nowhere.
    pub fn path(&self, digest: &str) -> PathBuf {
        match BlobDigest::read(digest) {
            Some(digest) => self.blobs.path(&digest),
            None => self.blobs.parts().join("not-a-digest"),
        }
    }

    /// Receives a tar.gz or tar.zst archive of at most `max` octets. It is on disk, synced, when this returns;
    /// nothing of it is left when this fails or is dropped.
    pub async fn receive<S, E>(&self, mut stream: S, max: u64) -> Result<Upload, BuildError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let failed = |source| BuildError::Write { what: "the upload", source };
        let temporary = tempfile::NamedTempFile::new_in(self.blobs.parts()).map_err(failed)?;
        let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(failed)?);
        let (mut hash, mut bytes, mut head) = (Sha256::new(), 0, Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| BuildError::UploadInterrupted { source: Box::new(e) })?;
            bytes += chunk.len() as u64;
            if bytes > max {
                return Err(BuildError::UploadTooLarge { max });
            }
            if head.len() < Compression::MAGIC_BYTES {
                head.extend(chunk.iter().take(Compression::MAGIC_BYTES));
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(failed)?;
        }
        if Compression::of(&head).is_none() {
            return Err(BuildError::UploadNotArchive);
        }
        file.sync_all().await.map_err(failed)?;
        let digest = BlobDigest::finish(hash);
        self.blobs.place(temporary.path(), &digest).map_err(failed)?;
        // It is not there any more under the draft's name.
        let _ = temporary.into_temp_path().keep();
        let path = self.blobs.path(&digest);
        for folder in path.ancestors().skip(1).take(2) {
            crate::disk::sync_folder(folder).map_err(failed)?;
        }
        Ok(Upload { digest: digest.hex().into(), bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn chunks(data: &[u8]) -> impl Stream<Item = Result<Bytes, io::Error>> + Unpin + use<> {
        let chunks: Vec<_> = data.chunks(3).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        futures::stream::iter(chunks)
    }

    #[tokio::test]
    async fn an_upload_is_kept_under_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(Blobs::open(folder.path()).unwrap());
        let data = [0x1f, 0x8b, 1, 2, 3, 4, 5];
        let upload = uploads.receive(chunks(&data), 100).await.unwrap();
        assert_eq!(upload.bytes, 7);
        assert_eq!(upload.digest, hex::encode(Sha256::digest(data)));
        assert_eq!(std::fs::read(uploads.path(&upload.digest)).unwrap(), data);
    }

    #[tokio::test]
    async fn what_is_refused_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(Blobs::open(folder.path()).unwrap());
        let large = uploads.receive(chunks(&[0x1f; 20]), 10).await;
        assert!(matches!(large, Err(BuildError::UploadTooLarge { max: 10 })));
        let text = uploads.receive(chunks(b"hello"), 10).await;
        assert!(matches!(text, Err(BuildError::UploadNotArchive)));
        let broken = futures::stream::iter([Err::<Bytes, _>(io::Error::other("gone"))]);
        let broken = uploads.receive(broken, 10).await;
        assert!(matches!(broken, Err(BuildError::UploadInterrupted { .. })));
        assert_eq!(std::fs::read_dir(uploads.blobs.parts()).unwrap().count(), 0);
        assert!(uploads.blobs.list().unwrap().is_empty());
    }

    #[test]
    fn a_digest_never_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(Blobs::open(folder.path()).unwrap());
        for text in ["../../etc/passwd", "", "ab", &"/".repeat(64)] {
            assert!(uploads.path(text).ends_with("parts/not-a-digest"));
        }
    }
}
