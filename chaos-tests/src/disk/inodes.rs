//! The files that the kernel knows of, held open by what they are and not by what they are called: names come and go.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use rustix::fs::OFlags;

/// A file, folder or link, as long as somebody knows it.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    held: Arc<File>,
    number: u64,
}

impl Inode {
    /// What is at this path, itself if it is a link.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let held =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        let number = held.metadata()?.ino();
        Ok(Self { held: Arc::new(held), number })
    }

    /// The number that it has for as long as it is there.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// A path to it, whatever it is called by now, and also when it is called nothing.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.held.as_raw_fd()))
    }

    /// A path to what has this name in it.
    pub fn child(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.held.metadata()
    }

    /// Opened for writing, whether or not somebody else has it open.
    pub fn writable(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path())
    }

    /// The target of a link.
    pub fn target(&self) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&*self.held, "", Vec::new())?.into_bytes())
    }

    /// Gives it another name.
    pub fn link(&self, to: &Path) -> io::Result<()> {
        let follow = rustix::fs::AtFlags::SYMLINK_FOLLOW;
        Ok(rustix::fs::linkat(rustix::fs::CWD, self.path(), rustix::fs::CWD, to, follow)?)
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode & 0o7777))
    }
}

/// All that the kernel knows, and how often it was told.
#[derive(Debug)]
pub(super) struct Inodes {
    root: Inode,
    known: HashMap<u64, (Inode, u64)>,
}

impl Inodes {
    pub fn new(root: Inode) -> Self {
        Self { root, known: HashMap::new() }
    }

    pub fn get(&self, number: INodeNo) -> io::Result<Inode> {
        if number == INodeNo::ROOT {
            return Ok(self.root.clone());
        }
        let known = self.known.get(&number.0).map(|(inode, _)| inode.clone());
        known.ok_or_else(|| rustix::io::Errno::STALE.into())
    }

    /// The kernel is told of it once more.
    pub fn remember(&mut self, inode: &Inode) {
        self.known.entry(inode.number).or_insert_with(|| (inode.clone(), 0)).1 += 1;
    }

    /// The kernel forgets so many times that it was told.
    pub fn forget(&mut self, number: INodeNo, times: u64) {
        if let Some((_, told)) = self.known.get_mut(&number.0) {
            *told = told.saturating_sub(times);
            if *told == 0 {
                self.known.remove(&number.0);
            }
        }
    }

    /// What the kernel is told of it.
    pub fn attributes(&self, inode: &Inode) -> io::Result<FileAttr> {
        let known = inode.metadata()?;
        let ino =
            if inode.number == self.root.number { INodeNo::ROOT } else { INodeNo(inode.number) };
        let part = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(FileAttr {
            ino,
            size: known.size(),
            blocks: known.blocks(),
            atime: time(known.atime(), known.atime_nsec()),
            mtime: time(known.mtime(), known.mtime_nsec()),
            ctime: time(known.ctime(), known.ctime_nsec()),
            crtime: SystemTime::UNIX_EPOCH,
            kind: kind(known.file_type()),
            perm: u16::try_from(known.mode() & 0o7777).unwrap_or_default(),
            nlink: part(known.nlink()),
            uid: known.uid(),
            gid: known.gid(),
            rdev: part(known.rdev()),
            blksize: part(known.blksize()),
            flags: 0,
        })
    }
}

/// What the kernel calls a kind of file.
pub(super) fn kind(of: fs::FileType) -> FileType {
    FileType::from_std(of).unwrap_or(FileType::RegularFile)
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let since = u64::try_from(seconds).unwrap_or_default();
    let part = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH + Duration::from_secs(since) + part
}
