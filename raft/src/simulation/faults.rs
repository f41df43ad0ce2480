//! How a fault is done, and undone.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use temps_state::{Command, NodeId};
use tokio::time::{Instant, sleep, timeout};

use super::cluster::{Cluster, Slot};
use super::node::Running;
use super::schedule::{Cut, Fault, Who, befallen, links};
use super::world::world;
use crate::RaftError;

/// How long a removed node may take to have no vote any more, before no other one may be changed in this run.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// How long an ambush waits.
const AMBUSH_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Does something bad, and ends it when its time is over.
pub async fn befall(cluster: Arc<Cluster>, fault: Fault) {
    world().note(&format!("fault {fault:?}"));
    match fault {
        Fault::Crash { who, down } => crash(&cluster, who, down).await,
        Fault::Ambush { event, after, down } => ambush(&cluster, event, after, down).await,
        Fault::Replace { who, keeps_identity } => replace(&cluster, who, keeps_identity).await,
        Fault::Partition { cut, lasts } => partition(&cluster, cut, lasts).await,
        Fault::Weather { loss, twice, late_ms, lasts } => {
            let all = nodes(&cluster);
            let pairs: Vec<_> = links(Cut::Alone(Who::All), &all, None);
            let change = |to: [u64; 3]| {
                world().network.change(pairs.clone(), |link| {
                    [link.loss, link.twice, link.late_ms] = to;
                });
            };
            change([loss, twice, late_ms]);
            sleep(lasts).await;
            change([0; 3]);
        }
        Fault::Hang { who, lasts } => {
            let hung: Vec<Slot> =
                machines(&cluster, who).into_iter().map(|number| cluster.slot(number)).collect();
            hung.iter().for_each(|slot| slot.disk.hang(true));
            world().count("disk.hung", &format!("{}", hung.len()));
            sleep(lasts).await;
            hung.iter().for_each(|slot| slot.disk.hang(false));
        }
        Fault::Elect(who) => {
            for node in those(&cluster, who) {
                let _ = node.unless_dead(node.group.raft.trigger().elect(false)).await;
            }
        }
        Fault::Snapshot(who) => {
            for node in those(&cluster, who) {
                let _ = node.unless_dead(node.group.raft.trigger().snapshot()).await;
            }
        }
        Fault::Transfer(who) => transfer(&cluster, who).await,
        Fault::Join => cluster.join().await,
        Fault::Remove(who) => remove(&cluster, who).await,
    }
}

async fn crash(cluster: &Cluster, who: Who, down: Duration) {
    let leader = cluster.leader().and_then(|node| cluster.number_of(node.station.node));
    let mut off = machines(cluster, who);
    off.retain(|number| cluster.lose_power(*number));
    if leader.is_some_and(|leader| off.contains(&leader)) {
        world().count("crash.leader", "");
    }
    if !off.is_empty() && cluster.running().is_empty() {
        world().count("crash.all", "");
    }
    sleep(down).await;
    for number in off {
        cluster.start(number).await;
    }
}

async fn ambush(cluster: &Cluster, event: &str, after: Duration, down: Duration) {
    let Ok(number) = timeout(AMBUSH_WITHIN, world().await_event(event)).await else { return };
    sleep(after).await;
    if cluster.lose_power(number) {
        world().count("crash.ambush", event);
        sleep(down).await;
        cluster.start(number).await;
    }
}

async fn partition(cluster: &Cluster, cut: Cut, lasts: Duration) {
    let leader = cluster.leader().map(|node| node.station.node);
    let pairs = links(cut, &nodes(cluster), leader);
    world().count("partition", &format!("{cut:?} {pairs:?}"));
    world().network.change(pairs.clone(), |link| link.cut = true);
    sleep(lasts).await;
    world().network.change(pairs, |link| link.cut = false);
}

async fn transfer(cluster: &Cluster, to: Who) {
    let (Some(leader), Some(to)) = (cluster.leader(), those(cluster, to).pop()) else { return };
    let to = to.station.node;
    // Nobody gives the lead to itself; openraft would lead no longer and never end it.
    if to == leader.station.node {
        return;
    }
    let _ = leader.unless_dead(leader.group.raft.trigger().transfer_leader(to)).await;
}

/// A machine loses its disk. One that has its identity still must not vote with it again; in any case another one joins,
/// and the old node is removed.
async fn replace(cluster: &Arc<Cluster>, who: Who, keeps_identity: bool) {
    let Some((number, node)) = spare(cluster, who) else { return };
    cluster.lose_power(number);
    let root = cluster.slot(number).root;
    let wiped = match keeps_identity {
        true => ["log", "state", "snapshots"].map(|name| root.join("raft").join(name)).to_vec(),
        false => vec![root],
    };
    for folder in wiped {
        if let Err(error) = fs::remove_dir_all(&folder) {
            world().note(&format!("machine {number} had nothing to wipe: {error}"));
        }
    }
    if keeps_identity {
        match cluster.try_start(number).await {
            Err(RaftError::LogLost { .. }) => world().count("refused.without-log", ""),
            Err(error) => world().violated(format!("a wiped node says: {error}")),
            // It goes on as if nothing had happened; what comes of it is seen.
            Ok(()) => return free(cluster),
        }
    }
    cluster.give_up(number);
    world().count("replaced", &format!("machine {number}, node {node}"));
    cluster.join().await;
    dismiss(cluster, node).await;
}

async fn remove(cluster: &Arc<Cluster>, who: Who) {
    let Some((number, node)) = spare(cluster, who) else { return };
    if cluster.running().len() < 4 {
        return free(cluster);
    }
    dismiss(cluster, node).await;
    if !cluster.voters().contains(&node) {
        cluster.give_up(number);
        world().count("removed", &format!("machine {number}, node {node}"));
    }
}

/// Somebody whom the others can do without: they are all there, and nobody else is leaving.
fn spare(cluster: &Cluster, who: Who) -> Option<(u64, u64)> {
    let number = machines(cluster, who).pop()?;
    let node = cluster.slot(number).running()?.station.node;
    let (voters, running) = (cluster.voters(), nodes(cluster));
    let is_safe = voters.len() >= 3 && voters.iter().all(|voter| running.contains(voter));
    let taken = !is_safe || cluster.changing.swap(true, Ordering::SeqCst);
    (!taken).then_some((number, node))
}

fn free(cluster: &Cluster) {
    cluster.changing.store(false, Ordering::SeqCst);
}

/// Removes a node, and waits until it has no vote.
async fn dismiss(cluster: &Cluster, node: u64) {
    let id = NodeId(node);
    cluster.insist(Command::RemoveNode { id, beside: [].into() }).await;
    let end = Instant::now() + SETTLED_WITHIN;
    while Instant::now() < end {
        let voters = cluster.voters();
        if !voters.is_empty() && !voters.contains(&node) {
            return free(cluster);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The nodes that run.
fn nodes(cluster: &Cluster) -> Vec<u64> {
    cluster.running().iter().map(|node| node.station.node).collect()
}

/// Those of them whom something befalls.
fn those(cluster: &Cluster, who: Who) -> Vec<Arc<Running>> {
    let leader = cluster.leader().map(|node| node.station.node);
    let befallen = befallen(who, &nodes(cluster), leader);
    cluster.running().into_iter().filter(|node| befallen.contains(&node.station.node)).collect()
}

fn machines(cluster: &Cluster, who: Who) -> Vec<u64> {
    let those = those(cluster, who);
    those.iter().filter_map(|node| cluster.number_of(node.station.node)).collect()
}
