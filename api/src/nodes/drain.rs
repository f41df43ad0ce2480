//! What keeps a node from going, and what its going costs. Pure.

use temps_builder::copies::{self, Kept};
use temps_raft::WouldLoseQuorum;
use temps_state::{Intent, Node, NodeId, Phase, Standing, State};

use crate::ApiError;

/// What a node that drains still does. Versions that are only kept for a rollback are no reason to wait: they are
/// started again where they are needed.
pub(super) fn blocked_by(state: &State, node: &Node, leader: Option<NodeId>) -> Vec<String> {
    if node.standing != Standing::Draining {
        return Vec::new();
    }
    let nobody = state.ready_nodes().all(|other| other.id == node.id);
    let elsewhere = if nobody { ", and no other node takes replicas now" } else { "" };
    let replicas = busy_replicas(state, node.id);
    let builds = state.deployments.values();
    let builds = builds.filter(|d| d.phase == Phase::Building { on: node.id }).count();
    let only_copies = only_copies(state, node.id);
    let reasons = [
        (replicas > 0).then(|| format!("{} to move{elsewhere}", counted(replicas, "replica"))),
        (builds > 0).then(|| format!("{} to end", counted(builds, "build"))),
        only_copies.map(|what| format!("the only copy of {what} to hand on{elsewhere}")),
        (leader == Some(node.id)).then(|| "the lead to hand over".into()),
    ];
    reasons.into_iter().flatten().collect()
}

/// How many replicas of a node serve, or end what they serve.
pub(super) fn busy_replicas(state: &State, node: NodeId) -> usize {
    let here = state.replicas.values().filter(|replica| replica.node == node);
    here.filter(|replica| replica.intent != Intent::Keep).count()
}

/// What is lost with a quorum; an error unless that is meant.
pub(super) fn loss(
    may_remove: &Result<(), WouldLoseQuorum>,
    force: bool,
) -> Result<Option<String>, ApiError> {
    match may_remove {
        Ok(()) => Ok(None),
        Err(why) if !force => Err(why.clone().into()),
        Err(WouldLoseQuorum { left, needed, .. }) => Ok(Some(format!(
            "only {left} of the {needed} voting nodes that are needed can be reached now: nothing \
             can be changed until others come back; apps are served as before"
        ))),
    }
}

/// What stops with the node, and what is lost.
pub(super) fn warning(state: &State, node: &Node) -> Option<String> {
    let replicas = busy_replicas(state, node.id);
    let ran = (replicas > 0 && node.is_reachable()).then(|| {
        format!(
            "{} still ran on it, which start elsewhere now: drain a node first to move them \
             without a gap",
            counted(replicas, "replica")
        )
    });
    let lost = only_copies(state, node.id).map(|what| {
        format!(
            "it had the only copy of {what}, which may not be had from anywhere else: deploy or \
             push again what is missing"
        )
    });
    let warnings: Vec<String> = ran.into_iter().chain(lost).collect();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}

/// What only a node has, in words.
fn only_copies(state: &State, node: NodeId) -> Option<String> {
    let only = copies::only_here(state, node);
    let versions = only.iter().filter(|kept| matches!(kept, Kept::Version(_))).count();
    let images = only.len() - versions;
    match (versions, images) {
        (0, 0) => None,
        (_, 0) => Some(counted(versions, "version")),
        (0, _) => Some(counted(images, "pushed image")),
        _ => Some(format!(
            "{} and {}",
            counted(versions, "version"),
            counted(images, "pushed image")
        )),
    }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{
        Actor, Artifact, Deployment, DeploymentId, EnvironmentId, Id, ImageTag, ProjectId, Source,
        TagName,
    };

    use super::*;

    #[test]
    fn a_node_that_drains_says_what_it_waits_for() {
        let mut state = State::default();
        let mut node = Node::new(NodeId(1), "n1", Timestamp::UNIX_EPOCH);
        state.nodes.insert(node.id, node.clone());
        assert!(blocked_by(&state, &node, Some(node.id)).is_empty(), "it does not drain");
        node.standing = Standing::Draining;
        assert_eq!(blocked_by(&state, &node, Some(node.id)), ["the lead to hand over"]);
        assert!(blocked_by(&state, &node, Some(NodeId(2))).is_empty());
    }

    /// Two nodes; the first drains, and has the only copy of what is live.
    fn last_copy() -> (State, Deployment) {
        let mut state = State::default();
        for id in [1, 2].map(NodeId) {
            state.nodes.insert(id, Node::new(id, format!("n{id}"), Timestamp::UNIX_EPOCH));
        }
        let deployment = Deployment {
            id: DeploymentId::from_parts(1, 1),
            number: 1,
            project: ProjectId::from_parts(1, 1),
            environment: EnvironmentId::from_parts(1, 1),
            source: Source::Upload { digest: String::new() },
            revision: None,
            created_by: Actor::Node { id: NodeId(1) },
            created_at: Timestamp::UNIX_EPOCH,
            phase: Phase::Live,
            history: vec![],
            config: None,
            artifact: Some(Artifact::Image { id: "sha256:00".into() }),
            variables: Default::default(),
            built_on: None,
            architecture: None,
            holders: [NodeId(1)].into(),
            returned: vec![],
        };
        (state, deployment)
    }

    #[test]
    fn a_node_with_the_last_copy_of_a_version_is_not_safe_to_stop() {
        let (mut state, deployment) = last_copy();
        let node = Node { standing: Standing::Draining, ..state.nodes[&NodeId(1)].clone() };
        let id = deployment.id;
        state.deployments.insert(id, deployment);
        assert_eq!(blocked_by(&state, &node, None), ["the only copy of 1 version to hand on"]);
        assert!(warning(&state, &node).is_some_and(|warning| warning.contains("only copy")));
        if let Some(deployment) = state.deployments.get_mut(&id) {
            deployment.holders.insert(NodeId(2));
        }
        assert_eq!((blocked_by(&state, &node, None), warning(&state, &node)), (vec![], None));
    }

    #[test]
    fn a_node_with_the_last_copy_of_a_pushed_image_is_not_safe_to_stop() {
        let (mut state, deployment) = last_copy();
        let node = Node { standing: Standing::Draining, ..state.nodes[&NodeId(1)].clone() };
        let tag = ImageTag {
            manifest: "0".repeat(64),
            set_at: Timestamp::UNIX_EPOCH,
            set_by: Actor::Node { id: NodeId(1) },
            holders: [NodeId(1)].into(),
        };
        let name: TagName = "app:1".parse().unwrap();
        state.image_tags.insert(name.clone(), tag);
        assert_eq!(blocked_by(&state, &node, None), ["the only copy of 1 pushed image to hand on"]);
        state.deployments.insert(deployment.id, deployment);
        let both = "the only copy of 1 version and 1 pushed image to hand on";
        assert_eq!(blocked_by(&state, &node, None), [both]);
        state.deployments.clear();
        state.image_tags.get_mut(&name).unwrap().holders.insert(NodeId(2));
        assert_eq!((blocked_by(&state, &node, None), warning(&state, &node)), (vec![], None));
    }

    #[test]
    fn the_quorum_is_given_up_only_by_force() {
        let lost = WouldLoseQuorum { node: NodeId(3), left: 1, voters: 3, needed: 2 };
        assert_eq!(loss(&Ok(()), false).unwrap(), None);
        let refused = loss(&Err(lost.clone()), false).unwrap_err();
        assert_eq!(refused.kind().1, "would_lose_quorum");
        let warning = loss(&Err(lost), true).unwrap().unwrap();
        assert!(warning.contains("only 1 of the 2"), "{warning}");
    }
}
