//! What a node tells the cluster of its replicas. Pure: from containers, probes and memory to changed rows.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use temps_state::{
    FailureCode, Intent, NodeId, Observed, Phase, ProjectId, Replica, ReplicaId, State,
};

use crate::container::{Container, Role, Status};
use crate::health::Verdict;
use crate::memory::Memory;
use crate::plan::find;

/// The replicas of a node that are not as the state says, with how they are.
pub fn reports(
    state: &State,
    me: NodeId,
    containers: &[Container],
    memory: &BTreeMap<ReplicaId, Memory>,
    verdicts: &BTreeMap<ReplicaId, Verdict>,
) -> Vec<(ReplicaId, Observed)> {
    let seen = |replica: &Replica| {
        let container = find(containers, replica.id);
        match container.filter(|c| c.status == Status::Running && c.address.is_some()) {
            Some(container) => running(replica, container, verdicts.get(&replica.id)),
            None => at_rest(state, replica, memory.get(&replica.id)),
        }
    };
    state
        .replicas_on(me)
        .filter(|replica| replica.intent != Intent::Keep)
        .filter_map(|replica| {
            Some((replica.id, seen(replica)?)).filter(|(_, o)| *o != replica.observed)
        })
        .collect()
}

/// Where a node's healthy replicas listen, by what it sees now.
pub fn endpoints(
    state: &State,
    me: NodeId,
    containers: &[Container],
    verdicts: &BTreeMap<ReplicaId, Verdict>,
) -> BTreeMap<ReplicaId, SocketAddr> {
    let seen = |replica: &Replica| {
        let container = find(containers, replica.id)?;
        container.address.filter(|_| container.status == Status::Running)?;
        match running(replica, container, verdicts.get(&replica.id)) {
            Some(Observed::Healthy { endpoint }) => Some(endpoint),
            None => replica.endpoint(),
            Some(_) => None,
        }
    };
    state.replicas_on(me).filter_map(|replica| Some((replica.id, seen(replica)?))).collect()
}

/// Whose each of a node's containers is, by its address: those of replicas, healthy or not, and those that run commands
/// before a deployment.
pub fn residents(state: &State, containers: &[Container]) -> BTreeMap<IpAddr, ProjectId> {
    let environment = |container: &Container| match container.role {
        Role::Replica(id) => Some(state.replicas.get(&id)?.environment),
        Role::Prepare(id) => Some(state.deployments.get(&id)?.environment),
        Role::Foreign => None,
    };
    let resident = |container: &Container| {
        let project = state.environments.get(&environment(container)?)?.project;
        Some((container.address?, project))
    };
    containers.iter().filter_map(resident).collect()
}

/// Of a running container its probes speak. While they have not, as just after this process started, what was known of
/// the same address still holds.
fn running(
    replica: &Replica,
    container: &Container,
    verdict: Option<&Verdict>,
) -> Option<Observed> {
    match verdict {
        Some(Verdict::Healthy { endpoint }) => Some(Observed::Healthy { endpoint: *endpoint }),
        Some(Verdict::Unhealthy { failure }) => {
            Some(Observed::Unhealthy { failure: failure.clone() })
        }
        None | Some(Verdict::Unknown) => match &replica.observed {
            Observed::Healthy { endpoint } if Some(endpoint.ip()) == container.address => None,
            _ => Some(Observed::Starting),
        },
    }
}

/// Of a container that does not run: why, when that is known. No edge may keep its address.
fn at_rest(state: &State, replica: &Replica, memory: Option<&Memory>) -> Option<Observed> {
    let outdated = match &replica.observed {
        Observed::Healthy { .. } => true,
        // The engine was asked just now, and answers.
        Observed::Down { failure } => failure.code == FailureCode::EngineUnavailable,
        _ => false,
    };
    let forget = outdated.then_some(Observed::Pending);
    let ended = memory.and_then(|memory| Some((memory, memory.ended.as_ref()?)));
    match ended {
        Some((memory, ended)) if replica.intent == Intent::Serve => {
            let live =
                state.deployments.get(&replica.deployment).is_some_and(|d| d.phase == Phase::Live);
            let down = Observed::Down { failure: ended.failure.clone() };
            if live || !memory.may_recover() { Some(down) } else { forget }
        }
        _ => forget,
    }
}

/// Whether a replica does not serve, and needs an engine to do so.
pub fn wants_engine(replica: &Replica, verdict: Option<&Verdict>) -> bool {
    let answers = match verdict {
        Some(Verdict::Healthy { .. }) => true,
        Some(Verdict::Unhealthy { .. }) => false,
        None | Some(Verdict::Unknown) => replica.endpoint().is_some(),
    };
    replica.intent == Intent::Serve && !answers
}

/// What can be told while the engine is away: what probes find, and, once that has lasted, that what does not answer
/// cannot be started either. What was healthy is believed to be until a probe says otherwise.
pub fn reports_without_engine(
    state: &State,
    me: NodeId,
    memory: &BTreeMap<ReplicaId, Memory>,
    verdicts: &BTreeMap<ReplicaId, Verdict>,
) -> Vec<(ReplicaId, Observed)> {
    let seen = |replica: &Replica| {
        let verdict = verdicts.get(&replica.id);
        if let Some(Verdict::Healthy { endpoint }) = verdict {
            return Some(Observed::Healthy { endpoint: *endpoint });
        }
        let memory = memory.get(&replica.id).filter(|_| wants_engine(replica, verdict));
        match (memory.and_then(Memory::engine_failure), verdict) {
            (Some(failure), _) => Some(Observed::Down { failure: failure.clone() }),
            (None, Some(Verdict::Unhealthy { failure })) => {
                Some(Observed::Unhealthy { failure: failure.clone() })
            }
            _ => None,
        }
    };
    state
        .replicas_on(me)
        .filter(|replica| replica.intent == Intent::Serve)
        .filter_map(|replica| {
            Some((replica.id, seen(replica)?)).filter(|(_, o)| *o != replica.observed)
        })
        .collect()
}
