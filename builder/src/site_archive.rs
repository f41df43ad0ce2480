//! A static site as one archive, to go from node to node: the manifest, then its files by name. The same site always
//! makes the same archive, so that a transfer can go on where it stopped. Whoever unpacks it verifies every octet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use bytes::Bytes;
use futures::{Stream, stream};
use sha2::{Digest, Sha256};
use temps_state::{Encoding, MANIFEST, Manifest};
use tokio::sync::mpsc;

use crate::BlobDigest;
use crate::blobs::digest_of;
use crate::static_site::{SITE_BYTES_MAX, SITE_FILES_MAX, place};

/// The most octets of a manifest: about 400 for each file.
const MANIFEST_BYTES_MAX: u64 = SITE_FILES_MAX << 10;
/// The octets of a piece, and how many of them wait for a slow reader.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_AHEAD: usize = 4;

/// The archive of the site in a folder, from an offset on.
pub(crate) fn read(folder: &Path, from: u64) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
    let folder = folder.to_path_buf();
    tokio::task::spawn_blocking(move || {
        let pipe = Pipe { skip: from, pieces: pieces.clone() };
        let mut pipe = BufWriter::with_capacity(PIECE_BYTES, pipe);
        if let Err(error) = pack(&folder, &mut pipe).and_then(|()| pipe.flush()) {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    })
}

/// Passes on what is written, but for the beginning that the reader has.
struct Pipe {
    skip: u64,
    pieces: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(octets.len() as u64);
        self.skip -= skipped;
        let rest = octets.get(skipped as usize..).unwrap_or_default();
        if !rest.is_empty() {
            let sent = self.pieces.blocking_send(Ok(Bytes::copy_from_slice(rest)));
            sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pack(folder: &Path, out: impl Write) -> io::Result<()> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST))?)?;
    let mut archive = tar::Builder::new(out);
    for name in [MANIFEST.to_owned()].into_iter().chain(names(&manifest).into_keys()) {
        let mut file = File::open(folder.join(&name))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        archive.append_data(&mut header, &name, &mut file)?;
    }
    archive.finish()
}

/// A file's name on disk, with the digest and size of what is in it once it is decoded.
type Names = BTreeMap<String, (Option<Encoding>, String, u64)>;

fn names(manifest: &Manifest) -> Names {
    let mut names = Names::new();
    for file in manifest.files.values() {
        names.insert(file.sha256.clone(), (None, file.sha256.clone(), file.bytes));
        for encoding in &file.encodings {
            let name = format!("{}.{}", file.sha256, encoding.extension());
            names.insert(name, (Some(*encoding), file.sha256.clone(), file.bytes));
        }
    }
    names
}

/// Unpacks an archive into `sites` if it is the site of that digest; tells whether it was.
pub(crate) fn unpack(archive: &Path, sites: &Path, digest: &BlobDigest) -> io::Result<bool> {
    fs::create_dir_all(sites)?;
    let draft = tempfile::Builder::new().prefix("draft-").tempdir_in(sites)?;
    let mut archive = tar::Archive::new(File::open(archive)?.take(2 * SITE_BYTES_MAX));
    match unpack_into(&mut archive, draft.path(), digest) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
        // What cannot be read is no site.
        Err(_) => return Ok(false),
    }
    rustix::fs::syncfs(File::open(draft.path())?)?;
    place(draft, &sites.join(digest.hex()))?;
    Ok(true)
}

fn unpack_into(
    archive: &mut tar::Archive<impl Read>,
    draft: &Path,
    digest: &BlobDigest,
) -> io::Result<bool> {
    let mut entries = archive.entries()?;
    let Some(first) = entries.next().transpose()? else { return Ok(false) };
    let mut octets = Vec::new();
    first.take(MANIFEST_BYTES_MAX).read_to_end(&mut octets)?;
    let manifest: Manifest = serde_json::from_slice(&octets)?;
    if BlobDigest::of(&serde_json::to_vec(&manifest.files)?) != *digest {
        return Ok(false);
    }
    let mut missing = names(&manifest);
    if missing.keys().any(|name| !is_plain(name)) {
        return Ok(false);
    }
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let Some((encoding, sha256, bytes)) = missing.remove(&name) else { return Ok(false) };
        let path = draft.join(&name);
        io::copy(&mut entry, &mut File::create_new(&path)?)?;
        if !is_right(&path, encoding, &sha256, bytes)? {
            return Ok(false);
        }
    }
    fs::write(draft.join(MANIFEST), octets)?;
    Ok(missing.is_empty())
}

/// Whether a name is 64 digits, with a short extension at most: it never leads out of the folder.
fn is_plain(name: &str) -> bool {
    let (digits, extension) = name.split_once('.').unwrap_or((name, ""));
    BlobDigest::read(digits).is_some() && extension.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_right(path: &Path, encoding: Option<Encoding>, sha256: &str, bytes: u64) -> io::Result<bool> {
    let Some(encoding) = encoding else { return Ok(digest_of(path)?.hex() == sha256) };
    let file = io::BufReader::new(File::open(path)?);
    let mut decoded: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(flate2::bufread::GzDecoder::new(file)),
        Encoding::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        Encoding::Brotli => Box::new(brotli::Decompressor::new(file, PIECE_BYTES)),
    };
    let mut hash = Sha256::new();
    // One more than there should be, so that a longer one differs.
    let mut decoded = decoded.by_ref().take(bytes + 1);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match decoded.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize()) == sha256),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::static_site::{Served, publish};

    async fn archive(folder: &Path, from: u64) -> Vec<u8> {
        let pieces: Vec<Bytes> = Box::pin(read(folder, from)).try_collect().await.unwrap();
        pieces.concat()
    }

    #[tokio::test]
    async fn a_site_comes_out_as_it_went_in_and_only_that_one() {
        let (root, sites, other) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        fs::write(root.path().join("index.html"), "<p>hello</p>".repeat(9_000)).unwrap();
        fs::write(root.path().join("a.txt"), "a").unwrap();
        let digest = publish(root.path(), sites.path(), Served::All).unwrap();
        let folder = sites.path().join(&digest);
        let whole = archive(&folder, 0).await;
        assert_eq!(archive(&folder, 700).await, whole[700..]);
        assert!(archive(&folder, whole.len() as u64 + 1).await.is_empty());

        let digest = BlobDigest::read(&digest).unwrap();
        let file = root.path().join("site.tar");
        let names = |folder: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        for broken in [700, whole.len() / 2] {
            let mut octets = whole.clone();
            octets[broken] ^= 1;
            fs::write(&file, octets).unwrap();
            assert!(!unpack(&file, other.path(), &digest).unwrap(), "octet {broken}");
        }
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(!unpack(&file, other.path(), &digest).unwrap());
        fs::write(&file, &whole).unwrap();
        assert!(!unpack(&file, other.path(), &BlobDigest::of(b"other")).unwrap());
        assert!(names(other.path()).is_empty(), "no draft is left");
        assert!(unpack(&file, other.path(), &digest).unwrap());
        assert_eq!(names(&other.path().join(digest.hex())), names(&folder));
    }
}
