//! Unpacks tar archives that nobody vouches for.
//!
//! Every path is taken apart into plain names and put together again below the target folder; every folder on the way
//! must be a real one. So no entry can land outside, whatever it is called and whatever links came before it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

/// The most octets an archive unpacks to.
pub const UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// The most entries an archive has.
pub const ENTRIES_MAX: u64 = 200_000;
/// The deepest path an archive has, in folders.
pub const DEPTH_MAX: usize = 64;

/// What may come out of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// Whether an entry that is refused is left out instead of ending it all.
    pub(crate) lenient: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: UNPACKED_BYTES_MAX, entries: ENTRIES_MAX, lenient: false }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is cut short, or no archive.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// An entry could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The entry.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry would land outside of the target, or is no file, folder or link.
    #[error("the archive's entry `{path}` is refused: {why}")]
    Refused {
        /// The entry.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// It is too large.
    #[error("the archive unpacks to more than {max} {unit}")]
    TooLarge {
        /// The bound.
        max: u64,
        /// What the bound counts.
        unit: &'static str,
    },
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// How many octets tell the compression.
    pub(crate) const MAGIC_BYTES: usize = 4;

    /// Recognises a file by its first octets.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn reader(self, file: File) -> io::Result<Box<dyn Read>> {
        let file = BufReader::new(file);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        })
    }
}

/// Unpacks a tar.gz or tar.zst file into an existing folder.
pub(crate) fn unpack_file(path: &Path, into: &Path, bounds: Bounds) -> Result<(), ArchiveError> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(ArchiveError::Read)?;
    file.take(Compression::MAGIC_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(ArchiveError::Read)?;
    let compression = Compression::of(&head).ok_or_else(|| {
        ArchiveError::Read(io::Error::new(io::ErrorKind::InvalidData, "neither gzip nor zstd"))
    })?;
    let file = File::open(path).map_err(ArchiveError::Read)?;
    unpack(compression.reader(file).map_err(ArchiveError::Read)?, into, bounds)
}

/// Unpacks a plain tar stream into an existing folder.
pub(crate) fn unpack(tar: impl Read, into: &Path, bounds: Bounds) -> Result<(), ArchiveError> {
    // Headers, long names and padding count too, so that no part of the stream is endless.
    let tar_bytes = bounds.bytes.saturating_add(bounds.entries.saturating_mul(4 << 10));
    let mut archive = Archive::new(tar.take(tar_bytes));
    let mut unpacker = Unpacker { into, left: bounds, bounds };
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        match unpacker.write(entry.map_err(ArchiveError::Read)?) {
            Err(ArchiveError::Refused { .. }) if bounds.lenient => {}
            written => written?,
        }
    }
    Ok(())
}

struct Unpacker<'a> {
    into: &'a Path,
    left: Bounds,
    bounds: Bounds,
}

impl Unpacker<'_> {
    fn write(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), ArchiveError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = entry.path().map_err(ArchiveError::Read)?.into_owned();
        let shown = path.display().to_string();
        let refuse = |why| ArchiveError::Refused { path: shown.clone(), why };
        let write = |source| ArchiveError::Write { path: shown.clone(), source };
        self.count(entry.size())?;
        let inner = plain(&path).map_err(refuse)?;
        let target = self.into.join(&inner);
        if kind.is_dir() {
            return real_folders(self.into, &inner).map_err(write);
        }
        real_folders(self.into, inner.parent().unwrap_or(Path::new(""))).map_err(write)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mode = entry.header().mode().unwrap_or(0o644);
                replace(&target).and_then(|()| copy(&mut entry, &target, mode)).map_err(write)
            }
            EntryType::Symlink => {
                let link = entry.link_name().map_err(ArchiveError::Read)?;
                let link = link.ok_or_else(|| refuse("it is a link to nothing"))?;
                stays_inside(&inner, &link).map_err(refuse)?;
                replace(&target).and_then(|()| symlink(&link, &target)).map_err(write)
            }
            EntryType::Link => {
                let link = entry.link_name().map_err(ArchiveError::Read)?;
                let link = link.ok_or_else(|| refuse("it is a link to nothing"))?;
                let from = plain(&link).map_err(refuse)?;
                duplicate(self.into, &from, &target).map_err(write)
            }
            _ => Err(refuse("it is neither a file nor a folder nor a link")),
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        let Bounds { bytes: bytes_max, entries: entries_max, .. } = self.bounds;
        self.left.entries = (self.left.entries.checked_sub(1))
            .ok_or(ArchiveError::TooLarge { max: entries_max, unit: "entries" })?;
        self.left.bytes = (self.left.bytes.checked_sub(bytes))
            .ok_or(ArchiveError::TooLarge { max: bytes_max, unit: "octets" })?;
        Ok(())
    }
}

/// A path made of plain names only.
fn plain(path: &Path) -> Result<PathBuf, &'static str> {
    let mut inner = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inner.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path has `..`"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    if inner.components().count() > DEPTH_MAX {
        return Err("its path is too deep");
    }
    Ok(inner)
}

/// Whether a link at `at` says that it leads to somewhere below the archive's root. Through other links it may still
/// lead out: nothing is written through links here, and who reads resolves them first.
fn stays_inside(at: &Path, link: &Path) -> Result<(), &'static str> {
    let mut depth = at.components().count() as i64 - 1;
    for component in link.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => {
                return Err("it links to an absolute path");
            }
        }
        if depth < 0 {
            return Err("it links out of the archive");
        }
    }
    Ok(())
}

