//! What has to change at a provider. Pure.

use std::collections::BTreeSet;

use temps_state::{ManagedRecord, RecordKind};

use crate::{Change, Listing, RecordSet};

/// How many records a message names.
const NAMED_MAX: usize = 3;

/// What is to be done, and whose records are whose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done.
    pub changes: Vec<Change>,
    /// The sets that are the cluster's once all is done.
    pub managed: BTreeSet<ManagedRecord>,
    /// What stands in the way and is somebody else's: names with their types.
    pub foreign: Vec<String>,
}

/// What leads from what was found to what is wanted. Touches nothing that is not `managed`, except what gives way to sets
/// that may `take_over`.
pub fn plan(
    wanted: &[RecordSet],
    found: &Listing,
    managed: &BTreeSet<ManagedRecord>,
    take_over: &BTreeSet<ManagedRecord>,
) -> Plan {
    let mut plan = Plan::default();
    for set in wanted {
        let key = set.key();
        let before = found.sets.get(&key);
        if found.aliases.contains(&set.name) {
            plan.foreign.push(format!("{} CNAME", set.name));
        } else if let Some(foreign) = in_the_way(&key, found, managed, take_over) {
            plan.foreign.push(format!("{} {}", foreign.name, foreign.kind));
        } else {
            plan.managed.insert(key);
            if before.is_none_or(|before| before.set != *set) {
                plan.changes.push(Change::Put { set: set.clone(), before: before.cloned() });
            }
        }
    }
    let names: BTreeSet<ManagedRecord> = wanted.iter().map(RecordSet::key).collect();
    for key in managed.difference(&names) {
        if let Some(before) = found.sets.get(key) {
            plan.changes.push(Change::Delete { before: before.clone() });
        }
    }
    plan.foreign.dedup();
    plan
}

/// The set of somebody else's that keeps one of ours out: the same, or addresses of the other family, as half of a host's
/// clients would be led away.
fn in_the_way(
    key: &ManagedRecord,
    found: &Listing,
    managed: &BTreeSet<ManagedRecord>,
    take_over: &BTreeSet<ManagedRecord>,
) -> Option<ManagedRecord> {
    if managed.contains(key) {
        return None;
    }
    let other = match key.kind {
        RecordKind::A => Some(RecordKind::Aaaa),
        RecordKind::Aaaa => Some(RecordKind::A),
        RecordKind::Txt => None,
    };
    let other = other.map(|kind| ManagedRecord { name: key.name.clone(), kind });
    let foreign = |key: &ManagedRecord| {
        found.sets.contains_key(key) && !take_over.contains(key) && !managed.contains(key)
    };
    [Some(key.clone()), other].into_iter().flatten().find(foreign)
}

