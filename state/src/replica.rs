//! Replicas: the containers that a deployment should have, and what their node sees of them.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::THIRD;
use crate::{
    DeploymentId, EnvironmentId, Failure, NodeId, Phase, Rejected, ReplicaId, Reply, State,
};

/// The format of the state from which on kept replicas may give way to others.
pub const YIELDS_SINCE: u32 = THIRD as u32;

/// One container's place: which deployment it runs, on which node, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The replica's id, part of its container's name.
    pub id: ReplicaId,
    /// What it runs.
    pub deployment: DeploymentId,
    /// The environment of that deployment.
    pub environment: EnvironmentId,
    /// The node that runs it.
    pub node: NodeId,
    /// When it was placed.
    pub created_at: Timestamp,
    /// What it is wanted for.
    pub intent: Intent,
    /// What its node last saw.
    pub observed: Observed,
}

/// What a replica is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Intent {
    /// Take traffic.
    Serve,
    /// Take no new request; end what is under way.
    Drain {
        /// When it ends.
        until: Timestamp,
    },
    /// Wait for a rollback, without using a processor.
    Keep,
}

/// What a node sees of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Observed {
    /// Nothing yet.
    Pending,
    /// Its container runs and is not healthy yet.
    Starting,
    /// It answers its health check.
    Healthy {
        /// Where it listens.
        endpoint: SocketAddr,
    },
    /// It runs but does not answer, or not as it should.
    Unhealthy {
        /// Why.
        failure: Failure,
    },
    /// It could not be started, or it ended.
    Down {
        /// Why.
        failure: Failure,
    },
}

impl Replica {
    /// Where it listens, while it is healthy.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        match self.observed {
            Observed::Healthy { endpoint } => Some(endpoint),
            _ => None,
        }
    }

    /// Where it takes traffic, when it should and can.
    pub fn serving_endpoint(&self) -> Option<SocketAddr> {
        match (&self.intent, &self.observed) {
            (Intent::Serve, Observed::Healthy { endpoint }) => Some(*endpoint),
            _ => None,
        }
    }

    /// Whether it still ends requests at that time.
    pub(crate) fn drains(&self, at: Timestamp) -> bool {
        matches!(self.intent, Intent::Drain { until } if at < until)
    }

    /// Changes what it is wanted for. A kept replica must prove its health again before it serves.
    pub(crate) fn turn(&mut self, intent: Intent) {
        if self.intent == Intent::Keep && intent == Intent::Serve {
            self.observed = Observed::Pending;
        }
        self.intent = intent;
    }
}

impl State {
    /// The replicas of a deployment.
    pub fn replicas_of(&self, deployment: DeploymentId) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(move |r| r.deployment == deployment)
    }

    /// The replicas that a node should have.
    pub fn replicas_on(&self, node: NodeId) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(move |r| r.node == node)
    }

    /// Gives a starting or live deployment more replicas.
    pub(crate) fn place_replicas(
        &mut self,
        deployment: DeploymentId,
        places: Vec<(ReplicaId, NodeId)>,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let of = self.deployment(deployment)?;
        if !matches!(of.phase, Phase::Starting | Phase::Live) {
            return Err(Rejected::finished(of));
        }
        let environment = of.environment;
        for (id, node) in &places {
            if self.replicas.contains_key(id) {
                return Err(Rejected::taken("replica", id));
            }
            if !self.nodes.contains_key(node) {
                return Err(Rejected::not_found("node", node));
            }
        }
        for (id, node) in places {
            let (intent, observed) = (Intent::Serve, Observed::Pending);
            let replica =
                Replica { id, deployment, environment, node, created_at: at, intent, observed };
            self.replicas.insert(id, replica);
        }
        Ok(Reply::Done)
    }

    /// Gives a replica up for another one of the same deployment on another node.
    pub(crate) fn move_replica(
        &mut self,
        id: ReplicaId,
        to: NodeId,
        replacement: ReplicaId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let replica = self.replicas.get(&id).ok_or_else(|| Rejected::not_found("replica", id))?;
        let deployment = replica.deployment;
        self.place_replicas(deployment, vec![(replacement, to)], at)?;
        self.replicas.remove(&id);
        Ok(Reply::Done)
    }

    /// Ends a replica that is kept for a rollback, which then starts another one from the image.
    pub(crate) fn yield_replica(&mut self, id: ReplicaId) -> Result<Reply, Rejected> {
        let replica = self.replicas.get(&id).ok_or_else(|| Rejected::not_found("replica", id))?;
        if replica.intent != Intent::Keep {
            return Err(Rejected::NotKept { deployment: replica.deployment });
        }
        self.replicas.remove(&id);
        Ok(Reply::Done)
    }

    pub(crate) fn report_replica(
        &mut self,
        id: ReplicaId,
        observed: Observed,
    ) -> Result<Reply, Rejected> {
        let replica =
            self.replicas.get_mut(&id).ok_or_else(|| Rejected::not_found("replica", id))?;
        replica.observed = observed;
        Ok(Reply::Done)
    }

    /// Starts to take a replica of a live deployment away, as when scaling down.
    pub(crate) fn drain_replica(
        &mut self,
        id: ReplicaId,
        until: Timestamp,
    ) -> Result<Reply, Rejected> {
        let replica =
            self.replicas.get_mut(&id).ok_or_else(|| Rejected::not_found("replica", id))?;
        replica.turn(Intent::Drain { until });
        Ok(Reply::Done)
    }

    /// Ends a drain: a kept deployment's replica waits, any other goes.
    pub(crate) fn end_drain(&mut self, id: ReplicaId, at: Timestamp) -> Result<Reply, Rejected> {
        let replica = self.replicas.get(&id).ok_or_else(|| Rejected::not_found("replica", id))?;
        let over = matches!(replica.intent, Intent::Drain { .. }) && !replica.drains(at);
        let kept =
            self.deployments.get(&replica.deployment).map(|d| &d.phase) == Some(&Phase::Kept);
        match (over, kept) {
            (false, _) => Ok(Reply::Done),
            (true, false) => {
                self.replicas.remove(&id);
                Ok(Reply::Done)
            }
            (true, true) => {
                if let Some(replica) = self.replicas.get_mut(&id) {
                    replica.turn(Intent::Keep);
                }
                Ok(Reply::Done)
            }
        }
    }
}
