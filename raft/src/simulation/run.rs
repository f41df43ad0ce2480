//! One seed: break, heal, judge.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::chance::Chance;
use super::client;
use super::cluster::Cluster;
use super::coverage::Coverage;
use super::faults::befall;
use super::node::Running;
use super::oracle::Outcome;
use super::schedule::{Schedule, schedule};
use super::trace::Trace;
use super::world::{World, world};
use super::writes::Write;

/// How long the first nodes may take to be one cluster.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// How long the nodes may take to have a leader, once nothing is broken.
const LED_WITHIN: Duration = Duration::from_secs(15);
/// How long they may take to be equal.
const EQUAL_WITHIN: Duration = Duration::from_secs(90);
/// How long faults and clients may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(120);
/// How often every machine loses power once more in the end.
const BLACKOUT_PERCENT: u64 = 30;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The stack of the thread; unoptimised futures are large.
const STACK_BYTES: usize = 64 << 20;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What may not be, if something was seen that may not.
    pub violation: Option<String>,
    /// Differs where any event differs.
    pub digest: u64,
    /// How many events there were.
    pub events: u64,
    /// How often what happened.
    pub coverage: Coverage,
    /// The last events.
    pub end: Vec<String>,
}

/// Runs a seed. Once in a process.
pub fn run(seed: u64, prints: bool) -> Report {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let running = thread.spawn(move || {
        let parent = if PathBuf::from("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
        let root = PathBuf::from(parent).join(format!("temps-simulation-{}", std::process::id()));
        let removed = root.join("removed");
        fs::create_dir_all(&removed).expect("a folder in memory");
        temps_simulated_os::begin(seed, removed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_unpark(|| {
                if super::is_on() {
                    temps_simulated_os::set_elapsed(world().elapsed());
                }
            })
            .build();
        let runtime = runtime.expect("a runtime without input and output");
        let report = runtime.block_on(simulate(seed, root.clone(), prints));
        // What is left of tasks is of no interest, nor is what they would still do.
        std::mem::forget(runtime);
        let _ = fs::remove_dir_all(root);
        report
    });
    running.expect("a thread").join().unwrap_or_else(|_| Report {
        violation: Some("the simulation itself panicked".into()),
        digest: 0,
        events: 0,
        coverage: Coverage::default(),
        end: Vec::new(),
    })
}

async fn simulate(seed: u64, root: PathBuf, prints: bool) -> Report {
    let world = World::begin(root, seed, Trace::new(prints));
    std::panic::set_hook(Box::new(|panic| super::world::world().violated(panic.to_string())));
    let (plan, cluster) = (schedule(seed), Cluster::new(seed));
    world.note(&format!("{plan:?}"));
    if let Err(why) = act(seed, plan, &cluster).await {
        world.violated(why);
    }
    let violation = world.violation();
    let coverage = world.coverage().clone();
    let trace = world.trace();
    let end = trace.end().cloned().collect();
    Report { violation, digest: trace.digest(), events: trace.events(), coverage, end }
}

async fn act(seed: u64, plan: Schedule, cluster: &Arc<Cluster>) -> Result<(), String> {
    form(cluster, plan.nodes).await?;
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..plan.clients {
        let chance = Chance::of(seed, &format!("client {number}"));
        clients.spawn(client::run(cluster.clone(), chance));
    }
    let mut faults = JoinSet::new();
    for (at, fault) in plan.faults {
        let cluster = cluster.clone();
        faults.spawn(async move {
            sleep_until(begun + at).await;
            befall(cluster, fault).await;
        });
    }
    unless_violated(sleep_until(begun + plan.heal_at)).await?;
    heal(cluster, faults).await?;
    within(LED_WITHIN, "no leader after everything was healed", || is_led(cluster)).await?;
    cluster.heal();
    let ended = unless_violated(timeout(ENDED_WITHIN, async {
        while clients.join_next().await.is_some() {}
    }))
    .await?;
    ended.map_err(|_| "a client got no answer after everything was healed".to_owned())?;
    judge(seed, cluster).await
}

/// The first nodes become one cluster.
async fn form(cluster: &Arc<Cluster>, nodes: u64) -> Result<(), String> {
    cluster.found().await;
    for _ in 1..nodes {
        cluster.join().await;
    }
    let voters = (nodes - 1) / 2 * 2 + 1;
    let formed = || cluster.voters().len() as u64 == voters;
    within(FORMED_WITHIN, "the nodes never became a cluster", formed).await
}

/// Nothing is broken from now on, and every machine that can be is on.
async fn heal(cluster: &Arc<Cluster>, mut faults: JoinSet<()>) -> Result<(), String> {
    world().note("heal");
    let ending = async { while faults.join_next().await.is_some() {} };
    world().network.heal();
    unless_violated(timeout(ENDED_WITHIN, ending))
        .await?
        .map_err(|_| "a fault did not end".to_owned())?;
    world().network.heal();
    for slot in cluster.slots() {
        slot.disk.hang(false);
    }
    Ok(())
}

/// Everybody is equal, has what was acknowledged, and takes more.
async fn judge(seed: u64, cluster: &Arc<Cluster>) -> Result<(), String> {
    within(EQUAL_WITHIN, "the nodes never became equal", || are_equal(cluster)).await?;
    let mut chance = Chance::of(seed, "judge");
    for node in cluster.running() {
        let write = Write::Add(client::draw());
        let outcome = client::write(&node, write, &mut chance).await;
        if !matches!(outcome, Outcome::Done(_)) {
            return Err(format!("{:?} takes no write after the end: {outcome:?}", node.station));
        }
        client::read(&node).await;
    }
    if chance.percent(BLACKOUT_PERCENT) {
        black_out(cluster).await;
    }
    within(EQUAL_WITHIN, "the nodes never became equal again", || are_equal(cluster)).await?;
    let nodes = cluster.running();
    for node in &nodes {
        let applied = node.group.applied();
        world().tell(|oracle| oracle.judge(&applied.state));
        let first = nodes[0].group.applied();
        if applied.index == first.index && applied.state != first.state {
            return Err(format!("{:?} and {:?} differ", node.station, nodes[0].station));
        }
    }
    Ok(())
}

/// Every machine loses power at once, and has it again.
async fn black_out(cluster: &Cluster) {
    let mut off: Vec<u64> = cluster.slots().iter().map(|slot| slot.number).collect();
    off.retain(|number| cluster.lose_power(*number));
    world().count("crash.all", "at the end");
    for number in off {
        cluster.start(number).await;
    }
}

/// Whether a leader is known to all that belong.
fn is_led(cluster: &Cluster) -> bool {
    cluster.retire();
    let leaders: BTreeSet<_> =
        cluster.running().iter().map(|node| node.group.metrics().current_leader).collect();
    leaders.len() == 1 && leaders.first().copied().flatten().is_some()
}

/// Whether all nodes have applied the whole log of the leader.
fn are_equal(cluster: &Cluster) -> bool {
    let Some(leader) = cluster.leader() else { return false };
    let last = leader.group.metrics().last_log_index;
    let is_at = |node: &Arc<Running>| Some(node.group.applied().index) == last;
    is_led(cluster) && !cluster.voters().is_empty() && cluster.running().iter().all(is_at)
}

/// Waits until something holds; sooner where something was seen that may not be.
async fn within(time: Duration, otherwise: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let waiting = async {
        while !holds() && world().violation().is_none() {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(time, waiting).await.map_err(|_| otherwise.to_owned())?;
    world().violation().map_or(Ok(()), Err)
}

async fn unless_violated<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let violated = async {
        loop {
            if let Some(why) = world().violation() {
                return why;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        why = violated => Err(why),
    }
}
