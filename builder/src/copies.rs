//! Which copies of artifacts and of pushed images a node should have. Pure: from the state and the time alone, so
//! that all nodes agree on it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use temps_state::{
    Artifact, Deployment, DeploymentId, ImageTag, Node, NodeId, Observed, Phase, Replica, Standing,
    State, TagName,
};

use crate::Needed;

/// How many nodes keep an image that is needed, when there are as many.
pub const IMAGE_COPIES: usize = 2;
/// How long a holder may be lost before another node takes a copy instead of it: most are back by then.
pub const HOLDER_LOST_MAX: SignedDuration = SignedDuration::from_secs(60);

/// What nodes keep copies of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// What a deployment runs.
    Version(DeploymentId),
    /// What people pushed under a tag.
    Pushed(TagName),
}

/// A copy that a node has something to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Of what.
    pub of: Kept,
    /// What it has to do.
    pub duty: Duty,
}

/// What a node has to do with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// To get it: too few others hold one.
    Take,
    /// To look after it: the cluster believes that it is here.
    Keep,
    /// To look after it until it is given up: enough others are to hold it, by every node's count.
    GiveUp,
}

/// An image as far as it is copied.
struct Image<'a> {
    /// What its order of the nodes is drawn from.
    name: &'a str,
    holders: &'a BTreeSet<NodeId>,
    /// The nodes that run it.
    runners: BTreeSet<NodeId>,
    /// Whether it will be known in a moment which nodes run it.
    is_unsettled: bool,
}

/// The copies that a node has something to do with: those it is believed to hold, and those that too few others hold.
pub fn wanted(state: &State, me: NodeId, now: Timestamp) -> Vec<Copy> {
    let needed = Needed::of(state);
    let mut copies = Vec::new();
    for deployment in state.deployments.values() {
        let duty = match deployment.artifact.as_ref().filter(|a| needed.has(a)) {
            Some(Artifact::Image { id }) => {
                Image::of_version(state, deployment, id).duty(state, me, now)
            }
            Some(Artifact::Static { .. }) => site_duty(state, me, deployment),
            None => None,
        };
        copies.extend(duty.map(|duty| Copy { of: Kept::Version(deployment.id), duty }));
    }
    for (name, tag) in &state.image_tags {
        let duty = Image::of_tag(tag).duty(state, me, now);
        copies.extend(duty.map(|duty| Copy { of: Kept::Pushed(name.clone()), duty }));
    }
    copies
}

/// All nodes have a site: every edge serves it.
fn site_duty(state: &State, me: NodeId, deployment: &Deployment) -> Option<Duty> {
    let is_ready = state.nodes.get(&me).is_some_and(Node::takes_replicas);
    match deployment.holders.contains(&me) {
        true => Some(Duty::Keep),
        false => is_ready.then_some(Duty::Take),
    }
}

impl<'a> Image<'a> {
    fn of_version(state: &State, deployment: &'a Deployment, id: &'a str) -> Self {
        Self {
            name: id,
            holders: &deployment.holders,
            runners: runners(state, deployment.id),
            is_unsettled: is_about_to_be_placed(state, deployment),
        }
    }

    fn of_tag(tag: &'a ImageTag) -> Self {
        let (name, holders) = (&tag.manifest, &tag.holders);
        Self { name, holders, runners: BTreeSet::new(), is_unsettled: false }
    }

    fn duty(&self, state: &State, me: NodeId, now: Timestamp) -> Option<Duty> {
        match self.holders.contains(&me) {
            true if self.is_surplus(state, me) => Some(Duty::GiveUp),
            true => Some(Duty::Keep),
            false => self.takers(state, now).contains(&me).then_some(Duty::Take),
        }
    }

    /// The nodes that should get a copy now: as many as are missing, those first that run it.
    fn takers(&self, state: &State, now: Timestamp) -> Vec<NodeId> {
        let missing = IMAGE_COPIES.saturating_sub(expected(state, self.holders, now));
        if missing == 0 || self.is_unsettled {
            return vec![];
        }
        let without = state.ready_nodes().map(|node| node.id);
        let mut ranked = self.ranked(without.filter(|id| !self.holders.contains(id)));
        ranked.truncate(missing);
        ranked
    }

    /// Whether enough holders are there without one that does not run it. Those that stay are chosen as those that take
    /// a copy are, so that nothing moves twice.
    fn is_surplus(&self, state: &State, me: NodeId) -> bool {
        if self.is_unsettled || self.runners.contains(&me) {
            return false;
        }
        let ranked = self.ranked(stay(state, self.holders));
        ranked.iter().skip(IMAGE_COPIES).any(|node| *node == me)
    }

    fn ranked(&self, nodes: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
        let mut ranked: Vec<NodeId> = nodes.collect();
        ranked.sort_by_key(|node| (!self.runners.contains(node), rank(self.name, *node), *node));
        ranked
    }
}

