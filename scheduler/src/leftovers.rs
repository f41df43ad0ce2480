//! Has taken away what forgotten deployments left on this node, as after a project was deleted: soon, and not only when
//! everything is looked through.

use std::time::Duration;

use temps_builder::{Builder, Needed};
use temps_raft::Cluster;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether deployments were forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long after the last one that was what they left is taken away, and between two rounds of that.
pub const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// How many rounds follow; containers that use an image may take their time to end.
pub const ROUNDS: u32 = 3;

/// Runs until cancelled.
pub async fn run(cluster: Cluster, builder: Builder, cancel: CancellationToken) {
    let mut leftovers = Leftovers::default();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let state = cluster.state();
        let Some(gone) = leftovers.look(Needed::mentioned(&state), Instant::now()) else {
            continue;
        };
        let collecting = builder.collect_gone(&state, cluster.node_id(), &gone);
        if let Some(Err(error)) = cancel.run_until_cancelled(collecting).await {
            tracing::warn!(error = error.message(), "could not take away what deployments left");
        }
    }
}

/// What deployments were known to have, and what nobody has any more.
#[derive(Debug, Default)]
pub struct Leftovers {
    known: Needed,
    gone: Needed,
    due: Option<Instant>,
    rounds_left: u32,
}

impl Leftovers {
    /// Takes note of what all deployments have now; gives what to take away when it is time.
    pub fn look(&mut self, mentioned: Needed, now: Instant) -> Option<Needed> {
        let news = self.known.without(&mentioned);
        if !news.is_empty() {
            (self.due, self.rounds_left) = (Some(now + SETTLED_AFTER), ROUNDS);
        }
        self.gone = std::mem::take(&mut self.gone).with(news).without(&mentioned);
        self.known = mentioned;
        self.due.filter(|due| *due <= now)?;
        self.rounds_left = self.rounds_left.saturating_sub(1);
        if self.rounds_left > 0 {
            self.due = Some(now + SETTLED_AFTER);
            return Some(self.gone.clone());
        }
        self.due = None;
        Some(std::mem::take(&mut self.gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(names: &[&str]) -> Needed {
        let images = names.iter().map(|name| (*name).to_owned()).collect();
        Needed { images, ..Needed::default() }
    }

    #[test]
    fn what_nobody_has_any_more_goes_when_it_is_quiet_and_a_few_times() {
        let began = Instant::now();
        let mut leftovers = Leftovers::default();
        let mut look = |seconds, names: &[&str]| {
            leftovers.look(images(names), began + Duration::from_secs(seconds))
        };
        assert_eq!(look(0, &["a", "b", "c"]), None);
        assert_eq!(look(600, &["a", "b", "c"]), None);
        assert_eq!(look(610, &["b", "c"]), None);
        assert_eq!(look(650, &["c"]), None, "a burst is one");
        assert_eq!(look(700, &["c"]), None);
        assert_eq!(look(710, &["c"]), Some(images(&["a", "b"])));
        assert_eq!(look(711, &["c", "b"]), None);
        assert_eq!(look(770, &["c", "b"]), Some(images(&["a"])), "b is of use again");
        assert_eq!(look(830, &["c", "b"]), Some(images(&["a"])));
        assert_eq!(look(900, &["c", "b"]), None);
    }
}
