//! Container engines that stand still while their containers run on.

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
