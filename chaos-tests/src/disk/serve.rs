//! A disk in a process of its own: mounted, and told over a socket what to do.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{Config, INodeNo, MountOption, ReplyEmpty, Session, SessionACL};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::files::Files;
use super::inodes::Inodes;
use super::order::DONE;
use super::{Inode, Journal, Order};

/// How many files may be held open.
const OPEN_FILES_MAX: u64 = 1 << 20;

/// All that the kernel's questions and the orders are about.
#[derive(Debug)]
pub(super) struct Disk {
    pub inodes: Inodes,
    pub journal: Journal,
    syncs: Syncs,
    is_full: bool,
    failed: u64,
    /// Those who wait for a snapshot to be synced.
    stalled: Vec<(Inode, ReplyEmpty)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncs {
    Work,
    FailOnce,
    Fail,
    StallSnapshots,
}

impl Disk {
    /// Whether a sync works that is asked for now.
    pub fn may_sync(&mut self) -> io::Result<()> {
        match self.syncs {
            Syncs::Work | Syncs::StallSnapshots => return Ok(()),
            Syncs::FailOnce => self.syncs = Syncs::Work,
            Syncs::Fail => {}
        }
        self.failed += 1;
        Err(rustix::io::Errno::IO.into())
    }

    /// Whether there is room for something that grows now.
    pub fn may_grow(&mut self) -> io::Result<()> {
        if !self.is_full {
            return Ok(());
        }
        self.failed += 1;
        Err(rustix::io::Errno::NOSPC.into())
    }

    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Syncs a file, or fails to, or lets whoever asked for it wait.
    pub fn sync(&mut self, number: INodeNo, reply: ReplyEmpty) {
        let inode = match self.inodes.get(number) {
            Ok(inode) => inode,
            Err(error) => return reply.error(error.into()),
        };
        if self.syncs == Syncs::StallSnapshots && is_half_a_snapshot(&inode) {
            self.failed += 1;
            return self.stalled.push((inode, reply));
        }
        match self.sync_file(&inode) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        }
    }

    /// Syncs a file, unless it is to fail.
    pub fn sync_file(&mut self, inode: &Inode) -> io::Result<()> {
        let synced = self.may_sync();
        match synced {
            Ok(()) => self.journal.sync_file(inode),
            Err(_) => self.journal.fail_file(inode),
        }
        synced
    }

