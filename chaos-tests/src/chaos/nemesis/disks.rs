//! Disks that fail to sync, are full, or lose what was not synced. Nothing that a node has acknowledged may go with it.

use std::time::Duration;

use futures::future::try_join_all;

use crate::GroundError;
use crate::chaos::Field;
use crate::disk::{Order, tell};
use crate::wait::until;

use super::processes;

/// How long a node may go without a sync: somebody always writes.
const NEXT_SYNC: Duration = Duration::from_secs(20);

/// Has syncs fail at these nodes; returns once one did.
pub(super) async fn fail_syncs(
    field: &Field,
    nodes: &[usize],
    how: Order,
) -> Result<(), GroundError> {
    for &node in nodes {
        told(field, node, how).await?;
        until(&format!("n{node} syncs something"), NEXT_SYNC, async || {
            told(field, node, Order::Count).await.is_ok_and(|failed| failed > 0)
        })
        .await?;
    }
    Ok(())
}

/// Leaves these nodes no room.
pub(super) async fn fill(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        told(field, node, Order::Full).await?;
    }
    Ok(())
}

/// Has their disks work again, and starts those that ended meanwhile.
pub(super) async fn heal(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        told(field, node, Order::Heal).await?;
    }
    start(field, nodes).await
}

/// Starts those that do not run, all together.
pub(super) async fn start(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let start = |&node: &usize| async move {
        let node = field.ground.node(node);
        if node.runs().await { Ok(()) } else { node.start().await }
    };
    try_join_all(nodes.iter().map(start)).await.map(drop)
}

/// Ends these nodes at once, and takes back whatever they had not synced.
pub(super) async fn lose(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    processes::kill(field, nodes).await?;
    for &node in nodes {
        told(field, node, Order::Lose).await?;
    }
    Ok(())
}

/// Ends these nodes at once, and leaves a part of what each of them wrote last.
pub(super) async fn tear(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    processes::kill(field, nodes).await?;
    for &node in nodes {
        let lot = field.chance(&format!("tear {}", field.number())).number();
        told(field, node, Order::Tear(lot)).await?;
    }
    Ok(())
}

async fn told(field: &Field, node: usize, order: Order) -> Result<u64, GroundError> {
    let disk = field.ground.node(node).disk();
    let done = tokio::task::spawn_blocking(move || tell(&disk, order)).await;
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    done.map_err(|source| GroundError::Disk { node, order, source })
}
