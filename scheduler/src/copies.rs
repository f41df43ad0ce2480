//! Keeps the copies of artifacts that this node should have, and tells the cluster which it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use temps_builder::Builder;
use temps_builder::copies::{Copy, wanted};
use temps_raft::{Applied, Cluster};
use temps_state::{Command, DeploymentId};
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
        copies.begin(&state, &cluster, &builder);
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            Some(Ok((id, pause))) = copies.tasks.join_next() => copies.over(id, pause),
            _ = tick.tick() => {}
        }
    }
}

/// What is worked on, and what is left alone until when.
#[derive(Default)]
struct Copies {
    tasks: JoinSet<(DeploymentId, Duration)>,
    under_way: BTreeSet<DeploymentId>,
    left_alone: BTreeMap<DeploymentId, Instant>,
}

impl Copies {
    fn begin(&mut self, state: &Arc<Applied>, cluster: &Cluster, builder: &Builder) {
        let now = Instant::now();
        self.left_alone.retain(|_, until| *until > now);
        let mut copies = wanted(state, cluster.node_id());
        // What somebody waits for goes first.
        copies.sort_by_key(|copy| !is_awaited(state, copy.deployment));
        for copy in copies {
            let id = copy.deployment;
            let awaited = usize::from(is_awaited(state, id));
            let idle = !self.left_alone.contains_key(&id) && !self.under_way.contains(&id);
            if idle && self.tasks.len() < AT_ONCE_MAX * (1 + awaited) {
                self.under_way.insert(id);
                let work = work(cluster.clone(), builder.clone(), state.clone(), copy);
                let work = AbortOnDropHandle::new(tokio::spawn(work));
                self.tasks.spawn(async move { (id, work.await.unwrap_or(RETRY_PAUSE)) });
            }
        }
    }

    fn over(&mut self, id: DeploymentId, pause: Duration) {
        self.under_way.remove(&id);
        self.left_alone.insert(id, Instant::now() + pause);
    }
}

fn is_awaited(state: &Applied, id: DeploymentId) -> bool {
    state.deployments.get(&id).is_some_and(|deployment| deployment.phase.is_under_way())
}

/// Has the copy made, or finds out that it is there; tells for how long it may be left alone then.
async fn work(cluster: Cluster, builder: Builder, state: Arc<Applied>, copy: Copy) -> Duration {
    let (id, node) = (copy.deployment, cluster.node_id());
    let Some(deployment) = state.deployments.get(&id) else { return RETRY_PAUSE };
    let held = builder.hold(&state, node, deployment).await;
    let told = match (&held, copy.held) {
        (Ok(true), false) => propose(&cluster, Command::HoldArtifact { id, node }).await,
        (Ok(false), true) => propose(&cluster, Command::ReleaseArtifact { id, node }).await,
        _ => Ok(()),
    };
    if let Err(error) = &told {
        tracing::warn!(deployment = %id, %error, "the cluster could not be told of a copy");
    }
    match held {
        Ok(true) if told.is_ok() => KEPT_PAUSE,
        Ok(_) => RETRY_PAUSE,
        Err(error) => {
            tracing::warn!(deployment = %id, error = error.message(), "a copy could not be kept");
            RETRY_PAUSE
        }
    }
}
