//! After the last fault: one leader, the same state everywhere, everybody answers.

use std::time::Duration;

use super::Field;
use super::watch::sight;
use crate::history::EdgeSight;
use crate::wait::until;

/// How long the cluster may take to be whole again once all is healed.
const WHOLE_MAX: Duration = Duration::from_secs(60);

/// How long it took; nothing when it did not come to that.
pub(super) async fn wait(field: &Field) -> Option<Duration> {
    until("the cluster is whole", WHOLE_MAX, async || is_whole(field).await).await.ok()
}

async fn is_whole(field: &Field) -> bool {
    let mut seen: Vec<EdgeSight> = Vec::new();
    for node in 1..=field.nodes {
        let Ok(status) = field.client.get(node, "/status").await else { return false };
        let Some(sight) = sight(node, &status.body) else { return false };
        seen.push(sight);
    }
    let Some((first, rest)) = seen.split_first() else { return false };
    let agrees = |other: &EdgeSight| {
        (other.leader, other.term, other.applied) == (first.leader, first.term, first.applied)
    };
    first.leader.is_some()
        && rest.iter().all(agrees)
        && seen.iter().all(|one| one.edge == one.applied)
        && field.client.is_whole(1, field.nodes).await
}
