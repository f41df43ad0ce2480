//! What is broken when. Pure: from a seed.

use std::time::Duration;

use super::chance::Chance;

/// Whom something befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever leads.
    Leader,
    /// Somebody, by a number that was drawn.
    Any(u64),
    /// Each with a bit in the number that was drawn.
    Several(u64),
    /// Everybody.
    All,
}

/// Which messages do not come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Between those with a bit in the number and those without.
    Halves(u64),
    /// To and from one.
    Alone(Who),
    /// To one only, or from one only.
    OneWay { who: Who, inbound: bool },
    /// Between all but neighbours.
    Ring,
}

/// Something that goes wrong, or that somebody asks for at a bad time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Machines lose power, and have it again.
    Crash { who: Who, down: Duration },
    /// The machine at which something happens next loses power a moment later.
    Ambush { event: &'static str, after: Duration, down: Duration },
    /// A machine loses its disk; another one takes its place.
    Replace { who: Who, keeps_identity: bool },
    /// The network falls apart.
    Partition { cut: Cut, lasts: Duration },
    /// The network is bad.
    Weather { loss: u64, twice: u64, late_ms: u64, lasts: Duration },
    /// A disk syncs nothing.
    Hang { who: Who, lasts: Duration },
    /// A node votes, without being asked to.
    Elect(Who),
    /// A node writes a snapshot.
    Snapshot(Who),
    /// The leader gives its lead away.
    Transfer(Who),
    /// A machine joins.
    Join,
    /// A node is removed.
    Remove(Who),
}

/// What one seed means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How many nodes there are at first.
    pub nodes: u64,
    /// How many clients.
    pub clients: u64,
    /// When everything is healed.
    pub heal_at: Duration,
    /// What happens when, in order.
    pub faults: Vec<(Duration, Fault)>,
}

/// The kinds of faults; each run has some of them.
const KINDS: u64 = 9;
/// What an ambush waits for.
const EVENTS: [&str; 5] =
    ["snapshot.installed", "snapshot.built", "purged", "leader.changed", "members.changed"];
const SHORTEST_MS: u64 = 6_000;
const LONGEST_MS: u64 = 15_000;
/// The pause between two faults, in milliseconds.
const PAUSE_MS: (u64, u64) = (60, 1_600);

/// What a seed means.
pub fn schedule(seed: u64) -> Schedule {
    let mut chance = Chance::of(seed, "schedule");
    let nodes = 3 + chance.below(3);
    let clients = 3 + chance.below(4);
    let heal_at = chance.millis(SHORTEST_MS, LONGEST_MS);
    // Some of the kinds, and crashes in most runs.
    let mut kinds: Vec<u64> = (0..KINDS).filter(|_| chance.percent(55)).collect();
    if kinds.is_empty() || chance.percent(60) {
        kinds.push(0);
    }
    let mut faults = Vec::new();
    let mut at = Duration::from_millis(300);
    while at < heal_at {
        if let Some(kind) = chance.pick(&kinds).copied() {
            faults.push((at, fault(&mut chance, kind)));
        }
        at += chance.millis(PAUSE_MS.0, PAUSE_MS.1);
    }
    Schedule { nodes, clients, heal_at, faults }
}

fn fault(chance: &mut Chance, kind: u64) -> Fault {
    match kind {
        0 => Fault::Crash { who: who(chance), down: chance.millis(50, 4_000) },
        1 => Fault::Partition { cut: cut(chance), lasts: chance.millis(300, 6_000) },
        2 => Fault::Weather {
            loss: chance.below(30),
            twice: chance.below(60),
            late_ms: if chance.percent(25) { 1_200 } else { 5 + chance.below(250) },
            lasts: chance.millis(500, 5_000),
        },
        3 => Fault::Hang { who: one(chance), lasts: chance.millis(200, 5_000) },
        4 => Fault::Replace { who: one(chance), keeps_identity: chance.percent(50) },
        5 => match chance.below(2) {
            0 => Fault::Join,
            _ => Fault::Remove(one(chance)),
        },
        6 => match chance.below(2) {
            0 => Fault::Elect(one(chance)),
            _ => Fault::Transfer(one(chance)),
        },
        7 => Fault::Ambush {
            event: EVENTS[chance.below(EVENTS.len() as u64) as usize],
            after: chance.millis(0, 40),
            down: chance.millis(20, 1_500),
        },
        _ => Fault::Snapshot(one(chance)),
    }
}

fn who(chance: &mut Chance) -> Who {
    match chance.below(10) {
        0 => Who::All,
        1..3 => Who::Several(chance.below(1 << 16)),
        _ => one(chance),
    }
}

