//! Since when a leader could have heard the others. Pure: from who led, and whether a quorum answers.

use std::collections::BTreeMap;
use std::time::Duration;

use temps_state::NodeId;
use tokio::time::Instant;

use crate::config::QUORUM_SILENCE;
use crate::liveness::{FIRST_ANSWER, SILENCE_MAX};

/// How long the leader before has to answer a new one, which took its place because it was silent already.
const FORMER_ANSWER: Duration = Duration::from_millis(600);
/// The longest that nodes are without a leader while a quorum of them hear each other.
const FAILOVER_MAX: Duration = Duration::from_secs(3);
/// How long everybody has to answer once there is a quorum again: links come back one after the other, and a node that
/// could not be heard by anybody is no more likely to be gone than its neighbour.
const REUNION: Duration = Duration::from_secs(5);

/// What a node is, when it looks.
#[derive(Debug)]
pub enum Role {
    /// It follows a leader, that it heard last then; or knows of none.
    Follower { leader: Option<(NodeId, Instant)> },
    /// It leads these, and a quorum answers or does not.
    Leader { members: Vec<NodeId>, quorum: bool },
}

/// Since when each member was expected to be heard. Empty on a node that does not lead.
#[derive(Debug, Default)]
pub struct Expected {
    since: BTreeMap<NodeId, Instant>,
    /// Since when no quorum answers, if none does.
    alone: Option<Instant>,
    /// Who led before, and when it was heard last.
    former: Option<(NodeId, Instant)>,
}

impl Expected {
    /// Takes note of what this node is at `now`.
    pub fn follow(&mut self, role: Role, now: Instant) {
        match role {
            Role::Follower { leader } => {
                self.since.clear();
                self.former = leader.or(self.former);
            }
            Role::Leader { members, quorum } => {
                match self.since.is_empty() {
                    true => self.begin(members, now),
                    false => members.into_iter().for_each(|id| {
                        self.since.entry(id).or_insert(now);
                    }),
                }
                self.reunite(quorum, now);
            }
        }
    }

    /// A new leader begins to expect answers. Was there none for long, nobody heard anybody.
    fn begin(&mut self, members: Vec<NodeId>, now: Instant) {
        self.alone = Some(now);
        let orderly = |(_, heard): &(NodeId, Instant)| now.duration_since(*heard) < FAILOVER_MAX;
        let former = self.former.take().filter(orderly);
        let begun = granted(now, if former.is_some() { FIRST_ANSWER } else { REUNION });
        self.since = members.into_iter().map(|id| (id, begun)).collect();
        if let Some((id, heard)) = former {
            let since = heard.max(granted(now, FORMER_ANSWER));
            self.since.entry(id).and_modify(|known| *known = since);
        }
    }

    /// Gives everybody time after a quorum was missing.
    fn reunite(&mut self, quorum: bool, now: Instant) {
        if !quorum {
            // It was silent for a while when that is known.
            self.alone.get_or_insert(now.checked_sub(QUORUM_SILENCE).unwrap_or(now));
            return;
        }
        let alone = self.alone.take().map(|since| now.duration_since(since));
        if alone.is_some_and(|alone| alone > FIRST_ANSWER) {
            self.since.values_mut().for_each(|since| *since = granted(now, REUNION));
        }
    }

    /// For how long this leader could have heard a member at `now`.
    pub fn elapsed(&self, node: NodeId, now: Instant) -> Option<Duration> {
        self.since.get(&node).map(|since| now.saturating_duration_since(*since))
    }
}

/// Since when somebody is expected who has so long to answer from `now`.
fn granted(now: Instant, time: Duration) -> Instant {
    (now + time).checked_sub(SILENCE_MAX).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn leads(quorum: bool) -> Role {
        Role::Leader { members: vec![NodeId(1), NodeId(2)], quorum }
    }

    /// How long after `now` a silent member counts as lost.
    fn patience(expected: &Expected, node: u64, now: Instant) -> Duration {
        let since = expected.since[&NodeId(node)];
        (since + SILENCE_MAX).saturating_duration_since(now)
    }

    #[test]
    fn a_new_leader_waits_for_the_former_one_and_longer_where_there_was_none_for_long() {
        let begun = Instant::now() + SECOND * 60;
        // How long ago node 1 was heard as the leader; how long it and node 2 have to answer.
        let cases = [
            (Some(Duration::ZERO), SILENCE_MAX, FIRST_ANSWER),
            (Some(SECOND), SILENCE_MAX - SECOND, FIRST_ANSWER),
            (Some(SECOND * 2), FORMER_ANSWER, FIRST_ANSWER),
            (Some(SECOND * 4), REUNION, REUNION),
            (None, REUNION, REUNION),
        ];
        for (heard, former, other) in cases {
            let mut expected = Expected::default();
            let leader = heard.map(|ago| (NodeId(1), begun - ago));
            expected.follow(Role::Follower { leader }, begun);
            expected.follow(Role::Follower { leader: None }, begun);
            expected.follow(leads(false), begun);
            let waits = [1, 2].map(|node| patience(&expected, node, begun));
            assert_eq!(waits, [former, other], "{heard:?}");
        }
    }

    #[test]
    fn after_a_quorum_was_missing_everybody_has_time_again() {
        let begun = Instant::now() + SECOND * 60;
        let mut expected = Expected::default();
        let former = Some((NodeId(1), begun));
        expected.follow(Role::Follower { leader: former }, begun);
        // At which second a quorum answers or not, and how long node 2 has from then.
        let cases = [
            (0, false, FIRST_ANSWER),
            (1, true, FIRST_ANSWER - SECOND),
            (60, true, Duration::ZERO),
            (61, false, Duration::ZERO),
            (70, false, Duration::ZERO),
            (71, true, REUNION),
            (72, true, REUNION - SECOND),
        ];
        for (second, quorum, waits) in cases {
            let now = begun + SECOND * second;
            expected.follow(leads(quorum), now);
            assert_eq!(patience(&expected, 2, now), waits, "at second {second}");
        }
    }
}
