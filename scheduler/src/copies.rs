//! Keeps the copies of artifacts and of pushed images that this node should have, and tells the cluster which it has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use temps_builder::copies::{Copy, Duty, Kept, wanted};
use temps_builder::{BuildError, Builder};
use temps_raft::{Applied, Cluster, Committed, Proposal, ProposeError};
use temps_state::{Actor, Command, Condition, NodeId, State};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often it is looked for copies that were left alone for long enough.
const TICK: Duration = Duration::from_secs(5);
/// How long a copy that is here is left alone.
const KEPT_PAUSE: Duration = Duration::from_secs(60);
/// How long a copy that could not be had is left alone.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// How long a copy must have been one too many before it is given up: its other holders look after theirs in that time,
/// one that was lost also.
const SURPLUS_MIN: Duration = KEPT_PAUSE.saturating_mul(2);
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
    /// What is one copy too many, and since when.
    surplus: BTreeMap<Kept, Instant>,
}

impl Copies {
    /// Finds out which copies are due.
    fn look(&mut self, state: &State, me: NodeId) {
        let now = Instant::now();
        self.left_alone.retain(|_, until| *until > now);
        let mut due = wanted(state, me, Timestamp::now());
        self.defer(&mut due, now);
        due.retain(|copy| {
            !self.left_alone.contains_key(&copy.of) && !self.under_way.contains(&copy.of)
        });
        // What somebody waits for goes first.
        due.sort_by_key(|copy| !is_awaited(state, &copy.of));
        self.waiting = due.into();
    }

