//! What must hold, whatever is broken. Pure: it is told what was seen, and says what may not be.

use std::collections::{BTreeMap, BTreeSet};

use temps_state::{State, UserId};

use super::writes::{Write, write_of};
use crate::content::Tally;

/// What a node is after it has applied an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The entry: term and node of whoever led, and the index.
    pub entry: (u64, u64, u64),
    /// Where the members are from, and the time that the state has.
    pub members: String,
    /// The state.
    pub tally: Tally,
}

/// One run of a node.
pub type Life = (u64, u64);

/// How something ended, as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, at an index.
    Done(u64),
    /// It did not, and will not.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Oracle {
    marks: BTreeMap<u64, (Mark, Life)>,
    applied: BTreeMap<Life, u64>,
    leaders: BTreeSet<(u64, u64)>,
    done: BTreeMap<Write, u64>,
    refused: BTreeSet<Write>,
    tried: BTreeSet<Write>,
    /// The newest that anybody was told.
    told: u64,
}

impl Oracle {
    /// A node has applied something.
    pub fn applied(&mut self, life: Life, mark: Mark) -> Result<(), String> {
        let index = mark.entry.2;
        let before = self.applied.insert(life, index);
        if let Some(before) = before.filter(|before| *before > index) {
            return Err(format!("node {life:?} went back from index {before} to {index}"));
        }
        self.loaded(life, mark)
    }

    /// A node has found a state on its disk. It need not take it: its log may have lost what led there.
    pub fn loaded(&mut self, life: Life, mark: Mark) -> Result<(), String> {
        let index = mark.entry.2;
        match self.marks.get(&index) {
            Some((known, other)) if *known != mark => Err(format!(
                "nodes differ at index {index}: {life:?} has {mark:?}, {other:?} has {known:?}"
            )),
            Some(_) => Ok(()),
            None => {
                self.marks.insert(index, (mark, life));
                Ok(())
            }
        }
    }

    /// A node leads in a term; whether nobody knew. Of openraft's terms each node has one of its own, so that several may
    /// lead in one, the one with the highest id last.
    pub fn leads(&mut self, term: u64, node: u64) -> Result<bool, String> {
        Ok(self.leaders.insert((term, node)))
    }

    /// Somebody begins a write.
    pub fn begins(&mut self, write: Write) -> Result<(), String> {
        self.tried.insert(write);
        Ok(())
    }

    /// A write has ended.
    pub fn ended(&mut self, write: Write, outcome: Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Done(index) => {
                self.told = self.told.max(index);
                self.done.insert(write, index);
                if self.refused.contains(&write) {
                    return Err(format!("{write:?} was refused and took effect"));
                }
            }
            Outcome::Refused => {
                self.refused.insert(write);
            }
            Outcome::Unknown => {}
        }
        Ok(())
    }

    /// The newest index that anybody was told; what is read from now on must be at least as new.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Somebody has read a state, and began when `told` was the newest.
    pub fn read(&mut self, told: u64, index: u64) -> Result<(), String> {
        if index < told {
            return Err(format!(
                "a read gave index {index}, though {told} had been told before it"
            ));
        }
        self.told = self.told.max(index);
        Ok(())
    }

    /// Whether a state has everything that was acknowledged, once, and nothing that was refused or never asked for.
    pub fn judge(&self, state: &State) -> Result<(), String> {
        let found = found(state);
        for write in self.done.keys() {
            match found.get(write).copied().unwrap_or_default() {
                0 => return Err(format!("{write:?} was acknowledged and is lost")),
                1 => {}
                times => return Err(format!("{write:?} took effect {times} times")),
            }
        }
        for (write, times) in found {
            if self.refused.contains(&write) {
                return Err(format!("{write:?} was refused and took effect"));
            }
            if !self.tried.contains(&write) {
                return Err(format!("{write:?} was never asked for"));
            }
            if times > 1 {
                return Err(format!("{write:?} took effect {times} times"));
            }
        }
        Ok(())
    }
}

/// The writes whose effect is in a state, with how often.
fn found(state: &State) -> BTreeMap<Write, u64> {
    let mut found = BTreeMap::new();
    for user in state.users.values() {
        if let Some(write) = write_of(user) {
            *found.entry(write).or_default() += 1;
        }
    }
    for record in state.audit.values().filter(|record| record.action == "user.change") {
        let user = record.target.parse().ok().and_then(|id: UserId| state.users.get(&id));
        if let Some(Write::Add(number)) = user.and_then(write_of) {
            *found.entry(Write::Once(number)).or_default() += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(term: u64, index: u64, members: &str) -> Mark {
        Mark { entry: (term, 1, index), members: members.into(), tally: Tally::default() }
    }

    #[test]
    fn nodes_that_differ_at_an_index_are_noticed() {
        let mut oracle = Oracle::default();
        oracle.applied((1, 1), mark(1, 5, "m")).unwrap();
        oracle.applied((2, 1), mark(1, 5, "m")).unwrap();
        oracle.applied((2, 1), mark(1, 7, "m")).unwrap();
        oracle.applied((2, 2), mark(1, 5, "m")).expect("a node that started again is behind");
        assert!(oracle.applied((2, 2), mark(1, 4, "m")).is_err(), "it went back");
        assert!(oracle.applied((3, 1), mark(2, 5, "m")).is_err(), "another entry");
        assert!(oracle.applied((3, 2), mark(1, 7, "n")).is_err(), "other members");
    }

    #[test]
    fn a_read_is_as_new_as_what_was_told_before_it() {
        let mut oracle = Oracle::default();
        oracle.ended(Write::Add(1), Outcome::Done(9)).unwrap();
        let told = oracle.told();
        assert_eq!(told, 9);
        assert!(oracle.read(told, 8).is_err());
        oracle.read(told, 12).unwrap();
        assert!(oracle.read(oracle.told(), 11).is_err(), "another read was newer");
        oracle.read(9, 11).expect("it began before that one ended");
    }

    #[test]
    fn the_end_has_what_was_acknowledged_once_and_nothing_else() {
        use super::super::writes::tests::state_with;
        let (one, two) = (Write::Add(1), Write::Claim { name: 1, number: 2 });
        let judge = |tell: &dyn Fn(&mut Oracle), writes: &[Write]| {
            let mut oracle = Oracle::default();
            tell(&mut oracle);
            oracle.judge(&state_with(writes)).is_ok()
        };
        let tried = |oracle: &mut Oracle| {
            [one, two].iter().for_each(|write| oracle.begins(*write).unwrap());
        };
        let ended = |oracle: &mut Oracle, outcome| {
            tried(oracle);
            oracle.ended(one, outcome).unwrap();
        };
        assert!(judge(&tried, &[one]), "nobody knows");
        assert!(judge(&tried, &[]));
        assert!(judge(&|oracle| ended(oracle, Outcome::Done(3)), &[one, two]));
        assert!(!judge(&|oracle| ended(oracle, Outcome::Done(3)), &[two]), "lost");
        assert!(!judge(&|oracle| ended(oracle, Outcome::Refused), &[one]), "refused and there");
        assert!(judge(&|oracle| ended(oracle, Outcome::Refused), &[]));
        assert!(!judge(&|_| (), &[one]), "never asked for");
        let once = Write::Once(4);
        let all = |oracle: &mut Oracle| {
            oracle.begins(once).unwrap();
            oracle.begins(Write::Add(4)).unwrap();
        };
        assert!(judge(&all, &[Write::Add(4), once]));
        assert!(!judge(&all, &[Write::Add(4), once, once]), "twice");
    }
}
