//! What a run is made of, and when which fault is made. Pure: all of it follows from a few numbers.

use std::time::Duration;

use crate::chaos::WorkloadKind;
use crate::chaos::chance::Chance;
use crate::history::{FaultKind, Place, Setup};

/// How long a period is, in seconds.
const PERIOD: (u64, u64) = (12, 24);
/// How long faults are left alone before the first period, in seconds: so long that all is seen to work.
const FIRST: u64 = 5;
/// Of so many periods, one is quiet.
const QUIET_ONE_OF: usize = 4;
/// The most faults of a period.
const FAULTS_MAX: usize = 2;
/// Periods in a hundred that have that many.
const TWO_PERCENT: u64 = 35;
/// Nodes that a ring needs: with fewer, everybody is a neighbour.
const RING_MIN: usize = 4;

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The seed of everything that is drawn by lot.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// For how long faults are made.
    pub length: Duration,
    /// The faults to choose from; all that are possible when empty.
    pub faults: Vec<FaultKind>,
    /// The faults that are left out.
    pub without: Vec<FaultKind>,
    /// The workloads; all when empty.
    pub workloads: Vec<WorkloadKind>,
    /// How many operations have to be acknowledged; as many as the time is for when missing.
    pub acknowledged: Option<u64>,
}

/// A fault that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub kind: FaultKind,
    /// When, since the beginning.
    pub from: Duration,
    /// When it is to be gone.
    pub to: Duration,
}

/// A time in which some faults are made, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub to: Duration,
    /// The faults that are made in it, by when they are made.
    pub faults: Vec<Planned>,
}

impl Plan {
    /// What was done in a run before.
    #[must_use]
    pub fn again(setup: &Setup) -> Self {
        let workloads = setup.workloads.iter().filter_map(|name| name.parse().ok());
        let choice = if setup.choice.is_empty() { &setup.faults } else { &setup.choice };
        Self {
            seed: setup.seed,
            nodes: setup.nodes,
            length: Duration::from_secs(setup.seconds),
            faults: Vec::new(),
            without: FaultKind::ALL.into_iter().filter(|kind| !choice.contains(kind)).collect(),
            workloads: workloads.collect(),
            acknowledged: setup.acknowledged,
        }
    }

    /// The faults that there are to choose from.
    #[must_use]
    pub fn possible(&self) -> Vec<FaultKind> {
        let chosen = if self.faults.is_empty() { &FaultKind::ALL[..] } else { &self.faults };
        let with_authority =
            self.workloads.is_empty() || self.workloads.contains(&WorkloadKind::Certificates);
        let is_possible = |kind: &&FaultKind| match kind.place() {
            Place::Authority => with_authority,
            _ => **kind != FaultKind::Ring || self.nodes >= RING_MIN,
        };
        let mut possible: Vec<FaultKind> = chosen
            .iter()
            .filter(|kind| is_possible(kind) && !self.without.contains(kind))
            .copied()
            .collect();
        possible.sort_unstable();
        possible.dedup();
        possible
    }

    /// When which fault is made. They are dealt like cards, so that all of them come before one comes again.
    #[must_use]
    pub fn periods(&self) -> Vec<Period> {
        let mut chance = Chance::from_seed(self.seed).fork("periods");
        let mut deck = Deck { kinds: self.possible(), rest: Vec::new() };
        let (mut periods, mut from) = (Vec::new(), Duration::from_secs(FIRST));
        let mut quiet = 0;
        while from < self.length {
            if periods.len() % QUIET_ONE_OF == 0 {
                quiet = chance.within(1, QUIET_ONE_OF as u64 - 1);
            }
            let to = from + Duration::from_secs(chance.within(PERIOD.0, PERIOD.1));
            let is_quiet = (periods.len() % QUIET_ONE_OF) as u64 == quiet;
            let count = if chance.percent(TWO_PERCENT) { FAULTS_MAX } else { 1 };
            let kinds = if is_quiet { Vec::new() } else { deck.deal(count, &mut chance) };
            let faults = kinds.into_iter().map(|kind| within(kind, from, to, &mut chance));
            let mut faults: Vec<Planned> = faults.collect();
            faults.sort_by_key(|fault| fault.from);
            periods.push(Period { from, to, faults });
            from = to;
        }
        periods
    }