    fn go_on(&mut self) {
        for (inode, reply) in std::mem::take(&mut self.stalled) {
            self.journal.sync_file(&inode);
            // Whoever asked may have ended, and the kernel knows.
            reply.ok();
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<u64> {
        if order != Order::Count {
            self.go_on();
        }
        match order {
            Order::StallSnapshots => self.syncs = Syncs::StallSnapshots,
            Order::FailSyncOnce => self.syncs = Syncs::FailOnce,
            Order::FailSyncs => self.syncs = Syncs::Fail,
            Order::Full => self.is_full = true,
            Order::Heal => (self.syncs, self.is_full) = (Syncs::Work, false),
            Order::Count => return Ok(self.failed),
            Order::Lose => return self.journal.lose(),
            Order::Tear(number) => return self.journal.tear(number),
        }
        self.failed = 0;
        Ok(0)
    }
}

/// Whether that is what nodes write a snapshot to, until it is whole.
fn is_half_a_snapshot(inode: &Inode) -> bool {
    let Ok(path) = fs::read_link(inode.path()) else { return false };
    let is_among_snapshots = path.parent().is_some_and(|folder| folder.ends_with("snapshots"));
    is_among_snapshots && path.extension().is_some_and(|extension| extension == "tmp")
}

/// A disk that the kernel and those who give orders share.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<Disk>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mounts a disk that is kept in the folder `kept`, and does what it is told over `socket`; returns once nobody has it
/// mounted any more.
///
/// # Errors
/// When it cannot be mounted, or the kernel no longer speaks to it.
pub fn mount(kept: &Path, at: &Path, socket: &Path) -> io::Result<()> {
    // Every file that somebody knows is held open.
    let most = |limit: Option<u64>| Rlimit { current: limit, maximum: limit };
    // Only root may have more than it was given.
    setrlimit(Resource::Nofile, most(Some(OPEN_FILES_MAX)))
        .or_else(|_| setrlimit(Resource::Nofile, most(getrlimit(Resource::Nofile).maximum)))?;
    rustix::process::umask(rustix::fs::Mode::empty());
    let (files, gone) = (kept.join("files"), kept.join("gone"));
    fs::create_dir_all(&files)?;
    fs::create_dir_all(&gone)?;
    let inodes = Inodes::new(Inode::at(&files)?);
    let journal = Journal::new(gone);
    let (syncs, stalled) = (Syncs::Work, Vec::new());
    let disk = Disk { inodes, journal, syncs, is_full: false, failed: 0, stalled };
    let disk = Shared(Arc::new(Mutex::new(disk)));
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("temps-chaos".into()), MountOption::Suid, MountOption::Dev];
    config.acl = SessionACL::All;
    let session = Session::new(Files::new(disk.clone(), files), at, &config)?;
    let listener = UnixListener::bind(socket)?;
    std::thread::spawn(move || listen(&listener, &disk));
    session.run()
}

fn listen(listener: &UnixListener, disk: &Shared) {
    for stream in listener.incoming().filter_map(Result::ok) {
        // Whoever gave an order and left gets no answer.
        let _ = answer(&stream, disk);
    }
}

fn answer(mut stream: &UnixStream, disk: &Shared) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let order: Result<Order, String> = line.trim().parse();
    let done = order.and_then(|order| disk.lock().obey(order).map_err(|error| error.to_string()));
    match done {
        Ok(count) => writeln!(stream, "{DONE} {count}"),
        Err(why) => writeln!(stream, "{why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::disk::tell;

    /// A mounted disk, on which somebody works.
    struct Mounted(tempfile::TempDir);

    impl Mounted {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("at")).unwrap();
            let all = dir.path().to_owned();
            std::thread::spawn(move || {
                mount(&all.join("kept"), &all.join("at"), &all.join("socket")).unwrap();
            });
            let began = Instant::now();
            while !dir.path().join("socket").exists() {
                assert!(began.elapsed() < Duration::from_secs(10), "it is mounted");
                std::thread::yield_now();
            }
            Self(dir)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("at").join(name)
        }

        fn tell(&self, order: Order) -> u64 {
            tell(&self.0.path().join("socket"), order).unwrap()
        }

        fn sync_names(&self) {
            File::open(self.path("")).unwrap().sync_all().unwrap();
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.path("")).status();
        }
    }

    fn append(path: &Path, text: &[u8]) -> File {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn what_was_not_synced_is_gone_after_a_loss_of_power() {
        let disk = Mounted::new();
        let (log, folder) = (disk.path("log"), disk.path("folder"));
        append(&log, b"synced").sync_data().unwrap();
        disk.sync_names();
        append(&log, b" and not");
        fs::create_dir(&folder).unwrap();
        append(&folder.join("a"), b"never seen again").sync_all().unwrap();
        fs::write(disk.path("new"), b"new").unwrap();
        fs::rename(disk.path("new"), disk.path("other")).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"synced and not");
        assert!(disk.tell(Order::Lose) > 0);
        assert_eq!(fs::read(&log).unwrap(), b"synced");
        let left: Vec<_> =
            fs::read_dir(disk.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["log"]);
        append(&log, b", and on");
        assert_eq!(fs::read(&log).unwrap(), b"synced, and on");
    }

    #[test]
    fn a_file_that_is_open_and_has_no_name_is_still_there() {
        let disk = Mounted::new();
        let file = append(&disk.path("a"), b"text");
        fs::remove_file(disk.path("a")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        file.set_len(2).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2);
        drop(file);
        fs::create_dir(disk.path("a")).unwrap();
        fs::remove_dir(disk.path("a")).unwrap();
        assert!(!disk.path("a").exists());
    }

    #[test]
    fn whoever_syncs_a_snapshot_waits_as_long_as_it_is_told_so() {
        let disk = Mounted::new();
        fs::create_dir(disk.path("snapshots")).unwrap();
        disk.tell(Order::StallSnapshots);
        append(&disk.path("log.tmp"), b"no snapshot").sync_all().unwrap();
        append(&disk.path("snapshots/1.snapshot"), b"a whole one").sync_all().unwrap();
        assert_eq!(disk.tell(Order::Count), 0);
        let half = append(&disk.path("snapshots/2.tmp"), b"half");
        let waits = std::thread::spawn(move || half.sync_all());
        let began = Instant::now();
        while disk.tell(Order::Count) == 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "somebody waits");
        }
        assert!(!waits.is_finished());
        disk.tell(Order::Heal);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn syncs_fail_and_there_is_no_room_as_long_as_it_is_told_so() {
        let disk = Mounted::new();
        let file = append(&disk.path("a"), b"text");
        disk.tell(Order::FailSyncOnce);
        assert!(file.sync_all().is_err() && file.sync_all().is_ok());
        assert_eq!(disk.tell(Order::Count), 1);
        disk.tell(Order::FailSyncs);
        assert!(file.sync_all().is_err() && file.sync_data().is_err());
        disk.tell(Order::Heal);
        file.sync_all().unwrap();
        disk.tell(Order::Full);
        let more = (&file).write_all(b"more").unwrap_err();
        assert_eq!(more.kind(), io::ErrorKind::StorageFull);
        assert_eq!(rustix::fs::statvfs(disk.path("")).unwrap().f_bavail, 0);
        disk.tell(Order::Heal);
        (&file).write_all(b"more").unwrap();
    }
}
