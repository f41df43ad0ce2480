//! Disks that fail to sync, are full, or lose what was not synced. Nothing that a node has acknowledged may go with it.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use reqwest::Method;

use crate::GroundError;
use crate::chaos::Field;
use crate::chaos::watch::sight;
use crate::client::Request;
use crate::disk::{Order, tell};
use crate::wait::until;

use super::{processes, proof};

/// How long a node may go without a sync: somebody always writes.
const NEXT_SYNC: Duration = Duration::from_secs(20);

/// How long a node may take to end whose disk has failed, or to go on.
const END_MAX: Duration = Duration::from_secs(30);
/// How long it may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// The same after syncs have failed. In one of two cases what was not written again is lost then, at the next loss of power.
pub(super) async fn heal_syncs(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    heal(field, nodes).await?;
    if !field.chance(&format!("power {}", field.number())).percent(50) {
        return Ok(());
    }
    // All may be synced by now.
    match lose(field, nodes).await {
        Ok(()) | Err(GroundError::NoEffect(_)) => start(field, nodes).await,
        Err(error) => Err(error),
    }
}

/// Starts those that do not run, all together. One that still ends because of its disk is waited for.
pub(super) async fn start(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let all = (1..=field.nodes).map(|node| applied(field, node));
    let newest = join_all(all).await.into_iter().flatten().max().unwrap_or_default();
    let start = |&number: &usize| async move {
        let node = field.ground.node(number);
        let goes_on = async || {
            !node.runs().await || applied(field, number).await.is_some_and(|own| own >= newest)
        };
        // Without links it may take longer to have what the others have, and has not ended.
        let _ = until("a node has ended or goes on", END_MAX, goes_on).await;
        if node.runs().await { Ok(()) } else { node.start().await }
    };
    try_join_all(nodes.iter().map(start)).await.map(drop)
}

/// What a node has applied, by its own word.
async fn applied(field: &Field, node: usize) -> Option<u64> {
    let request = Request { within: PATIENCE, ..Request::new(node, Method::GET, "/status") };
    let status = field.client.send(request).await.ok()?.body;
    sight(node, &status).map(|seen| seen.applied)
}

/// Ends these nodes at once, and takes back whatever they had not synced.
pub(super) async fn lose(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    processes::kill(field, nodes).await?;
    let mut lost = 0;
    for &node in nodes {
        lost += told(field, node, Order::Lose).await?;
    }
    proof::some(lost, "all was synced")
}

/// Ends these nodes at once, and leaves a part of what each of them wrote last.
pub(super) async fn tear(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    processes::kill(field, nodes).await?;
    let mut torn = 0;
    for &node in nodes {
        let lot = field.chance(&format!("tear {}", field.number())).number();
        torn += told(field, node, Order::Tear(lot)).await?;
    }
    proof::some(torn, "nobody was writing")
}

/// How often the disks of these nodes failed as they were told.
pub(super) async fn failed(field: &Field, nodes: &[usize]) -> Result<u64, GroundError> {
    let mut failed = 0;
    for &node in nodes {
        failed += told(field, node, Order::Count).await?;
    }
    Ok(failed)
}

pub(super) async fn told(field: &Field, node: usize, order: Order) -> Result<u64, GroundError> {
    let disk = field.ground.node(node).disk();
    let done = tokio::task::spawn_blocking(move || tell(&disk, order)).await;
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    done.map_err(|source| GroundError::Disk { node, order, source })
}
