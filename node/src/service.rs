//! What the service manager is told, where there is one: systemd's protocol of `Type=notify` (sd_notify(3)).

use sd_notify::NotifyState;
use tracing::debug;

/// The node serves.
pub fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// The node ends.
pub fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the node from now on.
pub fn tell_successor(pid: u32) {
    tell(&[NotifyState::MainPid(pid), NotifyState::Ready]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager was not told");
    }
}
