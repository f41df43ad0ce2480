//! The network: for each node and each other one whether messages come through, when, and how often.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use temps_proto::peer::peer_server::PeerServer;

use super::chance::Chance;
use super::wire::Station;
use crate::peer::PeerService;

/// What a message takes on a good link, in microseconds.
const GOOD_US: (u64, u64) = (100, 2_500);
/// How long whoever has no answer holds on to a connection.
const BROKEN_AFTER: Duration = Duration::from_secs(4);
/// How long a connection that is not answered is tried.
const UNREACHED_AFTER: Duration = Duration::from_millis(1500);

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Nothing comes through.
    pub cut: bool,
    /// How many of a hundred messages are lost.
    pub loss: u64,
    /// How many are there twice.
    pub twice: u64,
    /// What they take at most beyond what they take on a good link, in milliseconds.
    pub late_ms: u64,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there after so long, and once more after so long.
    Arrives { after: Duration, again: Option<Duration> },
    /// It is lost; the sender notices after so long.
    Lost { noticed: Duration },
    /// It was never sent, for no connection could be made.
    Unsent { noticed: Duration },
}

/// The network.
pub struct Network {
    state: Mutex<State>,
}

struct State {
    chance: Chance,
    links: BTreeMap<(u64, u64), Link>,
    listening: BTreeMap<u64, Listening>,
}

/// A node that takes calls.
#[derive(Clone)]
pub struct Listening {
    /// Which run of the node.
    pub station: Station,
    /// What answers.
    pub server: PeerServer<PeerService>,
}

impl Network {
    /// A network of good links.
    pub fn new(seed: u64) -> Self {
        let (links, listening) = (BTreeMap::new(), BTreeMap::new());
        let state = State { chance: Chance::of(seed, "network"), links, listening };
        Self { state: Mutex::new(state) }
    }

    /// A node takes calls.
    pub fn listen(&self, listening: Listening) {
        self.lock().listening.insert(listening.station.node, listening);
    }

    /// A node is gone.
    pub fn leave(&self, node: u64) {
        self.lock().listening.remove(&node);
    }

    /// Who takes calls for a node.
    pub fn listening(&self, node: u64) -> Option<Listening> {
        self.lock().listening.get(&node).cloned()
    }

    /// Whether a run of a node is the one that is on.
    pub fn is_on(&self, station: Station) -> bool {
        self.lock().listening.get(&station.node).is_some_and(|on| on.station == station)
    }

    /// Changes the links between nodes.
    pub fn change(&self, pairs: impl IntoIterator<Item = (u64, u64)>, change: impl Fn(&mut Link)) {
        let mut state = self.lock();
        for pair in pairs {
            change(state.links.entry(pair).or_default());
        }
    }

    /// All links are good.
    pub fn heal(&self) {
        self.lock().links.clear();
    }

    /// Draws what becomes of a message. Only some may be there twice.
    pub fn fate(&self, from: u64, to: u64, may_be_twice: bool) -> Fate {
        let mut state = self.lock();
        let link = state.links.get(&(from, to)).copied().unwrap_or_default();
        fate(&mut state.chance, link, may_be_twice)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fate(chance: &mut Chance, link: Link, may_be_twice: bool) -> Fate {
    if link.cut && chance.percent(50) {
        return Fate::Unsent { noticed: UNREACHED_AFTER };
    }
    if link.cut || chance.percent(link.loss) {
        return Fate::Lost { noticed: BROKEN_AFTER };
    }
    let after = delay(chance, link);
    let again = (may_be_twice && chance.percent(link.twice)).then(|| delay(chance, link));
    Fate::Arrives { after, again }
}

fn delay(chance: &mut Chance, link: Link) -> Duration {
    let (shortest, longest) = GOOD_US;
    let good = chance.between(Duration::from_micros(shortest), Duration::from_micros(longest));
    good + chance.between(Duration::ZERO, Duration::from_millis(link.late_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(link: Link, may_be_twice: bool) -> Vec<Fate> {
        let mut chance = Chance::of(5, "fates");
        (0..500).map(|_| fate(&mut chance, link, may_be_twice)).collect()
    }

    fn count(fates: &[Fate], of: impl Fn(&Fate) -> bool) -> usize {
        fates.iter().filter(|fate| of(fate)).count()
    }

    #[test]
    fn a_link_does_what_it_is_said_to_do() {
        let arrives = |fate: &Fate| matches!(fate, Fate::Arrives { .. });
        let twice = |fate: &Fate| matches!(fate, Fate::Arrives { again: Some(_), .. });
        let late = |fate: &Fate| matches!(fate, Fate::Arrives { after, .. } if *after > Duration::from_millis(3));
        let good = fates(Link::default(), true);
        assert_eq!((count(&good, arrives), count(&good, twice), count(&good, late)), (500, 0, 0));
        let cut = fates(Link { cut: true, ..Link::default() }, true);
        assert_eq!(count(&cut, arrives), 0);
        let lossy = fates(Link { loss: 30, ..Link::default() }, true);
        assert!((280..420).contains(&count(&lossy, arrives)));
        let doubling = Link { twice: 50, late_ms: 100, ..Link::default() };
        assert!((180..320).contains(&count(&fates(doubling, true), twice)));
        assert_eq!(count(&fates(doubling, false), twice), 0);
        assert!(count(&fates(doubling, false), late) > 400);
    }
}
