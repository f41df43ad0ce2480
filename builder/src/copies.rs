//! Which copies of artifacts and of pushed images a node should have. Pure: from the state alone, so that all nodes
//! agree on it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use temps_state::{
    Artifact, Deployment, DeploymentId, ImageTag, NodeId, Observed, Phase, Replica, Standing,
    State, TagName,
};

use crate::Needed;

/// How many nodes keep an image that is needed, when there are as many.
pub const IMAGE_COPIES: usize = 2;

/// What nodes keep copies of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// What a deployment runs.
    Version(DeploymentId),
    /// What people pushed under a tag.
    Pushed(TagName),
}

/// A copy that a node should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Of what.
    pub of: Kept,
    /// Whether the cluster believes that the node has it.
    pub held: bool,
}

/// The copies that a node should have: those it is believed to hold, and those that too few others hold.
pub fn wanted(state: &State, me: NodeId) -> Vec<Copy> {
    let needed = Needed::of(state);
    let mut copies = Vec::new();
    for deployment in state.deployments.values() {
        let Some(artifact) = deployment.artifact.as_ref().filter(|a| needed.has(a)) else {
            continue;
        };
        let held = deployment.holders.contains(&me);
        if held || takers(state, deployment, artifact).contains(&me) {
            copies.push(Copy { of: Kept::Version(deployment.id), held });
        }
    }
    for (name, tag) in &state.image_tags {
        let held = tag.holders.contains(&me);
        if held || tag_takers(state, tag).contains(&me) {
            copies.push(Copy { of: Kept::Pushed(name.clone()), held });
        }
    }
    copies
}

/// The nodes that should get a copy of a pushed image now: as many as are missing.
fn tag_takers(state: &State, tag: &ImageTag) -> Vec<NodeId> {
    let missing = IMAGE_COPIES.saturating_sub(lasting(state, &tag.holders));
    if missing == 0 {
        return vec![];
    }
    let without = state.ready_nodes().map(|node| node.id);
    let mut ranked: Vec<NodeId> = without.filter(|id| !tag.holders.contains(id)).collect();
    ranked.sort_by_key(|node| (rank(&tag.manifest, *node), *node));
    ranked.truncate(missing);
    ranked
}

/// Whether a node must keep what it has of a pushed image: the cluster counts on it, or too few others have it.
pub fn keeps(state: &State, me: NodeId, tag: &ImageTag) -> bool {
    tag.holders.contains(&me) || lasting(state, &tag.holders) < IMAGE_COPIES
}

/// The nodes that should get a copy now: all for a site, which every edge serves; for an image as many as are missing,
/// those first that run it.
fn takers(state: &State, deployment: &Deployment, artifact: &Artifact) -> Vec<NodeId> {
    let without = state.ready_nodes().map(|node| node.id);
    let without = without.filter(|id| !deployment.holders.contains(id));
    match artifact {
        Artifact::Static { .. } => without.collect(),
        Artifact::Image { id } => {
            let missing = IMAGE_COPIES.saturating_sub(lasting(state, &deployment.holders));
            if missing == 0 || is_about_to_be_placed(state, deployment) {
                return vec![];
            }
            let runners = runners(state, deployment.id);
            let mut ranked: Vec<NodeId> = without.collect();
            ranked.sort_by_key(|node| (!runners.contains(node), rank(id, *node), *node));
            ranked.truncate(missing);
            ranked
        }
    }
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

/// The holders that are there to stay.
fn stay(state: &State, holders: &BTreeSet<NodeId>) -> impl Iterator<Item = NodeId> {
    let nodes = holders.iter().filter_map(|id| state.nodes.get(id));
    nodes.filter(|node| node.takes_replicas()).map(|node| node.id)
}

/// Rendezvous hashing: each image has its own order of the nodes, and a node that comes or goes changes no other.
fn rank(image: &str, node: NodeId) -> u64 {
    // With fixed keys, so that all nodes of a version count alike; and if they did not, there would be one copy more.
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
