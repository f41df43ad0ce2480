//! What only the leader does: founds the authority, says who is lost, changes who votes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use openraft::{BasicNode, ChangeMembers};
use temps_state::{Actor, ClusterKey, Command, Intent, Node, NodeId, Standing, State};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::chronicle::Chronicle;
use super::doors::Doors;
use super::expected::{Expected, Role};
use super::group::{Group, leads};
use super::known::Known;
use crate::liveness::{HandsOver, Verdict, judge};
use crate::membership::{Change, NodeView, View, next};
use crate::trust::draw_authority;
use crate::types::RaftMetrics;
use crate::{Proposal, ProposeError, RaftError};

/// How often the leader looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many entries a node may be behind and still get a vote.
const BEHIND_MAX: u64 = 500;
/// How long one change of the members may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is remembered of the others between two looks.
struct Watch {
    expected: Expected,
    handovers: Known,
    doors: Doors,
    chronicle: Chronicle,
}

impl Watch {
    fn new() -> Self {
        Self {
            expected: Expected::default(),
            handovers: Known::of(|node| node.hands_over_since),
            doors: Doors::default(),
            chronicle: Chronicle::default(),
        }
    }
}

/// For how long members have been what they are.
struct Ages {
    joining: Known,
    lost: Known,
}

impl Ages {
    fn new() -> Self {
        let joining = |node: &Node| (node.standing == Standing::Joining).then_some(node.joined_at);
        Self { joining: Known::of(joining), lost: Known::of(|node| node.lost_since) }
    }

    fn follow(&mut self, state: &State, now: Instant) {
        self.joining.follow(state, now);
        self.lost.follow(state, now);
    }
}

impl Group {
    /// Founds the cluster's authority, if there is none.
    pub(super) async fn found_authority(
        &self,
        key: &ClusterKey,
        cluster: &str,
    ) -> Result<(), RaftError> {
        if self.applied().authority().is_some() {
            return Ok(());
        }
        let authority = draw_authority(key, cluster, Timestamp::now())?;
        match self.order(Command::FoundAuthority { authority }).await {
            Ok(()) | Err(ProposeError::Rejected(_)) => Ok(()),
            Err(error) => Err(RaftError::failed(error)),
        }
    }

    /// Founds it while this node leads, should it be missing. Runs until it is there.
    pub(super) async fn keep_authority(self, key: ClusterKey, cluster: String) {
        let mut ticks = ticks();
        while self.applied().authority().is_none() {
            ticks.tick().await;
            if leads(&self.metrics())
                && let Err(error) = self.found_authority(&key, &cluster).await
            {
                warn!(%error, "the cluster's authority could not be founded");
            }
        }
    }

    /// Says who is lost and who is back, while this node leads. Runs until Raft ends.
    pub(super) async fn watch_nodes(self) {
        let (mut ticks, mut watch) = (ticks(), Watch::new());
        loop {
            ticks.tick().await;
            let metrics = self.metrics();
            let role = self.role(&metrics).await;
            let judges = matches!(role, Role::Leader { quorum: true, .. });
            watch.expected.follow(role, Instant::now());
            watch.handovers.follow(&self.applied(), Instant::now());
            watch.chronicle.tell(&self.applied(), metrics.current_leader.map(NodeId));
            if !judges {
                // A leader that nobody answers is the one who is away.
                continue;
            }
            watch.doors.look(self.handing(&watch.handovers), Instant::now()).await;
            for node in self.all() {
                // Judged just now, as the one before may have taken long. What is not said now is said in the next round.
                if let Some(command) = self.verdict(node, &watch) {
                    let _ = self.order(command).await;
                }
            }
        }
    }

    async fn role(&self, metrics: &RaftMetrics) -> Role {
        if leads(metrics) {
            let members = metrics.membership_config.nodes().map(|(id, _)| NodeId(*id)).collect();
            return Role::Leader { members, quorum: self.leads_quorum(metrics) };
        }
        let heard = self.leader_heard().await.and_then(|ago| Instant::now().checked_sub(ago));
        Role::Follower { leader: metrics.current_leader.map(NodeId).zip(heard) }
    }

    /// Where the nodes that hand over are reached.
    fn handing(&self, handovers: &Known) -> BTreeMap<NodeId, SocketAddr> {
        let applied = self.applied();
        let handing = applied.nodes.values().filter(|node| handovers.since(node.id).is_some());
        handing.filter_map(|node| Some((node.id, node.address?))).collect()
    }

    fn all(&self) -> Vec<NodeId> {
        self.applied().nodes.keys().copied().collect()
    }

