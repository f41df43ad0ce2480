//! How deployments go from phase to phase, and what that does to routes and replicas.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::deployment::DEPLOYMENTS_KEPT_MAX;
use crate::table::retain;
use crate::{
    Actor, Built, Deployment, DeploymentId, Environment, EnvironmentId, Failure, Intent,
    NewDeployment, Node, NodeId, Phase, Rejected, ReplicaId, Reply, Returned, Source, State,
};

impl State {
    pub(crate) fn create_deployment(
        &mut self,
        new: NewDeployment,
        by: &Actor,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let environment = self.environment(new.environment)?.clone();
        let mut project = self.project(environment.project)?.clone();
        if self.deployments.contains_key(&new.id) {
            return Err(Rejected::taken("deployment", new.id));
        }
        if project.disabled {
            return Err(Rejected::Disabled { project: project.name });
        }
        let reused = self.reused(&new.source)?;
        project.deployments_made += 1;
        let number = project.deployments_made;
        self.supersede(new.environment, number, at);
        let mut deployment = Deployment {
            id: new.id,
            number,
            project: project.id,
            environment: environment.id,
            source: new.source,
            revision: new.revision,
            created_by: by.clone(),
            created_at: at,
            phase: Phase::Queued,
            history: Vec::new(),
            config: reused.as_ref().and_then(|earlier| earlier.config.clone()),
            artifact: reused.as_ref().and_then(|earlier| earlier.artifact.clone()),
            variables: BTreeMap::new(),
            built_on: reused.as_ref().and_then(|earlier| earlier.built_on),
            architecture: reused.as_ref().and_then(|earlier| earlier.architecture.clone()),
            holders: reused.map_or_else(BTreeSet::new, |earlier| earlier.holders),
            returned: Vec::new(),
        };
        deployment.enter(Phase::Queued, at);
        self.projects.insert(project.id, project);
        self.deployments.insert(deployment.id, deployment);
        self.forget_old_deployments(new.environment);
        Ok(Reply::Deployment { id: new.id, number })
    }

    /// The earlier deployment whose artifact is used again.
    fn reused(&self, source: &Source) -> Result<Option<Deployment>, Rejected> {
        let Source::Artifact { of } = source else {
            return Ok(None);
        };
        let earlier = self.deployment(*of)?;
        match earlier.artifact {
            Some(_) => Ok(Some(earlier.clone())),
            None => Err(Rejected::NothingBuilt { deployment: *of }),
        }
    }

    /// Calls off what an environment still had under way: only the newest version matters.
    fn supersede(&mut self, environment: EnvironmentId, by: u64, at: Timestamp) {
        let older: Vec<_> = self
            .deployments_of(environment)
            .filter(|d| d.phase.is_under_way())
            .map(|d| d.id)
            .collect();
        for id in older {
            self.finish(id, Phase::Cancelled { reason: format!("superseded by #{by}") }, at);
        }
    }

    fn forget_old_deployments(&mut self, environment: EnvironmentId) {
        let mut finished: Vec<_> = self
            .deployments_of(environment)
            .filter(|d| !d.phase.is_under_way() && !d.phase.holds_replicas())
            .filter(|d| self.replicas_of(d.id).next().is_none())
            .map(|d| d.id)
            .collect();
        let surplus = finished.len().saturating_sub(DEPLOYMENTS_KEPT_MAX);
        for id in finished.drain(..surplus) {
            self.deployments.remove(&id);
        }
    }

    /// Takes a deployment out of service: into a final phase, its replicas given up. Those that drain end what they do.
    fn finish(&mut self, id: DeploymentId, phase: Phase, at: Timestamp) {
        if let Some(mut deployment) = self.deployments.get(&id).cloned() {
            deployment.enter(phase, at);
            deployment.variables.clear();
            deployment.returned.clear();
            self.deployments.insert(id, deployment);
        }
        retain(&mut self.replicas, |_, replica| replica.deployment != id || replica.drains(at));
        self.drop_kept_if(id);
    }

    fn under_way(&self, id: DeploymentId) -> Result<Deployment, Rejected> {
        let deployment = self.deployment(id)?;
        if deployment.phase.is_under_way() {
            Ok(deployment.clone())
        } else {
            Err(Rejected::finished(deployment))
        }
    }

