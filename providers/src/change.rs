//! One thing to do at a provider, and how it is told to those who know records rather than sets.

use temps_state::ManagedRecord;

use crate::{Found, RecordSet};

/// One thing to do at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Let there be exactly these records.
    Put {
        /// What is to be.
        set: RecordSet,
        /// What is there now.
        before: Option<Found>,
    },
    /// Let there be none.
    Delete {
        /// What is there now.
        before: Found,
    },
}

/// What a change is, record by record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps<'a> {
    /// The values of records to make.
    pub(crate) make: Vec<&'a str>,
    /// Records that have another time to live, by what the provider calls them, with their values.
    pub(crate) alter: Vec<(&'a str, &'a str)>,
    /// What the provider calls the records to delete.
    pub(crate) delete: Vec<&'a str>,
}

impl Steps<'_> {
    pub(crate) fn len(&self) -> usize {
        self.make.len() + self.alter.len() + self.delete.len()
    }
}

impl Change {
    /// Which set it is about.
    pub fn key(&self) -> ManagedRecord {
        match self {
            Self::Put { set, .. } => set.key(),
            Self::Delete { before } => before.set.key(),
        }
    }

    /// What is to be there.
    pub(crate) fn after(&self) -> Option<&RecordSet> {
        match self {
            Self::Put { set, .. } => Some(set),
            Self::Delete { .. } => None,
        }
    }

    /// What is there now.
    pub(crate) fn before(&self) -> Option<&Found> {
        match self {
            Self::Put { before, .. } => before.as_ref(),
            Self::Delete { before } => Some(before),
        }
    }

    /// What has to be done with each record. Records that are right stay, so that a name is never without any.
    pub(crate) fn steps(&self) -> Steps<'_> {
        let (set, before) = (self.after(), self.before());
        let mut steps = Steps::default();
        let stays = |value: &String| set.is_some_and(|set| set.values.contains(value));
        let lives_else =
            before.is_some_and(|found| set.is_some_and(|set| set.ttl != found.set.ttl));
        for (value, ids) in before.iter().flat_map(|found| &found.ids) {
            let ids = ids.iter().map(String::as_str);
            match stays(value) {
                false => steps.delete.extend(ids),
                true if lives_else => steps.alter.extend(ids.map(|id| (id, value.as_str()))),
                true => {}
            }
        }
        let is_there = |value: &String| before.is_some_and(|found| found.ids.contains_key(value));
        let values = set.iter().flat_map(|set| &set.values);
        steps.make = values.filter(|value| !is_there(value)).map(String::as_str).collect();
        steps
    }
}

/// How many of the first changes weigh no more together than a batch may; one at least.
pub(crate) fn fitting(changes: &[Change], most: usize, weight: impl Fn(&Change) -> usize) -> usize {
    let sums = changes.iter().scan(0_usize, |sum, change| {
        *sum += weight(change);
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= most).count().max(1)
}

#[cfg(test)]
mod tests {
    use temps_state::RecordKind;

    use super::*;

    fn set(ttl: u32, values: &[&str]) -> RecordSet {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        RecordSet { name: "a.example".into(), kind: RecordKind::A, ttl, values }
    }

    /// Records with what the provider calls them.
    fn found(ttl: u32, records: &[(&str, &[&str])]) -> Found {
        let values: Vec<&str> = records.iter().map(|(value, _)| *value).collect();
        let ids = records.iter().map(|(value, ids)| {
            ((*value).to_owned(), ids.iter().map(|id| (*id).to_owned()).collect())
        });
        Found { ids: ids.collect(), ..Found::new(set(ttl, &values)) }
    }

    #[test]
    fn records_that_are_right_stay_and_none_that_goes_is_left() {
        let before = found(30, &[("1", &["x"]), ("2", &["y", "z"])]);
        let put = |ttl, values: &[&str]| {
            let before = Some(before.clone());
            Change::Put { set: set(ttl, values), before }
        };
        let steps = |make, alter, delete| Steps { make, alter, delete };
        assert_eq!(put(30, &["1", "3"]).steps(), steps(vec!["3"], vec![], vec!["y", "z"]));
        assert_eq!(
            put(60, &["1", "3"]).steps(),
            steps(vec!["3"], vec![("x", "1")], vec!["y", "z"])
        );
        let delete = Change::Delete { before: before.clone() };
        assert_eq!(delete.steps(), steps(vec![], vec![], vec!["x", "y", "z"]));
        let new = Change::Put { set: set(30, &["1", "2"]), before: None };
        assert_eq!(new.steps(), steps(vec!["1", "2"], vec![], vec![]));
    }

    #[test]
    fn a_batch_is_as_full_as_it_may_be() {
        let put = |n: usize| {
            let values: Vec<String> = (0..n).map(|value| value.to_string()).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            Change::Put { set: set(30, &values), before: None }
        };
        let weight = |change: &Change| change.after().map_or(0, |set| set.values.len());
        for (sizes, fits) in
            [(&[4, 6, 1][..], 2), (&[4, 7, 1], 1), (&[11, 1], 1), (&[1, 1, 1], 3), (&[10], 1)]
        {
            let changes: Vec<Change> = sizes.iter().map(|size| put(*size)).collect();
            assert_eq!(fitting(&changes, 10, weight), fits, "{sizes:?}");
        }
    }
}