fn one(chance: &mut Chance) -> Who {
    if chance.percent(45) { Who::Leader } else { Who::Any(chance.below(1 << 16)) }
}

fn cut(chance: &mut Chance) -> Cut {
    match chance.below(5) {
        0 => Cut::Halves(chance.below(1 << 16)),
        1 => Cut::Alone(Who::Leader),
        2 => Cut::Alone(one(chance)),
        3 => Cut::OneWay { who: one(chance), inbound: chance.percent(50) },
        _ => Cut::Ring,
    }
}

/// Which of `all` something befalls; the leader is where it is known.
pub fn befallen(who: Who, all: &[u64], leader: Option<u64>) -> Vec<u64> {
    let any = |number: u64| all.get((number % all.len().max(1) as u64) as usize).copied();
    match who {
        Who::Leader => leader.or_else(|| any(0)).into_iter().collect(),
        Who::Any(number) => any(number).into_iter().collect(),
        Who::Several(bits) => {
            let drawn = all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            drawn.map(|(_, node)| *node).collect()
        }
        Who::All => all.to_vec(),
    }
}

/// The links that a cut concerns.
pub fn links(cut: Cut, all: &[u64], leader: Option<u64>) -> Vec<(u64, u64)> {
    let pairs = all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to)));
    let pairs = pairs.filter(|(from, to)| from != to);
    let place = |node: u64| all.iter().position(|other| *other == node).unwrap_or_default();
    match cut {
        Cut::Halves(bits) => {
            let side = |node: u64| bits >> place(node) & 1;
            pairs.filter(|(from, to)| side(*from) != side(*to)).collect()
        }
        Cut::Alone(who) => {
            let alone = befallen(who, all, leader);
            pairs.filter(|(from, to)| alone.contains(from) || alone.contains(to)).collect()
        }
        Cut::OneWay { who, inbound } => {
            let deaf = befallen(who, all, leader);
            pairs.filter(|(from, to)| deaf.contains(if inbound { to } else { from })).collect()
        }
        Cut::Ring => {
            let apart = |from: u64, to: u64| place(from).abs_diff(place(to));
            let is_near = |apart: usize| apart <= 1 || apart + 1 == all.len();
            pairs.filter(|(from, to)| !is_near(apart(*from, *to))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_schedule_and_seeds_differ() {
        assert_eq!(schedule(5), schedule(5));
        assert_ne!(schedule(5), schedule(6));
        for seed in 0..200 {
            let Schedule { nodes, clients, heal_at, faults } = schedule(seed);
            assert!((3..=5).contains(&nodes) && (3..=6).contains(&clients));
            assert!(faults.is_sorted_by_key(|(at, _)| *at), "seed {seed}");
            assert!(faults.iter().all(|(at, _)| *at < heal_at), "seed {seed}");
            assert!(faults.len() > 3, "seed {seed}");
        }
    }

    #[test]
    fn a_fault_befalls_those_it_names() {
        let all = [10, 20, 30];
        let cases = [
            (Who::Leader, Some(20), vec![20]),
            (Who::Leader, None, vec![10]),
            (Who::Any(5), None, vec![30]),
            (Who::Several(0b101), None, vec![10, 30]),
            (Who::All, None, vec![10, 20, 30]),
        ];
        for (who, leader, befalls) in cases {
            assert_eq!(befallen(who, &all, leader), befalls, "{who:?}");
        }
        assert!(befallen(Who::Any(3), &[], None).is_empty());
    }

    #[test]
    fn a_cut_concerns_the_links_it_names() {
        let three = [1, 2, 3];
        let cases = [
            (Cut::Halves(0b001), vec![(1, 2), (1, 3), (2, 1), (3, 1)]),
            (Cut::Alone(Who::Leader), vec![(1, 2), (2, 1), (2, 3), (3, 2)]),
            (Cut::OneWay { who: Who::Any(0), inbound: true }, vec![(2, 1), (3, 1)]),
            (Cut::OneWay { who: Who::Any(0), inbound: false }, vec![(1, 2), (1, 3)]),
            (Cut::Ring, vec![]),
        ];
        for (cut, cuts) in cases {
            assert_eq!(links(cut, &three, Some(2)), cuts, "{cut:?}");
        }
        let five = links(Cut::Ring, &[1, 2, 3, 4, 5], None);
        assert_eq!(five.len(), 10, "each of five has two neighbours");
        assert!(five.contains(&(1, 3)) && !five.contains(&(5, 1)));
    }
}
