//! Two checkers, one question.

use std::collections::BTreeMap;
use std::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation as Timed, check_operations_timeout};

use super::wgl::{self, Answer, Object, Span};
use super::{EVIDENCE_MAX, Verdict};
use crate::history::Operation;

/// How long porcupine may look at one object.
const LOOK_MAX: Duration = Duration::from_secs(20);

/// What both checkers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// There is an order.
    Linearizable,
    /// There is none. These calls, by their places, are enough to see it.
    Not { shown: Vec<usize> },
    /// One of them gave up.
    Unknown(String),
    /// They contradict each other, so that one of them is wrong.
    Disagree(String),
}

/// An object as porcupine wants it.
#[derive(Clone)]
struct Porcupine<O>(O);

impl<O: Object> Model for Porcupine<O> {
    type State = O::State;
    type Op = O::Call;
    type Metadata = ();

    fn init() -> O::State {
        O::fresh()
    }

    fn step(state: &O::State, call: &O::Call) -> (bool, O::State) {
        match O::step(state, call) {
            Some(next) => (true, next),
            None => (false, state.clone()),
        }
    }
}

/// Whether a call may be left out beside these others without making up anything: whatever is impossible without it was
/// impossible with it.
pub(crate) type MayGo<C> = fn(&C, &[&C]) -> bool;