/// What to say of records that are somebody else's.
pub(crate) fn about_foreign(foreign: &[String]) -> Option<String> {
    let (first, more) = (foreign.iter().take(NAMED_MAX), foreign.len().saturating_sub(NAMED_MAX));
    let first = first.cloned().collect::<Vec<_>>().join(", ");
    let named = if more == 0 { first } else { format!("{first} and {more} more") };
    (!foreign.is_empty()).then(|| {
        format!(
            "there are records already that the cluster did not make, and left as they are: {named}; \
             delete them, or set the provider to --take-over on, to which those of verified domains \
             give way (those of wildcards, unless they are just as they should be, and aliases have \
             to be deleted)"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Found;
    use proptest::prelude::*;

    fn set(text: &str) -> RecordSet {
        let mut words = text.split(' ');
        let name = words.next().unwrap().to_owned();
        let kind = RecordKind::read(words.next().unwrap()).unwrap();
        RecordSet { name, kind, ttl: 30, values: words.map(str::to_owned).collect() }
    }

    fn sets(lines: &[&str]) -> Vec<RecordSet> {
        lines.iter().map(|line| set(line)).collect()
    }

    fn listing(lines: &[&str]) -> Listing {
        let mut listing = Listing::default();
        for line in lines {
            match line.strip_suffix(" CNAME") {
                Some(name) => drop(listing.aliases.insert(name.to_owned())),
                None => listing.sets.extend([there(&set(line))]),
            }
        }
        listing
    }

    fn there(set: &RecordSet) -> (ManagedRecord, Found) {
        (set.key(), Found::new(set.clone()))
    }

    fn keys(lines: &[&str]) -> BTreeSet<ManagedRecord> {
        lines.iter().map(|line| set(line).key()).collect()
    }

    /// What a provider has after a plan was carried out.
    fn after(found: &Listing, plan: &Plan) -> Vec<RecordSet> {
        let mut sets: Vec<RecordSet> = found.sets.values().map(|one| one.set.clone()).collect();
        for change in &plan.changes {
            match change {
                Change::Put { set, .. } => {
                    sets.retain(|one| one.key() != set.key());
                    sets.push(set.clone());
                }
                Change::Delete { before } => sets.retain(|one| one.key() != before.set.key()),
            }
        }
        sets.sort_by_key(RecordSet::key);
        sets
    }

    #[test]
    fn only_what_differs_and_is_the_clusters_own_is_changed() {
        /// What is wanted, found and managed, whether it takes over; what is there then, and what stood in the way.
        type Case = (
            &'static [&'static str],
            &'static [&'static str],
            &'static [&'static str],
            bool,
            &'static [&'static str],
            &'static [&'static str],
        );
        let cases: [Case; 12] = [
            (&["a A 1 2"], &[], &[], false, &["a A 1 2"], &[]),
            (&["a A 1"], &["a A 1 2"], &["a A"], false, &["a A 1"], &[]),
            (&["a A 1"], &["a A 1"], &["a A"], false, &["a A 1"], &[]),
            (&["a A 1"], &["a A 9"], &[], false, &["a A 9"], &["a A"]),
            (&["a A 1"], &["a A 1"], &[], false, &["a A 1"], &["a A"]),
            (&["a A 1"], &["a A 9"], &[], true, &["a A 1"], &[]),
            (&["a A 1"], &["a CNAME"], &["a A"], true, &[], &["a CNAME"]),
            (&[], &["a A 1", "b A 2"], &["a A", "c A"], true, &["b A 2"], &[]),
            (&["a A 1"], &["a TXT x"], &[], false, &["a A 1", "a TXT x"], &[]),
            (&["a A 1"], &["a AAAA 1"], &[], false, &["a AAAA 1"], &["a AAAA"]),
            (&["a A 1"], &["a A 9", "a AAAA 1"], &["a A"], false, &["a A 1", "a AAAA 1"], &[]),
            (&["a A 1", "a AAAA 1"], &["a CNAME"], &[], false, &[], &["a CNAME"]),
        ];
        for (wanted, found, managed, takes_over, then, foreign) in cases {
            let found = listing(found);
            let wanted = sets(wanted);
            let give_way = wanted.iter().filter(|_| takes_over).map(RecordSet::key).collect();
            let made = plan(&wanted, &found, &keys(managed), &give_way);
            assert_eq!(after(&found, &made), sets(then), "{wanted:?} {found:?}");
            assert_eq!(made.foreign, foreign, "{wanted:?} {found:?}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_named_and_bounded() {
        let foreign: Vec<String> = (0..5).map(|n| format!("n{n} A")).collect();
        assert_eq!(about_foreign(&[]), None);
        let said = about_foreign(&foreign).unwrap();
        assert!(said.contains("n0 A, n1 A, n2 A and 2 more"), "{said}");
    }

    fn some_sets() -> impl Strategy<Value = Vec<RecordSet>> {
        let one = (0..6_u8, 0..3_usize, proptest::collection::btree_set("[1-4]", 1..3));
        proptest::collection::vec(one, 0..10).prop_map(|all| {
            let each = all.into_iter().map(|(name, kind, values)| {
                let kind = RecordKind::ALL[kind];
                RecordSet { name: format!("n{name}"), kind, ttl: 30, values }
            });
            let by_key: BTreeMap<ManagedRecord, RecordSet> = each.map(|s| (s.key(), s)).collect();
            by_key.into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_somebody_elses_stays_and_a_second_plan_does_nothing(
            wanted in some_sets(), found in some_sets(), mine in some_sets(),
        ) {
            let managed: BTreeSet<ManagedRecord> = mine.iter().map(RecordSet::key).collect();
            let sets = found.iter().map(there).collect();
            let listing = Listing { sets, aliases: BTreeSet::new() };
            let made = plan(&wanted, &listing, &managed, &BTreeSet::new());
            let then = after(&listing, &made);
            for set in &found {
                if !managed.contains(&set.key()) {
                    prop_assert!(then.contains(set), "{set:?} was not the cluster's");
                }
            }
            for set in &wanted {
                let alike = |one: &RecordSet| {
                    let are_addresses = [one.kind, set.kind].iter().all(|k| *k != RecordKind::Txt);
                    one.name == set.name && (one.kind == set.kind || are_addresses)
                };
                let foreign = found.iter().any(|one| alike(one) && !managed.contains(&one.key()))
                    && !managed.contains(&set.key());
                prop_assert!(foreign || then.contains(set));
            }
            let sets = then.iter().map(there).collect();
            let again = Listing { sets, aliases: BTreeSet::new() };
            prop_assert!(plan(&wanted, &again, &made.managed, &BTreeSet::new()).changes.is_empty());
        }
    }
}