    /// What has not been too many for long is only looked after.
    fn defer(&mut self, copies: &mut [Copy], now: Instant) {
        let surplus = copies.iter().filter(|copy| copy.duty == Duty::GiveUp);
        let since = |of: &Kept| self.surplus.get(of).copied().unwrap_or(now);
        let surplus = surplus.map(|copy| (copy.of.clone(), since(&copy.of))).collect();
        self.surplus = surplus;
        for copy in copies {
            let since = self.surplus.get(&copy.of);
            if since.is_some_and(|since| now.duration_since(*since) < SURPLUS_MIN) {
                copy.duty = Duty::Keep;
            }
        }
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

fn is_awaited(state: &State, of: &Kept) -> bool {
    let Kept::Version(id) = of else { return false };
    state.deployments.get(id).is_some_and(|deployment| deployment.phase.is_under_way())
}

/// Has the copy made, or finds out that it is there, or gives it up; tells for how long it may be left alone then.
async fn work(cluster: Cluster, builder: Builder, state: Arc<Applied>, copy: Copy) -> Duration {
    let node = cluster.node_id();
    if copy.duty == Duty::GiveUp {
        if let Some(proposal) = surrender(&state, node, &copy.of) {
            let _told = told(cluster.propose(proposal).await, &copy.of);
        }
        return RETRY_PAUSE;
    }
    let held = hold(&builder, &state, node, &copy.of).await;
    let command = match (&held, copy.duty) {
        (Ok(true), Duty::Take) => news(&state, node, &copy.of, true),
        (Ok(false), Duty::Keep) => news(&state, node, &copy.of, false),
        _ => None,
    };
    let told = match command {
        Some(command) => told(cluster.propose_own(command).await, &copy.of),
        None => true,
    };
    match held {
        Ok(true) if told => KEPT_PAUSE,
        Ok(_) => RETRY_PAUSE,
        Err(error) => {
            tracing::warn!(copy = ?copy.of, error = error.message(), "a copy could not be kept");
            RETRY_PAUSE
        }
    }
}

/// Whether the cluster has heard of a copy.
fn told(answer: Result<Committed, ProposeError>, of: &Kept) -> bool {
    match answer {
        Ok(_) => true,
        // What it is a copy of is gone, means something else, or changed in between.
        Err(ProposeError::Rejected(_)) => false,
        Err(error) => {
            tracing::warn!(copy = ?of, %error, "the cluster could not be told of a copy");
            false
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

/// Gives a copy up while the holders are those by which it is one too many: of two that go at once, one is refused.
fn surrender(state: &State, node: NodeId, of: &Kept) -> Option<Proposal> {
    let row = match of {
        Kept::Version(id) => format!("deployments/{id}"),
        Kept::Pushed(name) => format!("image_tags/{name}"),
    };
    let condition = Condition { tag: state.tag(&row)?, row };
    let own = Proposal::new(Actor::Node { id: node }, news(state, node, of, false)?);
    Some(Proposal { condition: Some(condition), ..own })
}

/// The command that tells of a copy, or of its end.
fn news(state: &State, node: NodeId, of: &Kept, held: bool) -> Option<Command> {
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

#[cfg(test)]
mod tests {
    use temps_state::{Entry, ImageTag, Node, Rejected, TagName};

    use super::*;

    /// As many nodes, which all hold what was pushed under one tag.
    fn held_by(nodes: u64) -> (State, Kept) {
        let mut state = State::default();
        let ids = (1..=nodes).map(NodeId);
        for id in ids.clone() {
            state.nodes.insert(id, Node::new(id, format!("n{id}"), Timestamp::UNIX_EPOCH));
        }
        let name: TagName = "team/app:1".parse().unwrap();
        let tag = ImageTag {
            manifest: format!("{:064}", 1),
            set_at: Timestamp::UNIX_EPOCH,
            set_by: Actor::Node { id: NodeId(1) },
            holders: ids.collect(),
        };
        state.image_tags.insert(name.clone(), tag);
        (state, Kept::Pushed(name))
    }

    fn with(state: &State, duty: Duty) -> Vec<NodeId> {
        let has = |id: &NodeId| {
            wanted(state, *id, Timestamp::UNIX_EPOCH).iter().any(|copy| copy.duty == duty)
        };
        state.nodes.keys().copied().filter(has).collect()
    }

    #[test]
    fn of_two_that_give_a_copy_up_at_once_one_is_refused() {
        let (mut state, of) = held_by(4);
        let surplus = with(&state, Duty::GiveUp);
        assert_eq!(surplus.len(), 2);
        let asked = surplus.iter().map(|node| surrender(&state, *node, &of).unwrap());
        let asked: Vec<Proposal> = asked.collect();
        let mut answers = (1..).zip(asked).map(|(index, proposal)| {
            let Proposal { actor, from, request, condition, command } = proposal;
            let at = Timestamp::UNIX_EPOCH;
            state.apply(index, Entry { at, actor, from, request, condition, command })
        });
        assert!(answers.next().unwrap().is_ok());
        assert!(matches!(answers.next().unwrap(), Err(Rejected::Changed { .. })));
        assert_eq!(with(&state, Duty::GiveUp), surplus[1..], "it asks again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_given_up_once_it_has_been_too_many_for_long() {
        let (mut state, of) = held_by(3);
        let me = with(&state, Duty::GiveUp)[0];
        let mut copies = Copies::default();
        let duty = |copies: &mut Copies, state: &State| {
            copies.look(state, me);
            copies.waiting.iter().map(|copy| copy.duty).collect::<Vec<_>>()
        };
        assert_eq!(duty(&mut copies, &state), [Duty::Keep]);
        tokio::time::advance(SURPLUS_MIN).await;
        assert_eq!(duty(&mut copies, &state), [Duty::GiveUp]);
        let other = *state.nodes.keys().find(|node| **node != me).unwrap();
        let set_lost = |state: &mut State, at| {
            let node = state.nodes[&other].clone();
            state.nodes.insert(other, Node { lost_since: at, ..node });
        };
        set_lost(&mut state, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(duty(&mut copies, &state), [Duty::Keep]);
        set_lost(&mut state, None);
        assert_eq!(duty(&mut copies, &state), [Duty::Keep], "it counts from its return");
        copies.over(of, KEPT_PAUSE);
        tokio::time::advance(SURPLUS_MIN).await;
        assert_eq!(duty(&mut copies, &state), [Duty::GiveUp]);
    }
}