/// Judges the first object whose operations have no order, or none that anybody can tell. What counts of an object's
/// operations comes with its place among them; `contradiction` says what the order would have to explain.
pub(crate) fn first_wrong<'a, O: Object>(
    objects: &BTreeMap<&str, Vec<&'a Operation>>,
    spans: impl Fn(&[&'a Operation]) -> Vec<(usize, Span<O::Call>)>,
    may_go: MayGo<O::Call>,
    contradiction: impl Fn(&str) -> String,
) -> Verdict {
    let judge = |(key, operations): (&&str, &Vec<&'a Operation>)| {
        let (places, spans): (Vec<usize>, Vec<Span<O::Call>>) =
            spans(operations).into_iter().unzip();
        match check::<O>(&spans, may_go) {
            Agreed::Linearizable => Verdict::Valid,
            Agreed::Not { shown } => {
                // The last ones are those that contradict each other.
                let skipped = shown.len().saturating_sub(EVIDENCE_MAX);
                let shown = shown.iter().skip(skipped).map(|&place| operations[places[place]]);
                Verdict::violated(contradiction(key), shown)
            }
            Agreed::Unknown(why) => Verdict::Unknown { why: format!("{key}: {why}") },
            Agreed::Disagree(why) => {
                Verdict::Unknown { why: format!("the two checkers disagree on {key}: {why}") }
            }
        }
    };
    objects.iter().map(judge).find(|verdict| *verdict != Verdict::Valid).unwrap_or(Verdict::Valid)
}

/// Asks both.
pub(crate) fn check<O: Object>(spans: &[Span<O::Call>], may_go: MayGo<O::Call>) -> Agreed {
    let timed: Vec<_> = spans.iter().map(timed::<O>).collect();
    // Without its own `info`: that one takes a search that ran out of time for a violation.
    let theirs = check_operations_timeout(&timed, LOOK_MAX);
    match (theirs, wgl::check::<O>(spans)) {
        (CheckResult::Ok, Answer::Linearizable) => Agreed::Linearizable,
        (CheckResult::Illegal, Answer::Not { at }) => {
            Agreed::Not { shown: smallest::<O>(spans, at, may_go) }
        }
        (CheckResult::Unknown, _) => {
            Agreed::Unknown(format!("porcupine found no answer within {LOOK_MAX:?}"))
        }
        (_, Answer::TooMany) => Agreed::Unknown("there are too many possible states".into()),
        (theirs, ours) => Agreed::Disagree(format!("porcupine says {theirs:?}, ours {ours:?}")),
    }
}

/// What never returned may take effect at any time, so that it returns at the end of all time.
fn timed<O: Object>(span: &Span<O::Call>) -> Timed<Porcupine<O>> {
    let time = |moment: u64| i64::try_from(moment).unwrap_or(i64::MAX);
    Timed {
        client_id: None,
        call_time: time(span.from),
        return_time: span.to.map_or(i64::MAX, time),
        op: span.call.clone(),
        metadata: None,
    }
}

/// The places of few calls that are still impossible together: nothing that began after the first call that cannot be
/// explained had returned, and nothing that is not needed.
fn smallest<O: Object>(spans: &[Span<O::Call>], at: usize, may_go: MayGo<O::Call>) -> Vec<usize> {
    let end = spans[at].to.unwrap_or(u64::MAX);
    let mut kept: Vec<usize> = (0..spans.len()).filter(|&place| spans[place].from <= end).collect();
    let is_wrong = |kept: &[usize]| {
        let cut = |&place: &usize| {
            let span: &Span<O::Call> = &spans[place];
            Span { to: span.to.filter(|&to| to <= end), ..span.clone() }
        };
        let rest: Vec<_> = kept.iter().map(cut).collect();
        matches!(wgl::check::<O>(&rest), Answer::Not { .. })
    };
    let mut before = 0;
    // What was needed for another call may go once that one is gone.
    while before != kept.len() {
        before = kept.len();
        for place in kept.clone() {
            let without: Vec<usize> =
                kept.iter().copied().filter(|&other| other != place).collect();
            let others: Vec<&O::Call> = without.iter().map(|&other| &spans[other].call).collect();
            if place != at && may_go(&spans[place].call, &others) && is_wrong(&without) {
                kept = without;
            }
        }
    }
    kept.sort_by_key(|&place| spans[place].from);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A register of small numbers.
    #[derive(Clone)]
    struct Number;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Call {
        Read(u8),
        Write(u8),
    }

    impl Object for Number {
        type State = u8;
        type Call = Call;

        fn fresh() -> u8 {
            0
        }

        fn step(state: &u8, call: &Call) -> Option<u8> {
            match *call {
                Call::Read(v) => (v == *state).then_some(v),
                Call::Write(v) => Some(v),
            }
        }
    }

    /// Tries every order: too slow for anything but tests, and too simple to be wrong.
    fn by_force(spans: &[Span<Call>], state: u8, left: &[usize]) -> bool {
        let over = left.iter().all(|&place| spans[place].to.is_none());
        over || left.iter().any(|&place| {
            let may_be_next =
                left.iter().all(|&other| spans[other].to.is_none_or(|to| to >= spans[place].from));
            let rest: Vec<usize> = left.iter().copied().filter(|&other| other != place).collect();
            may_be_next
                && Number::step(&state, &spans[place].call)
                    .is_some_and(|state| by_force(spans, state, &rest))
        })
    }

    fn spans() -> impl Strategy<Value = Vec<Span<Call>>> {
        let call = prop_oneof![(0..3_u8).prop_map(Call::Read), (1..3_u8).prop_map(Call::Write)];
        let span = (0..24_u64, 0..8_u64, call, 0..8_u8).prop_map(|(from, lasts, call, lost)| {
            // A read that was never answered says nothing, and is in no history.
            let is_lost = lost == 0 && matches!(call, Call::Write(_));
            Span { from, to: (!is_lost).then_some(from + lasts), call }
        });
        proptest::collection::vec(span, 0..8)
    }

    fn may_go(call: &Call, others: &[&Call]) -> bool {
        match call {
            Call::Read(_) => true,
            Call::Write(v) => !others.contains(&&Call::Read(*v)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_find_an_order_exactly_where_there_is_one(spans in spans()) {
            let places: Vec<usize> = (0..spans.len()).collect();
            let expected = by_force(&spans, 0, &places);
            match check::<Number>(&spans, may_go) {
                Agreed::Linearizable => prop_assert!(expected),
                Agreed::Not { shown } => {
                    prop_assert!(!expected);
                    let rest: Vec<_> = shown.iter().map(|&place| spans[place].clone()).collect();
                    prop_assert!(!by_force(&rest, 0, &(0..rest.len()).collect::<Vec<_>>()));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    fn span(from: u64, to: u64, call: Call) -> Span<Call> {
        Span { from, to: Some(to), call }
    }

    #[test]
    fn what_is_shown_is_what_is_needed() {
        let spans = [
            span(0, 1, Call::Write(1)),
            span(2, 3, Call::Read(1)),
            span(4, 5, Call::Write(2)),
            span(6, 7, Call::Read(2)),
            span(8, 9, Call::Read(1)),
            span(10, 11, Call::Write(3)),
        ];
        let Agreed::Not { shown } = check::<Number>(&spans, may_go) else {
            panic!("an old value was read")
        };
        assert_eq!(
            shown,
            [0, 2, 4],
            "what was written, what replaced it, and what was read all the same"
        );
    }
}
