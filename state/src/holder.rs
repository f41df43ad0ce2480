//! Holders: the nodes that have a deployment's artifact, or a pushed image, on their disk.

use crate::{DeploymentId, NodeId, Rejected, Reply, State, TagName};

impl State {
    /// A node has an artifact, and can give it to others.
    pub(crate) fn hold_artifact(
        &mut self,
        id: DeploymentId,
        node: NodeId,
    ) -> Result<Reply, Rejected> {
        self.check_holder(node)?;
        self.change_holders(id, |holders| holders.insert(node))
    }

    /// A node has an artifact no longer.
    pub(crate) fn release_artifact(
        &mut self,
        id: DeploymentId,
        node: NodeId,
    ) -> Result<Reply, Rejected> {
        self.change_holders(id, |holders| holders.remove(&node))
    }

    /// A node that is gone has nothing.
    pub(crate) fn forget_holder(&mut self, node: NodeId) {
        let held: Vec<DeploymentId> = self
            .deployments
            .values()
            .filter(|deployment| deployment.holders.contains(&node))
            .map(|deployment| deployment.id)
            .collect();
        for id in held {
            let _there = self.change_holders(id, |holders| holders.remove(&node));
        }
        let tags = self.image_tags.iter().filter(|(_, tag)| tag.holders.contains(&node));
        let tags: Vec<TagName> = tags.map(|(name, _)| name.clone()).collect();
        for name in tags {
            if let Some(tag) = self.image_tags.get_mut(&name) {
                tag.holders.remove(&node);
            }
        }
    }

    /// Only nodes hold anything.
    pub(crate) fn check_holder(&self, node: NodeId) -> Result<(), Rejected> {
        match self.nodes.contains_key(&node) {
            true => Ok(()),
            false => Err(Rejected::not_found("node", node)),
        }
    }

    fn change_holders(
        &mut self,
        id: DeploymentId,
        change: impl FnOnce(&mut std::collections::BTreeSet<NodeId>) -> bool,
    ) -> Result<Reply, Rejected> {
        let deployment = self.deployments.get_mut(&id);
        let deployment = deployment.ok_or_else(|| Rejected::not_found("deployment", id))?;
        change(&mut deployment.holders);
        Ok(Reply::Done)
    }
}
