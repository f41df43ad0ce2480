//! The node's content-addressed store: sources, and the layers, configurations and manifests of images, each under
//! the SHA-256 of its octets. What is in it was verified when it came.

mod digest;
mod flights;
mod parts;
mod reach;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

pub use self::digest::BlobDigest;
pub(crate) use self::flights::Flights;
pub use self::parts::PARTS_MAX;
pub(crate) use self::reach::MANIFESTS_NESTED_MAX;
use crate::BuildError;

/// The most octets a blob has.
pub const BLOB_BYTES_MAX: u64 = 16 << 30;

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    flights: Flights,
}

impl Blobs {
    /// The store in a data folder. Archives that an older version kept in `uploads` become blobs.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("blobs");
        fs::create_dir_all(folder.join("sha256"))?;
        fs::create_dir_all(folder.join("parts"))?;
        let blobs = Self { inner: Arc::new(Inner { folder, flights: Flights::default() }) };
        blobs.take_over(&data_dir.join("uploads"))?;
        Ok(blobs)
    }

    fn take_over(&self, uploads: &Path) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(uploads) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            match entry.file_name().to_str().and_then(BlobDigest::read) {
                Some(digest) => self.place(&entry.path(), &digest)?,
                None => fs::remove_file(entry.path())?,
            }
        }
        fs::remove_dir(uploads)
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: &BlobDigest) -> PathBuf {
        self.inner.folder.join("sha256").join(&digest.hex()[..2]).join(digest.hex())
    }

    /// Where blobs are that have not come whole yet. It is there even if somebody removed it under the running node.
    pub(crate) fn parts(&self) -> PathBuf {
        let parts = self.inner.folder.join("parts");
        let _ = fs::create_dir_all(&parts);
        parts
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    /// How many octets the blob has, if it is here.
    pub fn size(&self, digest: &BlobDigest) -> Option<u64> {
        self.path(digest).metadata().ok().map(|facts| facts.len())
    }

    /// Whether the blob is here.
    pub fn has(&self, digest: &BlobDigest) -> bool {
        self.size(digest).is_some()
    }

    /// The blob's file, to be read from an offset on, and how many octets the blob has; `None` when it is not here.
    pub async fn read_from(
        &self,
        digest: &BlobDigest,
        from: u64,
    ) -> io::Result<Option<(tokio::fs::File, u64)>> {
        let mut file = match tokio::fs::File::open(self.path(digest)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let size = file.metadata().await?.len();
        file.seek(io::SeekFrom::Start(from)).await?;
        Ok(Some((file, size)))
    }

    /// A small blob, read whole; `None` when it is not here or longer than `max`.
    pub fn read_small(&self, digest: &BlobDigest, max: u64) -> Option<Vec<u8>> {
        self.size(digest).filter(|size| *size <= max)?;
        fs::read(self.path(digest)).ok()
    }

    /// Keeps a blob if its octets are those of `expected`, and at most `max`; nothing of it is left otherwise.
    pub async fn put<S, E>(
        &self,
        mut stream: S,
        expected: &BlobDigest,
        max: u64,
    ) -> Result<u64, BuildError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let draft = tempfile::NamedTempFile::new_in(self.parts()).map_err(write_error)?;
        let mut file = tokio::fs::File::from_std(draft.reopen().map_err(write_error)?);
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(interrupted)?;
            bytes += chunk.len() as u64;
            if bytes > max {
                return Err(BuildError::UploadTooLarge { max });
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(write_error)?;
        }
        file.flush().await.map_err(write_error)?;
        if BlobDigest::finish(hash) != *expected {
            return Err(BuildError::BlobMismatch { digest: expected.to_string() });
        }
        self.place(draft.path(), expected).map_err(write_error)?;
        // It is not there any more under the draft's name.
        let _ = draft.into_temp_path().keep();
        Ok(bytes)
    }

    /// Keeps some octets, and tells their digest.
    pub fn put_octets(&self, octets: &[u8]) -> Result<BlobDigest, BuildError> {
        let digest = BlobDigest::of(octets);
        let write = || {
            let draft = tempfile::NamedTempFile::new_in(self.parts())?;
            fs::write(draft.path(), octets)?;
            self.place(draft.path(), &digest)?;
            let _ = draft.into_temp_path().keep();
            Ok(())
        };
        write().map_err(write_error)?;
        Ok(digest)
    }

    /// Makes a file of the parts a blob if its octets are those of `expected`, and removes it otherwise.
    pub(crate) async fn adopt(
        &self,
        path: PathBuf,
        expected: &BlobDigest,
    ) -> Result<bool, BuildError> {
        let (blobs, expected) = (self.clone(), expected.clone());
        blocking(move || {
            let right = digest_of(&path)? == expected;
            match right {
                true => blobs.place(&path, &expected)?,
                false => fs::remove_file(&path)?,
            }
            Ok(right)
        })
        .await
        .map_err(write_error)
    }

    /// Moves a file that is known to have the digest to its place.
    pub(crate) fn place(&self, from: &Path, digest: &BlobDigest) -> io::Result<()> {
        let target = self.path(digest);
        fs::create_dir_all(target.parent().unwrap_or(&target))?;
        fs::rename(from, target)
    }

    /// Removes the blob if its octets are no longer those of its digest; tells whether it was so.
    pub(crate) async fn drop_if_rotten(&self, digest: &BlobDigest) -> Result<bool, BuildError> {
        let (path, expected) = (self.path(digest), digest.clone());
        blocking(move || {
            let rotten = path.is_file() && digest_of(&path)? != expected;
            if rotten {
                fs::remove_file(&path)?;
            }
            Ok(rotten)
        })
        .await
        .map_err(write_error)
    }

    /// Returns when blobs would outlive a loss of power, as far as they are here.
    pub(crate) async fn sync(&self, digests: &BTreeSet<BlobDigest>) -> Result<(), BuildError> {
        let paths: Vec<PathBuf> = digests.iter().map(|digest| self.path(digest)).collect();
        blocking(move || {
            // The folders, too: that is where the names are.
            let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
            for path in paths.iter().map(PathBuf::as_path).chain(folders) {
                match File::open(path).and_then(|file| file.sync_all()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    synced => synced?,
                }
            }
            Ok(())
        })
        .await
        .map_err(write_error)
    }

    /// Says that somebody counts on the blob, so that it stays for a while.
    pub fn touch(&self, digest: &BlobDigest) {
        if let Ok(file) = File::options().append(true).open(self.path(digest)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Removes a blob; one that is not there is no error.
    pub fn remove(&self, digest: &BlobDigest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// When the blob came or was last counted on, if it is here.
    pub(crate) fn counted_on_at(&self, digest: &BlobDigest) -> Option<SystemTime> {
        self.path(digest).metadata().and_then(|facts| facts.modified()).ok()
    }

    /// Every blob with the time at which it came or was last counted on.
    pub fn list(&self) -> io::Result<Vec<(BlobDigest, SystemTime)>> {
        let mut blobs = Vec::new();
        let all = self.inner.folder.join("sha256");
        fs::create_dir_all(&all)?;
        for folder in fs::read_dir(all)? {
            for entry in fs::read_dir(folder?.path())? {
                let entry = entry?;
                if let Some(digest) = entry.file_name().to_str().and_then(BlobDigest::read) {
                    blobs.push((digest, entry.metadata()?.modified()?));
                }
            }
        }
        Ok(blobs)
    }
}

/// The digest of a file's octets. Blocks.
pub fn digest_of(path: &Path) -> io::Result<BlobDigest> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(BlobDigest::finish(hash)),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Runs what waits for the disk where waiting is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

pub(crate) fn write_error(source: io::Error) -> BuildError {
    BuildError::Write { what: "a blob", source }
}

pub(crate) fn interrupted(error: impl std::error::Error + Send + Sync + 'static) -> BuildError {
    BuildError::UploadInterrupted { source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        (folder, blobs)
    }

    fn chunks(data: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + use<> {
        let chunks: Vec<_> = data.chunks(3).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        futures::stream::iter(chunks)
    }

    #[tokio::test]
    async fn a_blob_is_kept_only_under_its_own_digest() {
        let (_folder, blobs) = store();
        let digest = BlobDigest::of(b"hello");
        blobs.put(chunks(b"hello"), &digest, 5).await.unwrap();
        assert_eq!((blobs.size(&digest), blobs.list().unwrap().len()), (Some(5), 1));
        let other = BlobDigest::of(b"other");
        let refused = blobs.put(chunks(b"hello"), &other, 5).await;
        assert!(matches!(refused, Err(BuildError::BlobMismatch { .. })));
        let refused = blobs.put(chunks(b"other"), &other, 4).await;
        assert!(matches!(refused, Err(BuildError::UploadTooLarge { max: 4 })));
        assert!(!blobs.has(&other) && fs::read_dir(blobs.parts()).unwrap().count() == 0);
        fs::write(blobs.path(&digest), "jello").unwrap();
        assert!(blobs.drop_if_rotten(&digest).await.unwrap() && !blobs.has(&digest));
    }

    #[tokio::test]
    async fn parts_become_a_blob_when_their_digest_is_right() {
        let (_folder, blobs) = store();
        let digest = BlobDigest::of(b"hello");
        let part = blobs.begin_part().unwrap();
        assert_eq!(blobs.append_part(&part, None, chunks(b"hel")).await.unwrap(), 3);
        assert_eq!(blobs.append_part(&part, None, chunks(b"lo")).await.unwrap(), 5);
        blobs.finish_part(&part, &digest).await.unwrap();
        assert!(blobs.has(&digest) && blobs.part_bytes(&part).is_none());
        let part = blobs.begin_part().unwrap();
        blobs.append_part(&part, None, chunks(b"x")).await.unwrap();
        let wrong = blobs.finish_part(&part, &digest).await;
        assert!(matches!(wrong, Err(BuildError::BlobMismatch { .. })));
        let gone = blobs.append_part("../../../../etc/passwd00", None, chunks(b"x")).await;
        assert!(matches!(gone, Err(BuildError::PartUnknown { .. })));
    }

    #[test]
    fn archives_of_an_older_version_become_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let digest = BlobDigest::of(b"old");
        let uploads = folder.path().join("uploads");
        fs::create_dir(&uploads).unwrap();
        fs::write(uploads.join(digest.hex()), "old").unwrap();
        fs::write(uploads.join(".tmp1"), "half").unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        assert!(blobs.has(&digest) && !uploads.exists());
    }
}
