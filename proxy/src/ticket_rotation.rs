//! Draws new keys for TLS session tickets in time. The node that leads does it for all.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use temps_raft::Cluster;
use temps_state::{Command, State, TicketKey};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How long a key is the newest. With three kept, a ticket is good for a day and a half at most.
const ROTATE_EVERY: SignedDuration = SignedDuration::from_hours(12);
/// How often it is looked whether it is time.
const TICK: Duration = Duration::from_secs(5);
/// Octets of a key: AES-256.
const KEY_BYTES: usize = 32;

/// Keeps the cluster's ticket keys fresh, for as long as the node runs and while it leads.
pub async fn keep_ticket_keys(cluster: Cluster, cancel: CancellationToken) {
    let leading = cluster.leading();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        if *leading.borrow() && is_due(&cluster.state(), Timestamp::now()) {
            rotate(&cluster).await;
        }
    }
}

fn is_due(state: &State, now: Timestamp) -> bool {
    let newest = state.ticket_keys.get_max();
    // One that is dated long after now was drawn by a clock that was ahead.
    newest.is_none_or(|(_, key)| now.duration_since(key.created_at).abs() >= ROTATE_EVERY)
}

async fn rotate(cluster: &Cluster) {
    let key = STANDARD.encode(rand::random::<[u8; KEY_BYTES]>());
    let Ok(key) = cluster.seal(TicketKey::PLACE, &key) else { return };
    let key = TicketKey { key, created_at: Timestamp::now() };
    if let Err(error) = cluster.propose_own(Command::RotateTicketKey { key }).await {
        // Nodes of an older version may be there: edges use keys of their own until then.
        debug!(%error, "the key of session tickets was not replaced");
    }
}

#[cfg(test)]
mod tests {
    use temps_state::ClusterKey;

    use super::*;

    #[test]
    fn a_key_is_replaced_when_it_is_half_a_day_old() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut state = State::default();
        assert!(is_due(&state, now), "there is none");
        for (hours, due) in
            [(13, true), (12, true), (11, false), (0, false), (-11, false), (-13, true)]
        {
            let key = ClusterKey::new([0; 32]).seal([0; 12], TicketKey::PLACE, "").unwrap();
            let created_at = now - SignedDuration::from_hours(hours);
            state.ticket_keys.insert(1, TicketKey { key, created_at });
            assert_eq!(is_due(&state, now), due, "{hours} h");
        }
    }
}
