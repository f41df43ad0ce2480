//! The machines: which of them run, and how more of them join.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use openraft::ServerState;
use temps_state::{Actor, ClusterKey, Command, Id, JoinToken, JoinTokenId, NodeId, Reply};
use tokio::time::sleep;

use super::chance::Chance;
use super::disk::Disk;
use super::node::{Running, facts};
use super::world::world;
use crate::folder::{Folder, make_dir, write_file};
use crate::identity::{Identity, key_text};
use crate::{Proposal, RaftError};

/// The most machines at once.
const MACHINES_MAX: usize = 6;
/// What all machines join with.
const TOKEN_KEY: &str = "token";
/// The pause before something is tried again.
const AGAIN: Duration = Duration::from_millis(300);

/// The machines.
pub struct Cluster {
    seed: u64,
    slots: Mutex<Vec<Slot>>,
    founder: Mutex<Option<(String, ClusterKey)>>,
    healed: AtomicBool,
    /// Whether the members are being changed by hand; one such change at a time.
    pub changing: AtomicBool,
}

/// One machine.
#[derive(Clone)]
pub struct Slot {
    /// Its number; the first one has 1.
    pub number: u64,
    /// Its data folder.
    pub root: PathBuf,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// How it is.
    pub standing: Standing,
}

/// How a machine is.
#[derive(Clone)]
pub enum Standing {
    /// It runs.
    Running(Arc<Running>),
    /// It has no power, or starts.
    Down,
    /// It will never come back.
    Gone,
}

