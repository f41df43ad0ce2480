//! The build context: the app's folder as a tar stream.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;

use crate::dockerignore::Dockerignore;

/// How many pieces of the stream wait for the engine at once.
const PIECES_WAITING_MAX: usize = 8;
/// Octets of one piece.
const PIECE_BYTES: usize = 256 << 10;

/// What the engine gets to build from.
pub(crate) struct BuildContext {
    pub(crate) folder: PathBuf,
    pub(crate) ignore: Dockerignore,
    /// Files that are in the context whatever the rules say, by their paths; a text replaces what is in the folder.
    pub(crate) files: Vec<(String, String)>,
}

impl BuildContext {
    /// The context as octets; made on a thread of its own while they are sent. Dropping the stream ends the thread.
    pub(crate) fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (pieces, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
            if let Err(error) = self.write(out) {
                // Nobody listens any more when this fails too.
                let _ = pieces.blocking_send(Err(error));
            }
        });
        futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|piece| (piece, receiver))
        })
    }

    fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        tar.mode(tar::HeaderMode::Complete);
        self.append_folder(&mut tar, Path::new(""))?;
        for (path, text) in &self.files {
            let mut header = header(tar::EntryType::Regular, 0o644, 0);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes())?;
        }
        tar.into_inner()?.flush()
    }

    fn replaces(&self, path: &Path) -> bool {
        self.files.iter().any(|(replaced, _)| path == Path::new(replaced))
    }

    fn append_folder(&self, tar: &mut tar::Builder<impl Write>, inner: &Path) -> io::Result<()> {
        let mut entries: Vec<_> =
            fs::read_dir(self.folder.join(inner))?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = inner.join(entry.file_name());
            let is_folder = entry.file_type()?.is_dir();
            let out = self.ignore.excludes(&path, is_folder);
            if is_folder && (!out || self.ignore.takes_back()) {
                if !out {
                    append(tar, &entry, &path)?;
                }
                self.append_folder(tar, &path)?;
            } else if !is_folder && !out && !self.replaces(&path) {
                append(tar, &entry, &path)?;
            }
        }
        Ok(())
    }
}

fn append(tar: &mut tar::Builder<impl Write>, entry: &fs::DirEntry, path: &Path) -> io::Result<()> {
    let facts = entry.metadata()?;
    let modified =
        facts.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let seconds = modified.map_or(0, |since| since.as_secs());
    let mode = facts.permissions().mode() & 0o777;
    if facts.is_dir() {
        let mut header = header(tar::EntryType::Directory, mode, seconds);
        tar.append_data(&mut header, path, io::empty())
    } else if facts.is_symlink() {
        let mut header = header(tar::EntryType::Symlink, 0o777, seconds);
        tar.append_link(&mut header, path, fs::read_link(entry.path())?)
    } else if facts.is_file() {
        let mut header = header(tar::EntryType::Regular, mode, seconds);
        header.set_size(facts.len());
        // A file that shrinks meanwhile must not shift what follows it.
        let file = File::open(entry.path())?;
        tar.append_data(&mut header, path, Exactly { file, left: facts.len() })
    } else {
        Ok(())
    }
}

fn header(kind: tar::EntryType, mode: u32, modified: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(modified);
    header.set_size(0);
    header
}

/// Reads exactly so many octets of a file, or fails.
struct Exactly {
    file: File,
    left: u64,
}

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..want])?;
        self.left -= read as u64;
        if read == 0 && want > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

/// Hands what is written to a channel.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(data);
        let sent = self.0.blocking_send(Ok(piece));
        sent.map(|()| data.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    fn packed(ignore: &str, dockerfile: &str) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Dockerfile", "FROM old");
        write("src/main.js", "main");
        write("src/deep/keep.txt", "keep");
        write("node_modules/x.js", "x");
        std::os::unix::fs::symlink("main.js", folder.path().join("src/link")).unwrap();
        let context = BuildContext {
            folder: folder.path().into(),
            ignore: Dockerignore::read(ignore),
            files: vec![(dockerfile.into(), "FROM new".into())],
        };
        let mut tar = Vec::new();
        context.write(&mut tar).unwrap();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(link) = entry.link_name().unwrap() {
                text = format!("-> {}", link.display());
            }
            files.insert(entry.path().unwrap().display().to_string(), text);
        }
        files
    }

    #[test]
    fn the_context_holds_what_is_not_ignored_and_always_the_dockerfile() {
        let files = packed("node_modules\nDockerfile\nsrc\n!src/deep", "Dockerfile");
        let paths: Vec<_> = files.keys().map(|p| p.trim_end_matches('/')).collect();
        assert_eq!(paths, ["Dockerfile", "src/deep", "src/deep/keep.txt"]);
        assert_eq!(files["Dockerfile"], "FROM new");
    }

    #[test]
    fn links_stay_links() {
        let files = packed("", "other");
        assert_eq!(files["src/link"], "-> main.js");
        assert_eq!(files["Dockerfile"], "FROM old");
        assert_eq!(files["other"], "FROM new");
    }
}
