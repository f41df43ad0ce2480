//! What all parts of a simulation share: the process is one world.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use temps_simulated_os::take_syncs;
use tokio::sync::watch;
use tokio::time::Instant;

use super::coverage::Coverage;
use super::disk::{Disk, Sync};
use super::network::Network;
use super::oracle::{Mark, Oracle};
use super::rows::Tables;
use super::trace::Trace;
use crate::content::{Position, Tally};
use crate::wal::OnFlush;

static WORLD: OnceLock<Arc<World>> = OnceLock::new();

/// Everything there is.
pub struct World {
    /// Where the data folders are.
    pub root: PathBuf,
    /// The network.
    pub network: Network,
    /// The rows of the stores.
    pub tables: Tables,
    begun: Instant,
    trace: Mutex<Trace>,
    oracle: Mutex<Oracle>,
    coverage: Mutex<Coverage>,
    disks: Mutex<BTreeMap<PathBuf, Arc<Disk>>>,
    held: Mutex<Vec<(OnFlush, io::Result<()>)>>,
    violation: Mutex<Option<String>>,
    /// What happened last at which machine.
    happened: watch::Sender<(&'static str, u64)>,
}

/// Whether this process is a simulation.
pub fn is_on() -> bool {
    WORLD.get().is_some()
}

/// The world, in a simulation.
pub fn world() -> &'static Arc<World> {
    WORLD.get().expect("this process is a simulation")
}

/// The simulated disk that a folder is on.
pub fn disk_of(dir: &Path) -> Option<Arc<Disk>> {
    WORLD.get().and_then(|world| world.disk_of(dir))
}

impl World {
    /// Makes this process a simulation.
    pub fn begin(root: PathBuf, seed: u64, trace: Trace) -> &'static Arc<Self> {
        let world = Self {
            root,
            network: Network::new(seed),
            tables: Tables::default(),
            begun: Instant::now(),
            trace: Mutex::new(trace),
            oracle: Mutex::default(),
            coverage: Mutex::default(),
            disks: Mutex::default(),
            held: Mutex::default(),
            violation: Mutex::default(),
            happened: watch::Sender::new(("", 0)),
        };
        WORLD.get_or_init(|| Arc::new(world))
    }

    /// How long ago it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Notes that something happened.
    pub fn note(&self, what: &str) {
        self.trace().note(self.elapsed(), what);
    }

    /// Counts something that happened, and notes it.
    pub fn count(&self, what: &str, details: &str) {
        self.coverage().count(what);
        self.note(&format!("{what} {details}"));
    }

    /// Something happened at a machine that somebody may wait for.
    pub fn happened(&self, what: &'static str, machine: u64) {
        self.happened.send_replace((what, machine));
    }

    /// Waits until something happens, and says at which machine.
    pub async fn await_event(&self, what: &str) -> u64 {
        let mut happened = self.happened.subscribe();
        happened.mark_unchanged();
        while happened.changed().await.is_ok() {
            let (is, machine) = *happened.borrow_and_update();
            if is == what {
                return machine;
            }
        }
        std::future::pending().await
    }

    /// What happened.
    pub fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    /// How often what happened.
    pub fn coverage(&self) -> MutexGuard<'_, Coverage> {
        lock(&self.coverage)
    }

    /// Tells the oracle something.
    pub fn tell<T>(&self, tell: impl FnOnce(&mut Oracle) -> Result<T, String>) -> Option<T> {
        let told = tell(&mut lock(&self.oracle));
        told.map_err(|why| self.violated(why)).ok()
    }

    /// The store in a folder is at a position: a node has applied that, or found it there.
    pub fn applied(&self, dir: &Path, position: &Position, tally: Tally, found: bool) {
        let Some(disk) = self.disk_of(dir) else { return };
        let Some(at) = position.applied else { return };
        let entry = (at.leader_id.term, at.leader_id.node_id, at.index);
        let members = format!("{:?} {}", position.membership.log_id(), position.at);
        let (life, mark) = (disk.life(), Mark { entry, members, tally });
        self.note(&format!("{} {life:?} {mark:?}", if found { "found" } else { "applied" }));
        self.tell(|oracle| match found {
            true => oracle.loaded(life, mark),
            false => oracle.applied(life, mark),
        });
    }

    /// Something happened that may not. The first such thing counts.
    pub fn violated(&self, why: String) {
        self.note(&format!("VIOLATED {why}"));
        lock(&self.violation).get_or_insert(why);
    }

    /// What happened that may not.
    pub fn violation(&self) -> Option<String> {
        lock(&self.violation).clone()
    }

    /// Puts a disk under a data folder.
    pub fn add_disk(&self, root: &Path, disk: Arc<Disk>) {
        lock(&self.disks).insert(root.into(), disk);
    }

    /// The disk that a path is on.
    pub fn disk_of(&self, path: &Path) -> Option<Arc<Disk>> {
        let disks = lock(&self.disks);
        path.ancestors().find_map(|root| disks.get(root)).cloned()
    }

    /// What was synced since this was asked last.
    pub fn take_syncs(&self) -> Vec<Sync> {
        let files = take_syncs().into_iter().map(Sync::Os);
        files.chain(self.tables.take_syncs()).collect()
    }

    /// Whoever is to be told that something is on the disk waits until it is.
    pub fn hold(&self, whom: OnFlush, result: io::Result<()>) {
        lock(&self.held).push((whom, result));
    }

    /// Those who wait.
    pub fn take_held(&self) -> Vec<(OnFlush, io::Result<()>)> {
        std::mem::take(&mut *lock(&self.held))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