    pub(crate) fn start_build(
        &mut self,
        id: DeploymentId,
        on: NodeId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if !self.may_be_built(&deployment) {
            return Err(Rejected::finished(&deployment));
        }
        deployment.enter(Phase::Building { on }, at);
        deployment.built_on = Some(on);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    /// A deployment waits for a builder while it is queued, and again when its builder is lost.
    fn may_be_built(&self, deployment: &Deployment) -> bool {
        match deployment.phase {
            Phase::Queued => true,
            Phase::Building { on } => !self.nodes.get(&on).is_some_and(Node::is_reachable),
            _ => false,
        }
    }

    /// The build waits for another node. The one that could not do it is remembered: it does not get it twice.
    pub(crate) fn return_build(
        &mut self,
        id: DeploymentId,
        by: NodeId,
        failure: Failure,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if deployment.phase != (Phase::Building { on: by }) {
            return Err(Rejected::finished(&deployment));
        }
        if !deployment.was_returned_by(by) {
            deployment.returned.push(Returned { by, failure });
        }
        deployment.enter(Phase::Queued, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    /// Records what was built, fixes the variables, and goes on to `beforeDeploy` or to starting.
    pub(crate) fn finish_build(
        &mut self,
        id: DeploymentId,
        built: Built,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if let Phase::Building { on } = deployment.phase {
            deployment.architecture = self.nodes.get(&on).map(|node| node.architecture.clone());
            deployment.holders = self.nodes.contains_key(&on).then_some(on).into_iter().collect();
        }
        let next = match deployment.phase {
            Phase::Building { on } if !built.config.before_deploy.is_empty() => {
                Phase::Preparing { on }
            }
            Phase::Queued | Phase::Building { .. } => Phase::Starting,
            _ => return Err(Rejected::finished(&deployment)),
        };
        deployment.variables = self
            .variables_of(deployment.environment)
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect();
        deployment.returned.clear();
        deployment.artifact = Some(built.artifact);
        deployment.config = Some(built.config);
        deployment.revision = built.revision.or(deployment.revision);
        deployment.enter(next, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    pub(crate) fn finish_preparing(
        &mut self,
        id: DeploymentId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if !matches!(deployment.phase, Phase::Preparing { .. }) {
            return Err(Rejected::finished(&deployment));
        }
        deployment.enter(Phase::Starting, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    pub(crate) fn fail_deployment(
        &mut self,
        id: DeploymentId,
        failure: Failure,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        self.under_way(id)?;
        self.finish(id, Phase::Failed { failure }, at);
        Ok(Reply::Done)
    }

    pub(crate) fn cancel_deployment(
        &mut self,
        id: DeploymentId,
        reason: String,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        self.under_way(id)?;
        self.finish(id, Phase::Cancelled { reason }, at);
        Ok(Reply::Done)
    }

    /// What is out of service is no longer kept for a rollback.
    fn drop_kept_if(&mut self, id: DeploymentId) {
        let Ok(deployment) = self.deployment(id) else { return };
        let Ok(environment) = self.environment(deployment.environment) else { return };
        if environment.kept == Some(id) {
            let environment = Environment { kept: None, ..environment.clone() };
            self.environments.insert(environment.id, environment);
        }
    }

    /// Points the environment's route at a deployment; the one it pointed at is drained and kept.
    pub(crate) fn switch_route(
        &mut self,
        id: DeploymentId,
        drain_until: Timestamp,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if deployment.phase != Phase::Starting {
            return Err(Rejected::finished(&deployment));
        }
        let mut environment = self.environment(deployment.environment)?.clone();
        deployment.enter(Phase::Live, at);
        self.deployments.insert(id, deployment);
        if let Some(older) = environment.kept.filter(|kept| *kept != id) {
            self.finish(older, Phase::Retired, at);
        }
        environment.kept = environment.current;
        environment.current = Some(id);
        if let Some(previous) = environment.kept {
            self.keep(previous, drain_until, at);
        }
        self.environments.insert(environment.id, environment);
        Ok(Reply::Done)
    }

    fn keep(&mut self, id: DeploymentId, drain_until: Timestamp, at: Timestamp) {
        if let Some(mut deployment) = self.deployments.get(&id).cloned() {
            deployment.enter(Phase::Kept, at);
            self.deployments.insert(id, deployment);
        }
        self.set_intent(id, &Intent::Drain { until: drain_until });
    }

    /// Starts a rollback: the kept deployment's replicas serve again, and the route follows once they are healthy.
    pub(crate) fn roll_back(
        &mut self,
        environment: EnvironmentId,
        to: DeploymentId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if self.environment(environment)?.kept != Some(to) {
            return Err(Rejected::NotKept { deployment: to });
        }
        let mut deployment = self.deployment(to)?.clone();
        let number = deployment.number;
        if deployment.phase != Phase::Kept {
            return Err(Rejected::NotKept { deployment: to });
        }
        self.supersede(environment, number, at);
        deployment.enter(Phase::Starting, at);
        self.deployments.insert(to, deployment);
        self.set_intent(to, &Intent::Serve);
        Ok(Reply::Deployment { id: to, number })
    }

    fn set_intent(&mut self, deployment: DeploymentId, intent: &Intent) {
        let of: Vec<ReplicaId> = self.replicas_of(deployment).map(|r| r.id).collect();
        for id in of {
            if let Some(replica) = self.replicas.get_mut(&id) {
                replica.turn(intent.clone());
            }
        }
    }
}
