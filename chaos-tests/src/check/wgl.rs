//! A linearizability checker of our own, beside crate `porcupine-rs`: two that were written apart and go different ways
//! must agree.
//!
//! Porcupine goes deep: it guesses an order, and takes guesses back. This one goes wide: it passes through the calls and
//! returns in the order of time, and keeps *every* state that the object may be in, each with the operations under way
//! that have taken effect in it already. When an operation returns, it must have taken effect, so that what is under way
//! is applied in all orders, and what is left without it is dropped. If nothing is left, there is no order at all; the
//! return at which that happens ends the shortest beginning of the history that is wrong. (Wing and Gong 1993, in the
//! just-in-time form of Lowe 2017.)

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// The most states that are kept at one moment.
const STATES_MAX: usize = 200_000;

/// What an object does when it is used by one after the other.
pub(crate) trait Object: Clone + Send + Sync {
    /// What it holds.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// What was asked for and what was answered.
    type Call: Clone + Debug + Send + Sync;

    /// What it holds at first.
    fn fresh() -> Self::State;

    /// What it holds after a call; nothing when it would not have answered so.
    fn step(state: &Self::State, call: &Self::Call) -> Option<Self::State>;
}

/// A call, from when to when. What was never answered has no end: it may take effect at any time, or never.
#[derive(Debug, Clone)]
pub(crate) struct Span<C> {
    pub from: u64,
    pub to: Option<u64>,
    pub call: C,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is an order.
    Linearizable,
    /// There is none; the call at this place is the first that cannot be explained when it returns.
    Not { at: usize },
    /// There are too many possibilities.
    TooMany,
}

/// A possibility: what the object holds, and which calls under way have taken effect.
type Possibility<S> = (S, BTreeSet<usize>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    // Of the same moment, a call comes first: both may have been under way together.
    Call,
    Return,
}

/// Looks for an order in which every call was answered as it was.
pub(crate) fn check<O: Object>(spans: &[Span<O::Call>]) -> Answer {
    let mut edges: Vec<(u64, Edge, usize)> = Vec::with_capacity(spans.len() * 2);
    for (place, span) in spans.iter().enumerate() {
        edges.push((span.from, Edge::Call, place));
        edges.extend(span.to.map(|to| (to, Edge::Return, place)));
    }
    edges.sort_unstable();
    let mut under_way: BTreeSet<usize> = BTreeSet::new();
    let mut possible: HashSet<Possibility<O::State>> = [(O::fresh(), BTreeSet::new())].into();
    for (_, edge, place) in edges {
        match edge {
            Edge::Call => {
                under_way.insert(place);
            }
            Edge::Return => {
                let Some(after) = with_effect::<O>(spans, &under_way, possible, place) else {
                    return Answer::TooMany;
                };
                if after.is_empty() {
                    return Answer::Not { at: place };
                }
                under_way.remove(&place);
                possible = after;
            }
        }
    }
    Answer::Linearizable
}

/// All possibilities in which the call at `place`, which returns now, has taken effect; nothing when there are too many.
fn with_effect<O: Object>(
    spans: &[Span<O::Call>],
    under_way: &BTreeSet<usize>,
    possible: HashSet<Possibility<O::State>>,
    place: usize,
) -> Option<HashSet<Possibility<O::State>>> {
    let mut seen = possible.clone();
    let mut todo: Vec<Possibility<O::State>> = possible.into_iter().collect();
    let mut after = HashSet::new();
    while let Some((state, done)) = todo.pop() {
        if done.contains(&place) {
            let mut done = done;
            done.remove(&place);
            after.insert((state, done));
            continue;
        }
        for &next in under_way.difference(&done) {
            let Some(state) = O::step(&state, &spans[next].call) else { continue };
            let mut done = done.clone();
            done.insert(next);
            let possibility = (state, done);
            if seen.insert(possibility.clone()) {
                todo.push(possibility);
            }
        }
        if seen.len() > STATES_MAX {
            return None;
        }
    }
    Some(after)
}