/// Whether a node must keep what it has of a pushed image: the cluster counts on it, or too few others have it.
pub fn keeps(state: &State, me: NodeId, tag: &ImageTag) -> bool {
    tag.holders.contains(&me) || lasting(state, &tag.holders) < IMAGE_COPIES
}

/// The nodes that have replicas of a deployment which are not down: their engines need the image in any case, and what
/// an engine gets from its node's registry is a copy at the same time.
fn runners(state: &State, deployment: DeploymentId) -> BTreeSet<NodeId> {
    let runs = |replica: &&Replica| !matches!(replica.observed, Observed::Down { .. });
    state.replicas_of(deployment).filter(runs).map(|replica| replica.node).collect()
}

/// Whether it will be known in a moment which nodes run a deployment.
fn is_about_to_be_placed(state: &State, deployment: &Deployment) -> bool {
    let environment = state.environments.get(&deployment.environment);
    deployment.phase == Phase::Starting
        && environment.is_some_and(|environment| environment.replicas > 0)
        && state.replicas_of(deployment.id).next().is_none()
}

/// What is needed and would be lost with a node: nobody else who is there to stay has it. While there is such a thing, the
/// node must not be called safe to stop.
pub fn only_here(state: &State, node: NodeId) -> Vec<Kept> {
    let needed = Needed::of(state);
    let is_only = |holders: &BTreeSet<NodeId>| {
        holders.contains(&node) && !stay(state, holders).any(|other| other != node)
    };
    let versions = state.deployments.values().filter(|d| is_only(&d.holders));
    let versions =
        versions.filter(|d| d.artifact.as_ref().is_some_and(|artifact| needed.has(artifact)));
    let pushed = state.image_tags.iter().filter(|(_, tag)| is_only(&tag.holders));
    let pushed = pushed.map(|(name, _)| Kept::Pushed(name.clone()));
    versions.map(|deployment| Kept::Version(deployment.id)).chain(pushed).collect()
}

/// How many holders are there to stay.
fn lasting(state: &State, holders: &BTreeSet<NodeId>) -> usize {
    stay(state, holders).count()
}

/// How many holders are there to stay, with those that are to be expected back.
fn expected(state: &State, holders: &BTreeSet<NodeId>, now: Timestamp) -> usize {
    let is_expected = |node: &&Node| {
        let lost_lately = |at| now.duration_since(at) < HOLDER_LOST_MAX;
        node.standing == Standing::Ready && node.lost_since.is_none_or(lost_lately)
    };
    holders.iter().filter_map(|id| state.nodes.get(id)).filter(is_expected).count()
}

/// The holders that are there to stay.
fn stay(state: &State, holders: &BTreeSet<NodeId>) -> impl Iterator<Item = NodeId> {
    let nodes = holders.iter().filter_map(|id| state.nodes.get(id));
    nodes.filter(|node| node.takes_replicas()).map(|node| node.id)
}

/// Rendezvous hashing: each image has its own order of the nodes, and a node that comes or goes changes no other.
fn rank(image: &str, node: NodeId) -> u64 {
    // With fixed keys, so that all nodes of a version count alike; and if they did not, there would be one copy more, or
    // another one would stay.
    let mut hasher = DefaultHasher::new();
    (image, node.0).hash(&mut hasher);
    hasher.finish()
}

/// Whether there is another node that could keep a copy.
pub(crate) fn is_alone(state: &State, me: NodeId) -> bool {
    state.ready_nodes().all(|node| node.id == me)
}

/// Whom to ask for an artifact: its holders first, then everybody else who can be reached.
pub fn candidates(state: &State, me: NodeId, holders: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let reachable = state.nodes.values().filter(|node| node.id != me && node.is_reachable());
    let mut nodes: Vec<NodeId> =
        reachable.filter(|node| node.standing != Standing::Joining).map(|node| node.id).collect();
    nodes.sort_by_key(|id| !holders.contains(id));
    nodes
}

/// The nodes that hold what a repository of built images has; those of a tag alone when one is asked for.
pub fn holders_of(state: &State, repository: &str, tag: Option<&str>) -> BTreeSet<NodeId> {
    let project = state
        .projects
        .values()
        .find(|project| repository.strip_prefix(crate::tags::BUILT) == Some(project.name.as_str()));
    let is_it = |deployment: &&Deployment| {
        let id = match &deployment.artifact {
            Some(Artifact::Image { id }) => id.strip_prefix("sha256:"),
            _ => None,
        };
        project.is_some_and(|project| deployment.project == project.id)
            && id.is_some_and(|id| tag.is_none_or(|tag| tag == id))
    };
    let found = state.deployments.values().filter(is_it);
    found.flat_map(|deployment| deployment.holders.iter().copied()).collect()
}
