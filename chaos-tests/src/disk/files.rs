//! The files of a disk, and what can be done with them: all of it goes through the journal first.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fuser::{FileAttr, FileHandle, FileType, INodeNo, OpenFlags, RenameFlags, TimeOrNow};
use rustix::fs::{OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::Inode;
use super::inodes::kind;
use super::serve::Shared;

/// Something that somebody has open.
#[derive(Debug, Clone)]
pub(super) enum Open {
    File { inode: Inode, file: Arc<File> },
    Folder(Arc<Vec<(u64, FileType, OsString)>>),
}

/// The files of a disk, as the kernel sees them.
#[derive(Debug)]
pub(super) struct Files {
    pub disk: Shared,
    open: Mutex<HashMap<u64, Open>>,
    handles: AtomicU64,
    /// Where they are kept.
    pub kept: PathBuf,
}

impl Files {
    pub fn new(disk: Shared, kept: PathBuf) -> Self {
        Self { disk, open: Mutex::default(), handles: AtomicU64::new(1), kept }
    }

    pub fn inode(&self, number: INodeNo) -> io::Result<Inode> {
        self.disk.lock().inodes.get(number)
    }

    /// What has this name, which the kernel knows from now on.
    pub fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let mut disk = self.disk.lock();
        let inode = Inode::at(&disk.inodes.get(parent)?.child(name))?;
        disk.inodes.remember(&inode);
        disk.inodes.attributes(&inode)
    }

    /// Gives a name to something new, if there is room.
    pub fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<FileAttr> {
        {
            let mut disk = self.disk.lock();
            disk.may_grow()?;
            let folder = disk.inodes.get(parent)?;
            make(&folder.child(name))?;
            disk.journal.made(&folder, name);
        }
        self.entry(parent, name)
    }

    pub fn keep(&self, open: Open) -> FileHandle {
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        self.opened().insert(handle, open);
        FileHandle(handle)
    }

    pub fn opened(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn file(&self, handle: FileHandle) -> io::Result<(Inode, Arc<File>)> {
        match self.opened().get(&handle.0) {
            Some(Open::File { inode, file }) => Ok((inode.clone(), file.clone())),
            _ => Err(Errno::BADF.into()),
        }
    }

    pub fn open_file(&self, inode: Inode, flags: i32) -> io::Result<FileHandle> {
        let file = OpenOptions::new()
            .read(true)
            .write(
                OFlags::from_bits_retain(flags.cast_unsigned())
                    .intersects(OFlags::WRONLY | OFlags::RDWR),
            )
            .open(inode.path())?;
        Ok(self.keep(Open::File { inode, file: Arc::new(file) }))
    }

    pub fn write_at(
        &self,
        handle: FileHandle,
        at: u64,
        data: &[u8],
        flags: OpenFlags,
    ) -> io::Result<()> {
        let (inode, file) = self.file(handle)?;
        let mut disk = self.disk.lock();
        if at + data.len() as u64 > inode.metadata()?.len() {
            disk.may_grow()?;
        }
        disk.journal.write(&inode, at, data.len() as u64)?;
        file.write_all_at(data, at)?;
        if OFlags::from_bits_retain(flags.0.cast_unsigned()).intersects(OFlags::DSYNC) {
            disk.sync_file(&inode)?;
        }
        Ok(())
    }

    pub fn sync_folder(&self, number: INodeNo) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.may_sync()?;
        let inode = disk.inodes.get(number)?;
        disk.journal.sync_folder(&inode);
        Ok(())
    }

    pub fn remove(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let folder = disk.inodes.get(parent)?;
        disk.journal.remove(&folder, name)
    }

    pub fn remove_folder(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let path = self.inode(parent)?.child(name);
        if fs::read_dir(path)?.next().is_some() {
            return Err(Errno::NOTEMPTY.into());
        }
        self.remove(parent, name)
    }

    pub fn move_to(
        &self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let (old, new) = (disk.inodes.get(from.0)?, disk.inodes.get(to.0)?);
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return Err(Errno::INVAL.into());
        }
        let known = Inode::at(&old.child(from.1))?;
        if let Ok(there) = Inode::at(&new.child(to.1)) {
            let (is_folder, there_is) = (known.metadata()?.is_dir(), there.metadata()?.is_dir());
            match (is_folder, there_is) {
                _ if known.number() == there.number() => return Ok(()),
                _ if flags.contains(RenameFlags::RENAME_NOREPLACE) => {
                    return Err(Errno::EXIST.into());
                }
                (true, false) => return Err(Errno::NOTDIR.into()),
                (false, true) => return Err(Errno::ISDIR.into()),
                (true, true) if fs::read_dir(there.path())?.next().is_some() => {
                    return Err(Errno::NOTEMPTY.into());
                }
                _ => disk.journal.remove(&new, to.1)?,
            }
        }
        fs::rename(old.child(from.1), new.child(to.1))?;
        disk.journal.moved((&old, from.1), (&new, to.1));
        Ok(())
    }

    pub fn set_length(&self, inode: &Inode, to: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if to > inode.metadata()?.len() {
            disk.may_grow()?;
        }
        disk.journal.set_length(inode, to)?;
        inode.writable()?.set_len(to)
    }

    pub fn list(&self, number: INodeNo) -> io::Result<FileHandle> {
        let folder = self.inode(number)?;
        let mut all = vec![
            (number.0, FileType::Directory, ".".into()),
            (number.0, FileType::Directory, "..".into()),
        ];
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let number = fs::symlink_metadata(entry.path())?.ino();
            all.push((number, kind(entry.file_type()?), entry.file_name()));
        }
        Ok(self.keep(Open::Folder(Arc::new(all))))
    }
}

fn seconds_of(time: TimeOrNow) -> Timespec {
    let TimeOrNow::SpecificTime(time) = time else {
        return Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    };
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or_default(),
        tv_nsec: i64::from(since.subsec_nanos()),
    }
}

pub(super) fn set_times(
    inode: &Inode,
    accessed: Option<TimeOrNow>,
    modified: Option<TimeOrNow>,
) -> io::Result<()> {
    let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = Timestamps {
        last_access: accessed.map_or(keep, seconds_of),
        last_modification: modified.map_or(keep, seconds_of),
    };
    let (folder, flags) = (rustix::fs::CWD, rustix::fs::AtFlags::empty());
    Ok(rustix::fs::utimensat(folder, inode.path(), &times, flags)?)
}
