//! The right to follow something for as long as one likes: logs, events, shells.

use std::sync::Arc;
use std::time::Duration;

use temps_raft::Applied;
use temps_state::{Actor, State, UserId};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::auth::Caller;
use crate::places::Place;

/// How long it takes at most to notice; many follow, and the state may change hundreds of times a second.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Somebody who follows something, and their place among those who do, given back when dropped.
pub(crate) struct Follower {
    _place: Place<UserId>,
    /// None of another node, which sees to its own caller.
    caller: Option<Caller>,
    applied: watch::Receiver<Arc<Applied>>,
}

impl Follower {
    pub fn new(
        place: Place<UserId>,
        caller: Option<Caller>,
        applied: watch::Receiver<Arc<Applied>>,
    ) -> Self {
        Self { _place: place, caller, applied }
    }

    /// Holds the place until whoever follows may not go on: they logged out, their key or they themselves are gone, or they
    /// have another role.
    pub async fn ended(mut self) {
        let Some(caller) = &self.caller else { return std::future::pending().await };
        while may_go_on(caller, &self.applied.borrow_and_update()) {
            sleep(LOOK_PAUSE).await;
            // An error says that the node stops, and everything ends.
            if self.applied.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether what somebody was recognised by is there still.
fn may_go_on(caller: &Caller, state: &State) -> bool {
    let known = match (&caller.session, &caller.actor) {
        (Some(session), _) => state.sessions.contains_key(session),
        (None, Actor::ApiKey { id, .. }) => state.api_keys.contains_key(id),
        (None, _) => true,
    };
    known && state.users.get(&caller.user.id).is_some_and(|user| user.role == caller.user.role)
}