    /// A period for one more try of a fault.
    #[must_use]
    pub fn once_more(kind: FaultKind, chance: &mut Chance) -> Period {
        let to = Duration::from_secs(chance.within(PERIOD.0, PERIOD.1));
        let fault = within(kind, Duration::ZERO, to, chance);
        Period { from: Duration::ZERO, to, faults: vec![fault] }
    }

    /// The faults that are made.
    #[must_use]
    pub fn planned(&self) -> Vec<FaultKind> {
        let periods = self.periods();
        let faults = periods.iter().flat_map(|period| &period.faults);
        let mut kinds: Vec<FaultKind> = faults.map(|fault| fault.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Begins in the first third of its period, and leaves the others time to notice that it is over.
fn within(kind: FaultKind, from: Duration, to: Duration, chance: &mut Chance) -> Planned {
    let part = |percent: u64| (to - from) * u32::try_from(percent).unwrap_or_default() / 100;
    let begin = from + part(chance.within(0, 25));
    Planned { kind, from: begin, to: from + part(chance.within(50, 75)) }
}

/// Kinds of faults, dealt one after the other.
struct Deck {
    kinds: Vec<FaultKind>,
    rest: Vec<FaultKind>,
}

impl Deck {
    /// So many, of which no two touch the same.
    fn deal(&mut self, count: usize, chance: &mut Chance) -> Vec<FaultKind> {
        if self.rest.is_empty() {
            self.rest.clone_from(&self.kinds);
            chance.shuffle(&mut self.rest);
        }
        let mut dealt: Vec<FaultKind> = Vec::new();
        while dealt.len() < count {
            let fits = |kind: &FaultKind| dealt.iter().all(|other| other.goes_with(*kind));
            let Some(place) = self.rest.iter().position(fits) else { break };
            dealt.push(self.rest.remove(place));
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, minutes: u64) -> Plan {
        let length = Duration::from_secs(60 * minutes);
        Plan { seed, nodes: 5, length, ..Plan::default() }
    }

    #[test]
    fn the_same_seed_gives_the_same_periods() {
        assert_eq!(plan(7, 10).periods(), plan(7, 10).periods());
        assert_ne!(plan(7, 10).periods(), plan(8, 10).periods());
    }

    #[test]
    fn a_run_that_is_made_again_has_the_same_periods() {
        let short = Plan { without: vec![FaultKind::Ring], ..plan(7, 2) };
        let setup = Setup {
            seed: 7,
            nodes: 5,
            seconds: 120,
            faults: short.planned(),
            choice: short.possible(),
            ..Setup::default()
        };
        assert_eq!(Plan::again(&setup).periods(), short.periods());
    }

    #[test]
    fn periods_follow_each_other_and_a_quarter_is_quiet() {
        for seed in 0..200 {
            let periods = plan(seed, 30).periods();
            let quiet = periods.iter().filter(|period| period.faults.is_empty()).count();
            assert!(
                quiet.abs_diff(periods.len() / QUIET_ONE_OF) <= 1,
                "{quiet} of {}",
                periods.len()
            );
            assert!(periods.windows(2).all(|pair| pair[0].to == pair[1].from));
            for Period { from, to, faults } in &periods {
                assert!(faults.iter().all(|it| *from <= it.from && it.from < it.to && it.to < *to));
                let apart = faults.windows(2).all(|pair| pair[0].kind.goes_with(pair[1].kind));
                assert!(apart, "two faults undo each other: {faults:?}");
            }
        }
    }

    #[test]
    fn all_faults_come_where_there_is_time() {
        for seed in 0..100 {
            assert_eq!(plan(seed, 20).planned(), plan(seed, 20).possible());
        }
        let three = Plan { nodes: 3, ..plan(1, 60) };
        assert!(!three.planned().contains(&FaultKind::Ring));
        let unasked = Plan { workloads: vec![WorkloadKind::Sets], ..plan(1, 60) };
        assert!(!unasked.planned().contains(&FaultKind::AuthorityAway));
        let without = Plan { without: vec![FaultKind::Loss], ..plan(1, 60) };
        assert!(!without.planned().contains(&FaultKind::Loss));
        let one = Plan { faults: vec![FaultKind::KillLeader; 2], ..plan(1, 2) };
        assert_eq!(one.planned(), [FaultKind::KillLeader]);
    }
}
