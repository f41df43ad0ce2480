//! Which copies of artifacts a node should have. Pure: from the state alone, so that all nodes agree on it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use temps_state::{Artifact, Deployment, DeploymentId, NodeId, Standing, State};

use crate::Needed;

/// How many nodes keep an image that is needed, when there are as many.
pub const IMAGE_COPIES: usize = 2;

/// A copy that a node should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// The deployment whose artifact it is.
    pub deployment: DeploymentId,
    /// Whether the cluster believes that the node has it.
    pub held: bool,
}

/// The copies that a node should have: those it is believed to hold, and those that too few others hold.
pub fn wanted(state: &State, me: NodeId) -> Vec<Copy> {
    let needed = Needed::of(state);
    let is_needed = |artifact: &Artifact| match artifact {
        Artifact::Image { id } => needed.images.contains(id),
        Artifact::Static { digest, .. } => needed.sites.contains(digest),
    };
    let mut copies = Vec::new();
    for deployment in state.deployments.values() {
        let Some(artifact) = deployment.artifact.as_ref().filter(|a| is_needed(a)) else {
            continue;
        };
        let held = deployment.holders.contains(&me);
        if held || takers(state, deployment, artifact).contains(&me) {
            copies.push(Copy { deployment: deployment.id, held });
        }
    }
    copies
}

/// The nodes that should get a copy now: all for a site, which every edge serves; for an image as many as are missing.
fn takers(state: &State, deployment: &Deployment, artifact: &Artifact) -> Vec<NodeId> {
    let without = state.ready_nodes().map(|node| node.id);
    let without = without.filter(|id| !deployment.holders.contains(id));
    match artifact {
        Artifact::Static { .. } => without.collect(),
        Artifact::Image { id } => {
            let mut ranked: Vec<NodeId> = without.collect();
            ranked.sort_by_key(|node| (rank(id, *node), *node));
            ranked.truncate(IMAGE_COPIES.saturating_sub(lasting(state, deployment)));
            ranked
        }
    }
}

/// How many holders are there to stay.
fn lasting(state: &State, deployment: &Deployment) -> usize {
    state.ready_nodes().filter(|node| deployment.holders.contains(&node.id)).count()
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

/// The nodes that hold what a repository of the registry has; those of a tag alone when one is asked for.
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
