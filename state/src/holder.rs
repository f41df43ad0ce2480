//! Holders: the nodes that have a deployment's artifact on their disk.

use crate::{DeploymentId, NodeId, Rejected, Reply, State};

impl State {
    /// A node has an artifact, and can give it to others.
    pub(crate) fn hold_artifact(
        &mut self,
        id: DeploymentId,
        node: NodeId,
    ) -> Result<Reply, Rejected> {
        if !self.nodes.contains_key(&node) {
            return Err(Rejected::not_found("node", node));
        }
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
