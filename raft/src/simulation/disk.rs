//! A node's disk: what is written is there at once, and lasts once a sync has ended, which takes its time.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use temps_simulated_os::Synced;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::chance::Chance;
use super::oracle::Life;
use super::remains::Durable;
use super::world::{is_on, world};
use crate::wal::OnFlush;

/// How long a sync takes, in microseconds: mostly, and now and then.
const SYNC_US: (u64, u64) = (200, 6_000);
const SLOW_SYNC_US: (u64, u64) = (6_000, 60_000);
const SLOW_PERCENT: u64 = 4;
/// How often a disk that hangs is looked at.
const HUNG_LOOK: Duration = Duration::from_millis(20);

/// A sync that was asked for.
#[derive(Debug, Clone)]
pub enum Sync {
    /// Of a file or a folder.
    Os(Synced),
    /// Of the rows in a folder: so many batches.
    Rows { dir: PathBuf, batches: u64 },
}

impl Sync {
    fn path(&self) -> &Path {
        match self {
            Self::Os(synced) => synced.path(),
            Self::Rows { dir, .. } => dir,
        }
    }
}

/// A node's disk.
pub struct Disk {
    slot: u64,
    root: PathBuf,
    state: Mutex<State>,
    news: Notify,
}

struct State {
    /// Which run of the node writes; another one for each start.
    life: u64,
    chance: Chance,
    durable: Durable,
    waiting: VecDeque<Job>,
    writing: Vec<Job>,
    hangs: bool,
}

/// What lasts once it is done, and who waits for that.
struct Job {
    syncs: Vec<Sync>,
    whom: Vec<(OnFlush, io::Result<()>)>,
    done: Option<oneshot::Sender<()>>,
}

/// Keeps a callback of the log until what it is about lasts; in no simulation it is for the caller to do.
pub fn hold(whom: OnFlush, result: io::Result<()>) -> Option<(OnFlush, io::Result<()>)> {
    if !is_on() {
        return Some((whom, result));
    }
    world().hold(whom, result);
    None
}

/// Makes segments short and memory small, so that segments end and entries are read from the disk.
pub fn shorten(config: &mut raft_log::Config) {
    if !is_on() {
        return;
    }
    config.wal.chunk_max_records = Some(40);
    config.wal.flush_batch_wait = Some(Duration::ZERO);
    config.log_cache_max_items = Some(16);
}

/// Does what waits for the disk: at once, but it has ended only when its syncs have.
pub async fn work<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let done = work();
    let syncs = world().take_syncs();
    let Some(disk) = syncs.first().and_then(|sync| world().disk_of(sync.path())) else {
        yield_now().await;
        return done;
    };
    let (sender, receiver) = oneshot::channel();
    disk.push(Job { syncs, whom: Vec::new(), done: Some(sender) });
    match receiver.await {
        Ok(()) => done,
        Err(_) => Err(io::Error::other("the machine has lost power")),
    }
}

impl Disk {
    /// An empty disk.
    pub fn new(slot: u64, root: &Path, chance: Chance) -> Arc<Self> {
        let state = State {
            life: 0,
            chance,
            durable: Durable::default(),
            waiting: VecDeque::new(),
            writing: Vec::new(),
            hangs: false,
        };
        Arc::new(Self { slot, root: root.into(), state: Mutex::new(state), news: Notify::new() })
    }

    /// Which run of which machine writes.
    pub fn life(&self) -> Life {
        (self.slot, self.lock().life)
    }

    /// What the log has just written is on its way to the disk.
    pub fn settle(&self) {
        let (syncs, whom) = (world().take_syncs(), world().take_held());
        if !(syncs.is_empty() && whom.is_empty()) {
            self.push(Job { syncs, whom, done: None });
        }
    }

    /// What was written just now lasts, as where a start waited for it.
    pub fn settle_now(&self) {
        let syncs = world().take_syncs();
        let mut state = self.lock();
        syncs.iter().for_each(|sync| state.promote(sync));
    }

    /// Syncs no more, or does again.
    pub fn hang(&self, hangs: bool) {
        self.lock().hangs = hangs;
        self.news.notify_one();
    }

    /// Syncs what is written, until the machine loses power.
    pub async fn run(self: Arc<Self>) {
        let life = self.lock().life;
        while self.lock().life == life {
            let Some(delay) = self.lock().begin() else {
                self.news.notified().await;
                continue;
            };
            sleep(delay).await;
            while self.lock().hangs {
                sleep(HUNG_LOOK).await;
            }
            let ended = self.lock().end(life);
            for job in ended {
                job.tell();
            }
        }
    }

    /// The machine loses power: nobody is told anything any more. What was being synced may have come that far.
    pub fn lose_power(&self) {
        let mut state = self.lock();
        state.life += 1;
        let mut jobs = std::mem::take(&mut state.writing);
        jobs.extend(std::mem::take(&mut state.waiting));
        if !jobs.is_empty() {
            world().coverage().count("crash.while-writing");
        }
        let syncs: Vec<Sync> = jobs.into_iter().flat_map(|job| job.syncs).collect();
        let done = state.chance.below(syncs.len() as u64 + 1) as usize;
        syncs[..done].iter().for_each(|sync| state.promote(sync));
        // Whoever waits for a sync has written nothing since.
        for sync in syncs[done..].iter().rev() {
            if let Sync::Os(synced) = sync {
                state.durable.limit(synced);
            }
        }
        drop(state);
        self.news.notify_one();
    }

    /// Leaves of what is in the folder what is left after a loss of power. Nobody may have it open.
    pub fn cut(&self) -> io::Result<()> {
        // What was closed meanwhile was synced by nobody.
        drop((world().take_syncs(), world().take_held()));
        let mut state = self.lock();
        let State { durable, chance, .. } = &mut *state;
        let lost = durable.cut(&self.root, chance)?;
        world().tables.cut(&self.root, chance);
        if lost > 0 {
            world().coverage().add("lost.octets", lost);
        }
        world().note(&format!("machine {} lost {lost} octets", self.slot));
        Ok(())
    }

    fn push(&self, job: Job) {
        self.lock().waiting.push_back(job);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes all that waits, and says how long it takes; `None` where nothing waits.
    fn begin(&mut self) -> Option<Duration> {
        if self.waiting.is_empty() {
            return None;
        }
        self.writing = self.waiting.drain(..).collect();
        let (shortest, longest) =
            if self.chance.percent(SLOW_PERCENT) { SLOW_SYNC_US } else { SYNC_US };
        let micros = Duration::from_micros;
        Some(self.chance.between(micros(shortest), micros(longest)))
    }

    fn end(&mut self, life: u64) -> Vec<Job> {
        if self.life != life {
            return Vec::new();
        }
        let ended = std::mem::take(&mut self.writing);
        ended.iter().flat_map(|job| &job.syncs).for_each(|sync| self.promote(sync));
        ended
    }

    fn promote(&mut self, sync: &Sync) {
        match sync {
            Sync::Os(synced) => self.durable.promote(synced),
            Sync::Rows { dir, batches } => world().tables.promote(dir, *batches),
        }
    }
}

impl Job {
    fn tell(self) {
        for (whom, result) in self.whom {
            whom.tell(result);
        }
        // Whoever waited may have been ended.
        let _ = self.done.map(|done| done.send(()));
    }
}
