//! What the kernel asks a disk, and what it is answered.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::OFlags;

use super::files::{Files, Open, set_times};

/// How long the kernel may believe what it was told: not at all, for a loss of power changes everything.
const BELIEVED: Duration = Duration::ZERO;

/// Answers with what was done, or why it was not.
macro_rules! answer {
    ($reply:ident, $done:expr, $value:pat => $answer:expr) => {
        match $done {
            Ok($value) => $answer,
            Err(error) => $reply.error(io::Error::into(error)),
        }
    };
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.entry(parent, name), known => reply.entry(&BELIEVED, &known, Generation(0)));
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.disk.lock().inodes.forget(number, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let disk = self.disk.lock();
        let known = disk.inodes.get(number).and_then(|inode| disk.inodes.attributes(&inode));
        answer!(reply, known, known => reply.attr(&BELIEVED, &known));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = || {
            let inode = self.inode(number)?;
            if let Some(mode) = mode {
                inode.set_mode(mode)?;
            }
            if uid.is_some() || gid.is_some() {
                chown(inode.path(), uid, gid)?;
            }
            if let Some(size) = size {
                self.set_length(&inode, size)?;
            }
            if accessed.is_some() || modified.is_some() {
                set_times(&inode, accessed, modified)?;
            }
            self.disk.lock().inodes.attributes(&inode)
        };
        answer!(reply, set(), known => reply.attr(&BELIEVED, &known));
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        answer!(reply, self.inode(number).and_then(|inode| inode.target()), target => reply.data(&target));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.make(parent, name, |path| fs::DirBuilder::new().mode(mode).create(path));
        answer!(reply, made, known => reply.entry(&BELIEVED, &known, Generation(0)));
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = self.make(parent, name, |path| symlink(target, path));
        answer!(reply, made, known => reply.entry(&BELIEVED, &known, Generation(0)));
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let made =
            self.inode(number).and_then(|inode| self.make(parent, name, |path| inode.link(path)));
        answer!(reply, made, known => reply.entry(&BELIEVED, &known, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.remove(parent, name), () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.remove_folder(parent, name), () => reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let moved = self.move_to((parent, name), (new_parent, new_name), flags);
        answer!(reply, moved, () => reply.ok());
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let new = |path: &Path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode).open(path).map(drop)
        };
        let created = self.make(parent, name, new).and_then(|known| {
            let handle = self.open_file(self.inode(known.ino)?, flags)?;
            Ok((known, handle))
        });
        let nothing = FopenFlags::empty();
        answer!(reply, created, (known, handle) => reply.created(&BELIEVED, &known, Generation(0), handle, nothing));
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.inode(number).and_then(|inode| {
            if OFlags::from_bits_retain(flags.0.cast_unsigned()).contains(OFlags::TRUNC) {
                self.set_length(&inode, 0)?;
            }
            self.open_file(inode, flags.0)
        });
        answer!(reply, opened, handle => reply.opened(handle, FopenFlags::empty()));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.file(handle).and_then(|(_, file)| {
            let mut data = vec![0; size as usize];
            let mut there = 0;
            while there < data.len() {
                match file.read_at(&mut data[there..], at + there as u64)? {
                    0 => break,
                    more => there += more,
                }
            }
            data.truncate(there);
            Ok(data)
        });
        answer!(reply, read, data => reply.data(&data));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        answer!(reply, self.write_at(handle, at, data, flags), () => reply.written(size));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.opened().remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk.lock().sync(number, reply);
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.sync_folder(number), () => reply.ok());
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.list(number), handle => reply.opened(handle, FopenFlags::empty()));
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        from: u64,
        mut reply: ReplyDirectory,
    ) {
        let Some(Open::Folder(all)) = self.opened().get(&handle.0).cloned() else {
            return reply.error(fuser::Errno::EBADF);
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for (place, (number, kind, name)) in all.iter().enumerate().skip(from) {
            if reply.add(INodeNo(*number), place as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.opened().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let is_full = self.disk.lock().is_full();
        let known = rustix::fs::statvfs(&self.kept).map_err(io::Error::from);
        let part = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        answer!(reply, known, on => {
            let (free, available) = if is_full { (0, 0) } else { (on.f_bfree, on.f_bavail) };
            let (size, name, unit) = (part(on.f_bsize), part(on.f_namemax), part(on.f_frsize));
            reply.statfs(on.f_blocks, free, available, on.f_files, on.f_ffree, size, name, unit);
        });
    }
}