impl Cluster {
    /// No machines yet.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            slots: Mutex::default(),
            founder: Mutex::default(),
            healed: AtomicBool::new(false),
            changing: AtomicBool::new(false),
        })
    }

    /// Founds the cluster.
    pub async fn found(&self) {
        let number = self.add_slot();
        self.start(number).await;
        let Some(first) = self.running().pop() else { return };
        *lock(&self.founder) = Some((first.identity.cluster.clone(), first.key.clone()));
        let token = JoinToken {
            id: JoinTokenId::from_parts(0, 1),
            key: TOKEN_KEY.into(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
            uses_left: u32::MAX,
        };
        self.insist(Command::CreateJoinToken { token }).await;
    }

    /// Another machine joins; it is a node once it returns, and a voter some time after that.
    pub async fn join(&self) {
        let others = self.slots().iter().filter(|slot| !slot.is_gone()).count();
        let Some((cluster, key)) = lock(&self.founder).clone() else { return };
        if others >= MACHINES_MAX {
            return;
        }
        let number = self.add_slot();
        let node = facts(number, NodeId::default());
        let admit = Command::AdmitNode { token_key: TOKEN_KEY.into(), node };
        let Some(Reply::Node { id }) = self.insist(admit).await else {
            return self.set(number, Standing::Gone);
        };
        let folder = Folder { root: self.slot(number).root };
        let identity = Identity::joined(id, cluster, &key);
        let written = make_dir(&folder.raft())
            .and_then(|()| write_file(&folder.key(), &key_text(&key)))
            .and_then(|()| write_file(&folder.identity(), &identity.to_json()));
        if let Err(error) = written {
            world().violated(format!("machine {number} could not join: {error}"));
        }
        self.slot(number).disk.settle_now();
        world().count("joined", &format!("machine {number} as node {id}"));
        self.start(number).await;
    }

    /// Starts a machine that is down, unless it will never come back.
    pub async fn start(&self, number: u64) {
        if self.slot(number).is_gone() {
            return;
        }
        if let Err(error) = self.try_start(number).await {
            let why = describe(&error);
            world().violated(format!("machine {number} does not start: {why}"));
        }
    }

    /// The same; an error is for the caller to judge.
    pub async fn try_start(&self, number: u64) -> Result<(), RaftError> {
        let slot = self.slot(number);
        let running = Running::start(&slot.root, &slot.disk).await?;
        let is_gone = self.slot(number).is_gone();
        self.set(number, Standing::Running(running));
        if is_gone {
            self.give_up(number);
        }
        Ok(())
    }

    /// A machine loses power, if it has some; whether it had.
    pub fn lose_power(&self, number: u64) -> bool {
        let Standing::Running(running) = self.slot(number).standing else { return false };
        self.set(number, Standing::Down);
        world().count("crash", &format!("{:?}", running.station));
        if let Err(error) = running.lose_power() {
            world().violated(format!("the simulation could not cut a disk: {error}"));
        }
        true
    }

    /// A machine loses power for ever.
    pub fn give_up(&self, number: u64) {
        self.lose_power(number);
        self.set(number, Standing::Gone);
    }

    /// Gives up the machines whose nodes were removed, as they would by themselves.
    pub fn retire(&self) {
        let Some(leader) = self.leader() else { return };
        let applied = leader.group.applied();
        if Some(applied.index) != leader.group.metrics().last_log_index {
            return;
        }
        let belongs = |id: u64| applied.nodes.contains_key(&NodeId(id));
        for slot in self.slots() {
            if let Some(node) = slot.running().filter(|node| !belongs(node.station.node)) {
                world().count("removed", &format!("{:?}", node.station));
                self.give_up(slot.number);
            }
        }
    }

    /// Proposes something to whichever node until there is an answer; `None` where it is refused.
    pub async fn insist(&self, command: Command) -> Option<Reply> {
        let mut chance = Chance::of(self.seed, "insist");
        while world().violation().is_none() {
            let proposal = Proposal::new(Actor::Node { id: NodeId(1) }, command.clone());
            if let Some(node) = self.any(&mut chance) {
                match node.unless_dead(node.group.propose(proposal)).await {
                    Some(Ok(committed)) => return Some(committed.reply),
                    Some(Err(crate::ProposeError::Rejected(why))) => {
                        world().note(&format!("refused: {why}"));
                        return None;
                    }
                    _ => {}
                }
            }
            sleep(AGAIN).await;
        }
        None
    }

    /// The nodes that run.
    pub fn running(&self) -> Vec<Arc<Running>> {
        let slots = self.slots();
        slots.iter().filter_map(Slot::running).cloned().collect()
    }

    /// One of them.
    pub fn any(&self, chance: &mut Chance) -> Option<Arc<Running>> {
        chance.pick(&self.running()).cloned()
    }

    /// The node that leads, with the newest term where several believe they do.
    pub fn leader(&self) -> Option<Arc<Running>> {
        let leads = |node: &Arc<Running>| {
            let metrics = node.group.metrics();
            (metrics.state == ServerState::Leader).then_some(metrics.current_term)
        };
        let leaders = self.running().into_iter().filter_map(|node| Some((leads(&node)?, node)));
        leaders.max_by_key(|(term, _)| *term).map(|(_, node)| node)
    }

    /// The machine of a node.
    pub fn number_of(&self, node: u64) -> Option<u64> {
        let is_it = |slot: &&Slot| slot.running().is_some_and(|on| on.station.node == node);
        self.slots().iter().find(is_it).map(|slot| slot.number)
    }

    /// The machines.
    pub fn slots(&self) -> Vec<Slot> {
        lock(&self.slots).clone()
    }

    /// One of them.
    pub fn slot(&self, number: u64) -> Slot {
        self.slots()[number as usize - 1].clone()
    }

    /// Says how a machine is.
    pub fn set(&self, number: u64, standing: Standing) {
        lock(&self.slots)[number as usize - 1].standing = standing;
    }

    /// Who votes, as is agreed and the leader knows; nobody where that is just changing.
    pub fn voters(&self) -> BTreeSet<u64> {
        let Some(leader) = self.leader() else { return BTreeSet::new() };
        let metrics = leader.group.metrics();
        let members = metrics.committed_membership_config;
        let is_settled = metrics.membership_config.log_id() == members.log_id()
            && members.membership().get_joint_config().len() == 1;
        members.voter_ids().filter(|_| is_settled).collect()
    }

    /// Whether nothing is broken any more.
    pub fn is_healed(&self) -> bool {
        self.healed.load(Ordering::SeqCst)
    }

    /// Nothing is broken any more.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }

    fn add_slot(&self) -> u64 {
        let mut slots = lock(&self.slots);
        let number = slots.len() as u64 + 1;
        let root = world().root.join(format!("n{number}"));
        let disk = Disk::new(number, &root, Chance::of(self.seed, &format!("disk {number}")));
        world().add_disk(&root, disk.clone());
        slots.push(Slot { number, root, disk, standing: Standing::Down });
        number
    }
}

impl Slot {
    /// The node that runs there.
    pub fn running(&self) -> Option<&Arc<Running>> {
        match &self.standing {
            Standing::Running(running) => Some(running),
            Standing::Down | Standing::Gone => None,
        }
    }

    /// Whether it will never come back.
    pub fn is_gone(&self) -> bool {
        matches!(self.standing, Standing::Gone)
    }
}

/// An error with its causes.
pub fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
