//! `/api/placement`: which replicas run where, and how full nodes are.

use axum::Json as Out;
use serde::Serialize;
use temps_scheduler::placement::Ledger;
use temps_scheduler::room::Room;
use temps_state::{NodeId, State as Agreed};
use utoipa::ToSchema;

use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::replicas::ReplicaOut;

/// A node, and what runs there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Placement)]
pub struct PlacementOut {
    /// The node.
    #[schema(value_type = u64)]
    pub node: NodeId,
    /// What it has for replicas; null where its machine is not known.
    pub offered: Option<RoomOut>,
    /// What those ask for that serve or drain.
    pub taken: RoomOut,
    /// What those ask for that are kept for a rollback, which give way to others.
    pub kept: RoomOut,
    /// They, project by project.
    pub replicas: Vec<PlacedOut>,
}

/// Processors and memory. Replicas ask for a part of what they may use at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Room)]
pub struct RoomOut {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes of memory.
    pub memory_mib: u64,
}

/// A replica, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacedReplica)]
pub struct PlacedOut {
    /// The project's name.
    pub project: String,
    /// The environment's name.
    pub environment: String,
    /// The number of the deployment that it runs.
    pub number: u64,
    /// The replica.
    #[serde(flatten)]
    pub replica: ReplicaOut,
}

impl From<Room> for RoomOut {
    fn from(Room { cpu_millis, memory_mib }: Room) -> Self {
        Self { cpu_millis, memory_mib }
    }
}

/// Shows where replicas run, and how much room nodes have.
#[utoipa::path(
    get, path = "/api/placement", tag = "cluster", responses((status = 200, body = Vec<PlacementOut>))
)]
pub(crate) async fn show(MayRead(_): MayRead, Seen(state): Seen) -> Out<Vec<PlacementOut>> {
    let ledger = Ledger::of(&state);
    let node = |(id, node): (&NodeId, &temps_state::Node)| {
        let known = node.capacity.cpu_millis > 0 && node.capacity.memory_mib > 0;
        let occupancy = ledger.occupancy(*id);
        PlacementOut {
            node: *id,
            offered: known.then(|| occupancy.offered.into()),
            taken: occupancy.taken.into(),
            kept: occupancy.kept.into(),
            replicas: placed(&state, *id),
        }
    };
    Out(state.nodes.iter().map(node).collect())
}

fn placed(state: &Agreed, node: NodeId) -> Vec<PlacedOut> {
    let mut placed: Vec<PlacedOut> = state
        .replicas_on(node)
        .filter_map(|replica| {
            let environment = state.environments.get(&replica.environment)?;
            Some(PlacedOut {
                project: state.projects.get(&environment.project)?.name.to_string(),
                environment: environment.name.to_string(),
                number: state.deployments.get(&replica.deployment)?.number,
                replica: ReplicaOut::of(state, replica),
            })
        })
        .collect();
    placed.sort_by(|one, other| {
        let key = |placed: &PlacedOut| (placed.project.clone(), placed.environment.clone());
        (key(one), one.replica.created_at).cmp(&(key(other), other.replica.created_at))
    });
    placed
}
