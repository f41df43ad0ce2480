//! A certificate authority that nobody reaches, that stands still, or that has trouble of its own. Its books are kept.

use std::sync::Arc;

use crate::chaos::Field;
use crate::{Authority, GroundError};

/// Nobody is there any more: connections are refused.
pub(super) async fn go_away(field: &Field) -> Result<(), GroundError> {
    begin(field).await?;
    field.ground.lead_port_away(Authority::DIRECTORY_PORT, None).await
}

/// Whoever asks it asks somebody who answers everything with an error.
pub(super) async fn fail(field: &Field) -> Result<(), GroundError> {
    begin(field).await?;
    field.ground.lead_port_away(Authority::DIRECTORY_PORT, Some(Authority::FAILING_PORT)).await
}

/// It is there again, and well.
pub(super) async fn come_back(field: &Field) -> Result<(), GroundError> {
    field.ground.lead_ports_back().await
}

/// Its process stands still: connections are taken, and nothing is answered.
pub(super) async fn hang(field: &Field) -> Result<(), GroundError> {
    begin(field).await?;
    let nobody = || GroundError::NoEffect("there is no authority".into());
    authority(field).ok_or_else(nobody)?.pause()
}

/// Whoever asks it from now on, asks it while it has trouble.
async fn begin(field: &Field) -> Result<(), GroundError> {
    field.ground.asked(Authority::DIRECTORY_PORT).await.map(drop)
}

/// It goes on.
pub(super) async fn go_on(field: &Field) -> Result<(), GroundError> {
    authority(field).map_or(Ok(()), |authority| authority.resume())
}

fn authority(field: &Field) -> Option<Arc<Authority>> {
    field.authority.get().cloned()
}
