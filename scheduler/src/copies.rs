//! Keeps the copies of artifacts and of pushed images that this node should have, and tells the cluster which it has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use temps_builder::copies::{Copy, Kept, wanted};
use temps_builder::{BuildError, Builder};
use temps_raft::{Applied, Cluster, ProposeError};
use temps_state::{Command, NodeId};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::proposer::propose;

/// How often it is looked for copies that were left alone for long enough.
const TICK: Duration = Duration::from_secs(5);
/// How long a copy that is here is left alone.
const KEPT_PAUSE: Duration = Duration::from_secs(60);
/// How long a copy that could not be had is left alone.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// How many copies are worked on at once; twice as many if a deployment waits for them.
const AT_ONCE_MAX: usize = 4;

/// Runs until cancelled.
pub async fn run(cluster: Cluster, builder: Builder, cancel: CancellationToken) {
    let mut changes = cluster.watch();
    let mut copies = Copies::default();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let state = changes.borrow_and_update().clone();
        copies.look(&state, cluster.node_id());
        // To look again costs as much as there are copies; the end of one asks only for the next.
        loop {
            copies.begin(&state, &cluster, &builder);
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return } else { break },
                Some(Ok((of, pause))) = copies.tasks.join_next() => copies.over(of, pause),
                _ = tick.tick() => break,
            }
        }
    }
}

/// What is worked on, and what is left alone until when.
#[derive(Default)]
struct Copies {
    tasks: JoinSet<(Kept, Duration)>,
    waiting: VecDeque<Copy>,
    under_way: BTreeSet<Kept>,
    left_alone: BTreeMap<Kept, Instant>,
}

impl Copies {
    /// Finds out which copies are due.
    fn look(&mut self, state: &Applied, me: NodeId) {
        let now = Instant::now();
        self.left_alone.retain(|_, until| *until > now);
        let mut due = wanted(state, me);
        due.retain(|copy| {
            !self.left_alone.contains_key(&copy.of) && !self.under_way.contains(&copy.of)
        });
        // What somebody waits for goes first.
        due.sort_by_key(|copy| !is_awaited(state, &copy.of));
        self.waiting = due.into();
    }

    fn begin(&mut self, state: &Arc<Applied>, cluster: &Cluster, builder: &Builder) {
        while let Some(copy) = self.waiting.pop_front() {
            let awaited = usize::from(is_awaited(state, &copy.of));
            if self.tasks.len() >= AT_ONCE_MAX * (1 + awaited) {
                return self.waiting.push_front(copy);
            }
            let of = copy.of.clone();
            self.under_way.insert(of.clone());
            let work = work(cluster.clone(), builder.clone(), state.clone(), copy);
            let work = AbortOnDropHandle::new(tokio::spawn(work));
            self.tasks.spawn(async move { (of, work.await.unwrap_or(RETRY_PAUSE)) });
        }
    }

    fn over(&mut self, of: Kept, pause: Duration) {
        self.under_way.remove(&of);
        self.left_alone.insert(of, Instant::now() + pause);
    }
}

fn is_awaited(state: &Applied, of: &Kept) -> bool {
    let Kept::Version(id) = of else { return false };
    state.deployments.get(id).is_some_and(|deployment| deployment.phase.is_under_way())
}

/// Has the copy made, or finds out that it is there; tells for how long it may be left alone then.
async fn work(cluster: Cluster, builder: Builder, state: Arc<Applied>, copy: Copy) -> Duration {
    let node = cluster.node_id();
    let held = hold(&builder, &state, node, &copy.of).await;
    let command = match (&held, copy.held) {
        (Ok(true), false) => told(&state, node, &copy.of, true),
        (Ok(false), true) => told(&state, node, &copy.of, false),
        _ => None,
    };
    let told = match command {
        Some(command) => propose(&cluster, command).await,
        None => Ok(()),
    };
    match &told {
        // What it is a copy of is gone or means something else.
        Ok(()) | Err(ProposeError::Rejected(_)) => {}
        Err(error) => {
            tracing::warn!(copy = ?copy.of, %error, "the cluster could not be told of a copy");
        }
    }
    match held {
        Ok(true) if told.is_ok() => KEPT_PAUSE,
        Ok(_) => RETRY_PAUSE,
        Err(error) => {
            tracing::warn!(copy = ?copy.of, error = error.message(), "a copy could not be kept");
            RETRY_PAUSE
        }
    }
}

async fn hold(
    builder: &Builder,
    state: &Applied,
    node: NodeId,
    of: &Kept,
) -> Result<bool, BuildError> {
    match of {
        Kept::Version(id) => match state.deployments.get(id) {
            Some(deployment) => builder.hold(state, node, deployment).await,
            None => Ok(false),
        },
        Kept::Pushed(name) => match state.image_tags.get(name) {
            Some(tag) => builder.hold_pushed(state, node, tag).await,
            None => Ok(false),
        },
    }
}

/// The command that tells of a copy, or of its loss.
fn told(state: &Applied, node: NodeId, of: &Kept, held: bool) -> Option<Command> {
    Some(match (of, held) {
        (Kept::Version(id), true) => Command::HoldArtifact { id: *id, node },
        (Kept::Version(id), false) => Command::ReleaseArtifact { id: *id, node },
        (Kept::Pushed(name), held) => {
            let (name, manifest) = (name.clone(), state.image_tags.get(name)?.manifest.clone());
            match held {
                true => Command::HoldImage { name, manifest, node },
                false => Command::ReleaseImage { name, manifest, node },
            }
        }
    })
}
