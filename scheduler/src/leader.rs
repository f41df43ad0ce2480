//! The leader's loop: proposes what the rollout and the cron table say is next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use temps_raft::{Cluster, ProposeError, fresh_id};
use temps_state::{Command, State};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cron::Clock;
use crate::faults::Faults;
use crate::proposer::propose;
use crate::rollout;

/// How often drains, deadlines and the cron table are looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How many rounds of proposals follow each other before the loop waits for a change or the next tick.
const ROUNDS_MAX: usize = 16;

/// Runs as long as the node does. While it does not lead, it only looks which nodes have faults, and tells.
pub async fn lead(
    cluster: Cluster,
    edge: Option<SocketAddr>,
    tell: watch::Sender<Arc<Faults>>,
    cancel: CancellationToken,
) {
    let (mut leading, mut changes) = (cluster.leading(), cluster.watch());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut clock, mut faults) = (None, Faults::default());
    // Up to where the log must be applied before anything is concluded from the state: what it holds may take effect.
    let mut reach = None;
    loop {
        let leads = *leading.borrow_and_update();
        changes.mark_unchanged();
        let applied = cluster.state().index;
        if leads && applied >= *reach.get_or_insert_with(|| cluster.status().last_log) {
            let clock = clock.get_or_insert_with(|| Clock::new(Timestamp::now(), edge));
            clock.ring(&cluster, Timestamp::now(), &cancel);
            if roll_out(&cluster, &mut faults).await.is_err() {
                reach = None;
            }
        } else {
            if !leads {
                (clock, reach) = (None, None);
            }
            faults.look(&cluster.state(), Timestamp::now());
        }
        tell.send_if_modified(|told| {
            let news = **told != faults;
            if news {
                *told = Arc::new(faults.clone());
            }
            news
        });
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = leading.changed() => if changed.is_err() { return },
            changed = changes.changed(), if leads => if changed.is_err() { return },
            _ = tick.tick() => {}
        }
    }
}

/// Proposes until there is nothing left to propose or something could not be; the next activation is the retry, once what
/// may be in the log is applied.
pub async fn roll_out(cluster: &Cluster, faults: &mut Faults) -> Result<(), ProposeError> {
    for _ in 0..ROUNDS_MAX {
        let (state, now) = (cluster.state(), Timestamp::now());
        faults.look(&state, now);
        let commands = rollout::next(&state, faults, now, &mut fresh_id);
        if commands.is_empty() {
            return Ok(());
        }
        for command in commands {
            tell_of_move(&state, &command);
            if let Err(error) = propose(cluster, command).await {
                tracing::warn!(%error, "a step of a rollout was not taken");
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Says in the log what moves, and why.
fn tell_of_move(state: &State, command: &Command) {
    let Command::MoveReplica { id, to, .. } = command else { return };
    let Some(replica) = state.replicas.get(id) else { return };
    let (from, observed) = (replica.node, &replica.observed);
    let lost = state.nodes.get(&from).is_none_or(|node| !node.is_reachable());
    tracing::info!(replica = %id, %from, %to, lost, ?observed, "a replica moves");
}