/// Creates the folders of `inner` below `root`, none of them a link.
fn real_folders(root: &Path, inner: &Path) -> io::Result<()> {
    let mut folder = root.to_path_buf();
    for name in inner.components() {
        folder.push(name);
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")),
            Err(_) => fs::create_dir(&folder)?,
        }
    }
    Ok(())
}

/// Makes room for an entry: the later one of two with the same path counts.
fn replace(target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => fs::remove_file(target),
        Err(_) => Ok(()),
    }
}

fn copy(from: &mut impl Read, target: &Path, mode: u32) -> io::Result<()> {
    let mut file = File::create_new(target)?;
    io::copy(from, &mut file)?;
    // Readable by the owner, executable as it was; never setuid.
    file.set_permissions(fs::Permissions::from_mode((mode & 0o755) | 0o644))
}

/// A hard link becomes a copy of its own.
fn duplicate(root: &Path, from: &Path, target: &Path) -> io::Result<()> {
    real_folders(root, from.parent().unwrap_or(Path::new("")))?;
    let from = root.join(from);
    if !fs::symlink_metadata(&from)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mode = fs::metadata(&from)?.permissions().mode();
    let mut original = File::open(&from)?;
    replace(target)?;
    copy(&mut original, target, mode)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    enum Item<'a> {
        Plain(&'a str, &'a str),
        Symlink(&'a str, &'a str),
        Hardlink(&'a str, &'a str),
        Device(&'a str),
    }
    use Item::*;

    /// Writes headers by hand: the crate's own writer refuses the paths that matter here.
    fn tar(items: &[Item<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for item in items {
            let (path, kind, link, data) = match item {
                Plain(path, data) => (path, EntryType::Regular, "", *data),
                Symlink(path, to) => (path, EntryType::Symlink, *to, ""),
                Hardlink(path, to) => (path, EntryType::Link, *to, ""),
                Device(path) => (path, EntryType::Char, "", ""),
            };
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o4755);
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(items: &[Item<'_>]) -> (tempfile::TempDir, Result<(), ArchiveError>) {
        let outer = tempfile::tempdir().unwrap();
        let into = outer.path().join("into");
        fs::create_dir(&into).unwrap();
        let result = unpack(&tar(items)[..], &into, Bounds::default());
        (outer, result)
    }

    #[test]
    fn files_folders_and_inner_links_come_out() {
        let items = [
            Plain("./a/b.txt", "hello"),
            Symlink("a/link", "b.txt"),
            Symlink("a/up", "../c"),
            Hardlink("hard", "a/b.txt"),
            Plain("hard2", "first"),
            Plain("hard2", "second"),
        ];
        let (outer, result) = unpacked(&items);
        result.unwrap();
        let read = |path: &str| fs::read_to_string(outer.path().join("into").join(path)).unwrap();
        assert_eq!(read("a/b.txt"), "hello");
        assert_eq!(read("a/link"), "hello");
        assert_eq!(read("hard"), "hello");
        assert_eq!(read("hard2"), "second");
        let mode = fs::metadata(outer.path().join("into/a/b.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "executable, and not setuid");
    }

    #[test]
    fn nothing_lands_outside() {
        for items in [
            &[Plain("../out", "x")][..],
            &[Plain("a/../../out", "x")],
            &[Plain("/out", "x")],
            &[Symlink("a", "..")],
            &[Symlink("a", "/etc")],
            &[Symlink("a", "b/../../..")],
            &[Symlink("a", "b"), Symlink("b", "a"), Plain("a/out", "x")],
            &[Symlink("d", "."), Plain("d/out", "x")],
            &[Hardlink("a", "../../etc/passwd")],
            &[Hardlink("a", "/etc/passwd")],
            &[Device("null")],
        ] {
            let (outer, result) = unpacked(items);
            assert!(result.is_err());
            let outside = fs::read_dir(outer.path()).unwrap().count();
            assert_eq!(outside, 1, "only the target folder");
            assert!(!outer.path().join("into/out").exists());
        }
    }

    #[test]
    fn a_bomb_is_stopped_before_it_fills_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut zeros = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(64 << 20);
        header.set_path("zeros").unwrap();
        header.set_cksum();
        zeros.append(&header, io::repeat(0).take(64 << 20)).unwrap();
        let path = folder.path().join("bomb");
        let bomb = zeros.into_inner().unwrap();
        let mut gzip =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), Default::default());
        gzip.write_all(&bomb).unwrap();
        gzip.finish().unwrap();
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        let bounds = Bounds { bytes: 1 << 20, entries: 10, lenient: false };
        let result = unpack_file(&path, &into, bounds);
        assert!(matches!(result, Err(ArchiveError::TooLarge { unit: "octets", .. })), "{result:?}");
        assert!(!into.join("zeros").exists());

        let many: Vec<_> = (0..11).map(|_| Plain("f", "x")).collect();
        let result = unpack(&tar(&many)[..], &into, bounds);
        assert!(
            matches!(result, Err(ArchiveError::TooLarge { unit: "entries", .. })),
            "{result:?}"
        );
    }

    #[test]
    fn what_is_cut_short_or_no_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"\x1f\x8bnot gzip").unwrap();
        assert!(unpack_file(&path, folder.path(), Bounds::default()).is_err());
        fs::write(&path, b"plain").unwrap();
        assert!(unpack_file(&path, folder.path(), Bounds::default()).is_err());
        let whole = tar(&[Plain("a", "hello")]);
        assert!(unpack(&whole[..514], folder.path(), Bounds::default()).is_err());
    }
}
