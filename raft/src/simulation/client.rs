//! Clients: each asks one node after the other, and tells the oracle what it heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::chance::Chance;
use super::cluster::Cluster;
use super::node::Running;
use super::oracle::Outcome;
use super::world::world;
use super::writes::Write;
use crate::ProposeError;

/// The pause between two things that a client does, in milliseconds.
const PAUSE_MS: (u64, u64) = (20, 700);
/// How many names several clients want.
const NAMES: u64 = 12;
/// How often a write is a long one, and how long in octets.
const LONG_PERCENT: u64 = 6;
const LONG_OCTETS: u64 = 9_000;
const SHORT_OCTETS: u64 = 120;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Asks until it is told to stop, and then until everything that it began has an answer.
pub async fn run(cluster: Arc<Cluster>, mut chance: Chance) {
    let mut mine: Vec<u64> = Vec::new();
    while !cluster.is_healed() {
        sleep(chance.millis(PAUSE_MS.0, PAUSE_MS.1)).await;
        let Some(node) = cluster.any(&mut chance) else { continue };
        match chance.below(10) {
            0..3 => read(&node).await,
            3 if !mine.is_empty() => {
                let at = chance.below(mine.len() as u64) as usize;
                once(&cluster, &mut chance, mine.swap_remove(at)).await;
            }
            4 => {
                let (name, number) = (chance.below(NAMES), draw());
                write(&node, Write::Claim { name, number }, &mut chance).await;
            }
            _ => {
                let number = draw();
                let outcome = write(&node, Write::Add(number), &mut chance).await;
                if matches!(outcome, Outcome::Done(_)) {
                    mine.push(number);
                }
            }
        }
    }
}

/// A number that no other write has.
pub fn draw() -> u64 {
    NUMBERS.fetch_add(1, Ordering::SeqCst)
}

/// Asks for a write and tells of the outcome.
pub async fn write(node: &Running, write: Write, chance: &mut Chance) -> Outcome {
    world().tell(|oracle| oracle.begins(write));
    let outcome = propose(node, write, chance).await;
    ended(node, write, outcome);
    outcome
}

/// Asks until there is an answer, of whichever node.
async fn once(cluster: &Cluster, chance: &mut Chance, number: u64) {
    let write = Write::Once(number);
    world().tell(|oracle| oracle.begins(write));
    while world().violation().is_none() {
        if let Some(node) = cluster.any(chance) {
            let outcome = propose(&node, write, chance).await;
            if matches!(outcome, Outcome::Done(_)) {
                return ended(&node, write, outcome);
            }
            world().count("write.again", &format!("{write:?} {outcome:?}"));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn propose(node: &Running, write: Write, chance: &mut Chance) -> Outcome {
    let octets = if chance.percent(LONG_PERCENT) { LONG_OCTETS } else { SHORT_OCTETS };
    let proposal = write.proposal(chance.below(octets) as usize);
    match node.unless_dead(node.group.propose(proposal)).await {
        Some(Ok(committed)) => Outcome::Done(committed.index),
        None | Some(Err(ProposeError::Timeout | ProposeError::Stopped { .. })) => Outcome::Unknown,
        Some(Err(_)) => Outcome::Refused,
    }
}

fn ended(node: &Running, write: Write, outcome: Outcome) {
    let what = match outcome {
        Outcome::Done(_) => "write.ok",
        Outcome::Refused => "write.refused",
        Outcome::Unknown => "write.unknown",
    };
    world().count(what, &format!("{:?} {write:?} {outcome:?}", node.station));
    world().tell(|oracle| oracle.ended(write, outcome));
}

/// Reads the newest state.
pub async fn read(node: &Running) {
    let told = world().tell(|oracle| Ok(oracle.told())).unwrap_or_default();
    match node.unless_dead(node.group.read_latest()).await {
        Some(Ok(read)) => {
            world().count("read.ok", &format!("{:?} {} after {told}", node.station, read.index));
            world().tell(|oracle| oracle.read(told, read.index));
        }
        Some(Err(error)) => world().count("read.failed", &format!("{:?} {error}", node.station)),
        None => {}
    }
}
