//! Which nodes the leader hears of. Pure: from what it heard how long ago.

use std::time::Duration;

/// How long a node may be silent. An answer may take half a second, and a disk that stalls another second.
pub const SILENCE_MAX: Duration = Duration::from_millis(2300);
/// How long a node that hands over to another process of its own may be silent, from when it said so: the new one may
/// take a minute to serve, and the old program that is started again where it does not, half of one. Its containers run
/// and its old process serves meanwhile. Its port stays open all the time; where it does not, the node is gone.
pub const HANDOVER_GRACE: Duration = Duration::from_secs(90);
/// How long a new leader waits for the first answer of a node that the one before it called, too.
pub const FIRST_ANSWER: Duration = Duration::from_millis(1200);
/// How fresh an answer must be for a lost node to count as back.
const FRESH: Duration = Duration::from_millis(1500);

/// What the leader says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was not heard of for too long.
    Lost,
    /// It was lost, and answers again.
    Back,
}

/// A node that hands over to another process of its own.
#[derive(Debug, Clone, Copy)]
pub struct HandsOver {
    /// How long ago it said so.
    pub said: Duration,
    /// For how long its port was not seen open.
    pub shut_for: Duration,
}

/// Judges one node: whether it counts as lost, how long ago it answered, for how long this leader could have heard it,
/// and whether it hands over to another process.
pub fn judge(
    lost: bool,
    answered: Option<Duration>,
    expected: Duration,
    hands_over: Option<HandsOver>,
) -> Option<Verdict> {
    let silent = answered.map_or(expected, |ago| ago.min(expected));
    let fresh = answered.is_some_and(|ago| ago < FRESH);
    let excused =
        hands_over.is_some_and(|it| it.said < HANDOVER_GRACE && it.shut_for <= SILENCE_MAX);
    match lost {
        false if silent > SILENCE_MAX && !excused => Some(Verdict::Lost),
        true if fresh => Some(Verdict::Back),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_loss_and_an_answer_is_the_end_of_it() {
        let cases = [
            (false, Some(100), 60_000, None),
            (false, Some(2_200), 60_000, None),
            (false, Some(2_400), 60_000, Some(Verdict::Lost)),
            // An answer to a call of long ago, when this node led before.
            (false, Some(90_000), 100, None),
            (true, Some(2_400), 60_000, None),
            (true, Some(1_600), 60_000, None),
            (true, Some(100), 60_000, Some(Verdict::Back)),
            (false, None, 2_200, None),
            (false, None, 2_400, Some(Verdict::Lost)),
            (true, None, 2_400, None),
            (true, Some(10), 20, Some(Verdict::Back)),
        ];
        for (lost, answered, expected, verdict) in cases {
            let ago = answered.map(Duration::from_millis);
            let judged = judge(lost, ago, Duration::from_millis(expected), None);
            assert_eq!(judged, verdict, "lost: {lost}, {answered:?} ms ago, for {expected} ms");
        }
    }

    #[test]
    fn a_handover_excuses_silence_for_as_long_as_the_grace_and_nothing_else() {
        let cases = [
            // Silent since it said so, and since before.
            (false, 30, 30, 1, None),
            (false, 89, 89, 1, None),
            (false, 91, 91, 1, Some(Verdict::Lost)),
            (false, 80, 5, 1, None),
            // It answered after it had said so: what counts is when it said so.
            (false, 3, 89, 1, None),
            (false, 3, 91, 1, Some(Verdict::Lost)),
            (false, 1, 91, 1, None),
            (true, 1, 5, 1, Some(Verdict::Back)),
            (true, 30, 5, 1, None),
            // Neither of its processes has the port any more.
            (false, 30, 30, 3, Some(Verdict::Lost)),
            (false, 1, 30, 3, None),
        ];
        for (lost, answered, said, shut_for, verdict) in cases {
            let [ago, said, shut_for] = [answered, said, shut_for].map(Duration::from_secs);
            let hands_over = HandsOver { said, shut_for };
            let judged = judge(lost, Some(ago), Duration::from_secs(600), Some(hands_over));
            assert_eq!(judged, verdict, "lost: {lost}, answered {ago:?} ago, {hands_over:?}");
        }
    }
}
