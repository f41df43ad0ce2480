//! Container engines that stand still while their containers run on, or end and start anew without them.

use crate::GroundError;
use crate::chaos::Field;

/// Halts the engines of these nodes.
pub(super) async fn pause(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).pause_engine().await?;
    }
    Ok(())
}

/// Lets them go on.
pub(super) async fn resume(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).resume_engine().await?;
    }
    Ok(())
}

/// Ends the engines of these nodes at once.
pub(super) async fn kill(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).kill_engine().await?;
    }
    Ok(())
}

/// Starts them again.
pub(super) async fn start(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).start_engine().await?;
    }
    Ok(())
}
