//! Processes that end or stand still, and machines without power.

use futures::future::try_join_all;

use crate::GroundError;
use crate::chaos::Field;

/// Ends the processes of these nodes at once.
pub(super) async fn kill(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let kill = |&node: &usize| async move { field.ground.node(node).kill9().await };
    try_join_all(nodes.iter().map(kill)).await.map(drop)
}

/// Starts them again, all together: after all were killed, one alone has no quorum.
pub(super) async fn start(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let start = |&node: &usize| async move { field.ground.node(node).start().await };
    try_join_all(nodes.iter().map(start)).await.map(drop)
}

/// Halts their processes.
pub(super) async fn pause(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).pause().await?;
    }
    Ok(())
}

/// Lets them go on.
pub(super) async fn resume(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).resume().await?;
    }
    Ok(())
}

/// Takes the power of their machines away.
pub(super) async fn power_off(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).power_off().await?;
    }
    Ok(())
}

/// Boots them.
pub(super) async fn power_on(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).power_on().await?;
    }
    Ok(())
}