    /// What is to be said of a node now. Nodes that are no members yet are not called, so nothing is said of them. A
    /// leader that another one had missed is back: nobody else could say so.
    fn verdict(&self, id: NodeId, watch: &Watch) -> Option<Command> {
        let (applied, now) = (self.applied(), Instant::now());
        let lost = !applied.nodes.get(&id)?.is_reachable();
        if id == self.node {
            return lost.then_some(Command::RegainNode { id });
        }
        let expected = watch.expected.elapsed(id, now)?;
        let said = watch.handovers.since(id).map(|at| at.elapsed());
        let shut_for = watch.doors.shut_for(id, now);
        let hands_over = said.zip(shut_for).map(|(said, shut_for)| HandsOver { said, shut_for });
        match judge(lost, self.heard(id), expected, hands_over)? {
            Verdict::Lost => Some(Command::LoseNode { id }),
            Verdict::Back => Some(Command::RegainNode { id }),
        }
    }

    /// Brings the members to what they should be, while this node leads. Runs until Raft ends.
    pub(super) async fn keep_members(self) {
        let (mut ticks, mut ages) = (ticks(), Ages::new());
        loop {
            ticks.tick().await;
            ages.follow(&self.applied(), Instant::now());
            let metrics = self.metrics();
            if !self.leads_quorum(&metrics) {
                continue;
            }
            let full = self.full_nodes(&metrics).await;
            let Some(change) = next(&self.view(&metrics, &ages, &full)) else { continue };
            info!(?change, "changing the members");
            match timeout(CHANGE_TIMEOUT, self.change(change.clone())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(?change, %error, "the members could not be changed"),
                Err(_) => warn!(?change, "changing the members takes long"),
            }
        }
    }

    /// The voters whose disks have no room, or who do not say; nobody while this node has some.
    async fn full_nodes(&self, metrics: &RaftMetrics) -> BTreeSet<NodeId> {
        if !self.lacks_room() {
            return BTreeSet::new();
        }
        let voters = metrics.membership_config.voter_ids().map(NodeId);
        let asked = voters.map(|node| async move {
            let has_room = self.peer_status(node).await.is_ok_and(|status| !status.lacks_room);
            (!has_room).then_some(node)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    fn view(&self, metrics: &RaftMetrics, ages: &Ages, full: &BTreeSet<NodeId>) -> View {
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<NodeId> = membership.voter_ids().map(NodeId).collect();
        let state = self.applied();
        let nodes =
            state.nodes.values().map(|node| node_view(&state, node, metrics, ages, full)).collect();
        View {
            leader: self.node,
            is_joint: membership.get_joint_config().len() > 1,
            learners: membership.learner_ids().map(NodeId).collect(),
            voters,
            nodes,
        }
    }

    async fn change(&self, change: Change) -> Result<(), RaftError> {
        let raft = &self.raft;
        let changed = match change {
            Change::Expire(id) => {
                return self
                    .order(Command::RemoveNode { id, beside: [].into() })
                    .await
                    .map_err(RaftError::failed);
            }
            Change::HandOver(to) => {
                return raft.trigger().transfer_leader(to.0).await.map_err(RaftError::failed);
            }
            Change::Add(id, address) => raft.add_learner(id.0, member(Some(address)), false).await,
            Change::Finish => {
                raft.change_membership(ChangeMembers::AddVoterIds(BTreeSet::new()), true).await
            }
            Change::Vote(voters) => {
                let voters = voters.into_iter().map(|id| id.0).collect();
                raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), true).await
            }
            Change::Remove(id) => {
                let gone = ChangeMembers::RemoveNodes(BTreeSet::from([id.0]));
                raft.change_membership(gone, true).await
            }
        };
        changed.map(drop).map_err(RaftError::failed)
    }

    async fn order(&self, command: Command) -> Result<(), ProposeError> {
        let proposal = Proposal::new(Actor::Node { id: self.node }, command);
        self.propose(proposal).await.map(drop)
    }
}

/// How a node at an address is written into the membership.
pub fn member(address: Option<SocketAddr>) -> BasicNode {
    address.map_or_else(BasicNode::default, |address| BasicNode::new(address.to_string()))
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn node_view(
    state: &State,
    node: &Node,
    metrics: &RaftMetrics,
    ages: &Ages,
    full: &BTreeSet<NodeId>,
) -> NodeView {
    let now = Instant::now();
    let matched = metrics.replication.as_ref().and_then(|all| all.get(&node.id.0));
    let matched = matched.and_then(|at| at.as_ref()).map(|at| at.index);
    let last = metrics.last_log_index.unwrap_or_default();
    NodeView {
        id: node.id,
        address: node.address,
        standing: node.standing,
        serves: node.standing == Standing::Draining
            && state.replicas_on(node.id).any(|replica| replica.intent != Intent::Keep),
        age: ages.joining.lasts(node.id, now).unwrap_or_default(),
        lost: node.lost_since.map(|_| ages.lost.lasts(node.id, now).unwrap_or_default()),
        caught_up: matched.is_some_and(|matched| matched + BEHIND_MAX >= last),
        lacks_room: full.contains(&node.id),
    }
}
