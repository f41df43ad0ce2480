//! One order of versions, seen from many places: whatever an edge shows after something else must come after it for all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Verdict;
use crate::history::{History, Moment, Operation, Trouble, life};

/// How long after the last fault every edge is to have what was acknowledged.
pub(super) const LAG_MAX: Duration = Duration::from_secs(15);

/// Something that was made the newest version, or may have been.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub version: u64,
    pub by: &'a Operation,
}

/// A version that an edge showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting<'a> {
    pub version: u64,
    pub by: &'a Operation,
    pub at: Moment,
}

/// Why one version comes before another.
type Reason<'a> = [&'a Operation; 2];

/// Judges what was seen of one thing whose versions follow each other. Version 0 is what there was at first.
pub(super) fn judge(
    what: &str,
    changes: &[Change<'_>],
    sightings: &[Sighting<'_>],
    history: &History,
) -> Verdict {
    let troubles = history.troubles();
    for sighting in sightings.iter().filter(|sighting| sighting.version != 0) {
        let made = |change: &&Change<'_>| {
            change.version == sighting.version
                && change.by.may_have_happened()
                && change.by.invoked <= sighting.at
        };
        if !changes.iter().any(|change| made(&change)) {
            let why =
                format!("version {} of {what} was seen, and nobody made it", sighting.version);
            return Verdict::violated(why, [sighting.by]);
        }
    }
    let order = order(changes, sightings, &troubles);
    if let Some(circle) = against_time(&order, changes).or_else(|| cycle(&order)) {
        let why = format!("{what} went back: its versions are in no order that all edges saw");
        return Verdict::violated(why, circle);
    }
    stale(what, changes, sightings, &troubles).unwrap_or(Verdict::Valid)
}

/// Which versions come directly before which, and why.
fn order<'a>(
    changes: &[Change<'a>],
    sightings: &[Sighting<'a>],
    troubles: &[Trouble],
) -> BTreeMap<u64, BTreeMap<u64, Reason<'a>>> {
    let mut order: BTreeMap<u64, BTreeMap<u64, Reason<'a>>> = BTreeMap::new();
    let mut before = |earlier: u64, later: u64, why: Reason<'a>| {
        if earlier != later {
            order.entry(earlier).or_default().entry(later).or_insert(why);
        }
    };
    let mut acknowledged: Vec<_> =
        changes.iter().filter_map(|one| Some((one.by.acknowledged()?, one))).collect();
    acknowledged.sort_by_key(|(at, _)| *at);
    for change in changes.iter().filter(|change| change.by.may_have_happened()) {
        let place = acknowledged.partition_point(|(at, _)| *at < change.by.invoked);
        if let Some((_, last)) = place.checked_sub(1).map(|place| acknowledged[place]) {
            before(last.version, change.version, [last.by, change.by]);
        }
    }
    // A node that starts anew knows at first what its disk does, and gets no visitors that ask whether it is ready.
    let life = |sighting: &Sighting<'_>| {
        let node = sighting.by.node;
        Some((node, life(troubles, node, sighting.by.invoked, sighting.at)?))
    };
    let mut lives: BTreeMap<(usize, usize), Vec<&Sighting<'a>>> = BTreeMap::new();
    for sighting in sightings {
        if let Some(life) = life(sighting) {
            lives.entry(life).or_default().push(sighting);
        }
    }
    for seen in lives.values_mut() {
        let mut by_end = seen.clone();
        by_end.sort_by_key(|sighting| sighting.at);
        seen.sort_by_key(|sighting| sighting.by.invoked);
        for sighting in seen.iter() {
            let place = by_end.partition_point(|other| other.at < sighting.by.invoked);
            if let Some(last) = place.checked_sub(1).map(|place| by_end[place]) {
                before(last.version, sighting.version, [last.by, sighting.by]);
            }
        }
    }
    order
}

/// The shortest circle: two versions that were seen in one order, and acknowledged and asked for in the other.
fn against_time<'a>(
    order: &BTreeMap<u64, BTreeMap<u64, Reason<'a>>>,
    changes: &[Change<'a>],
) -> Option<Vec<&'a Operation>> {
    let by = |version: u64| changes.iter().find(|one| one.version == version).map(|one| one.by);
    order.iter().find_map(|(earlier, later)| {
        later.iter().find_map(|(later, seen)| {
            // What there was at first is older than all.
            let (first, second) = match (by(*later), by(*earlier)) {
                (None, Some(second)) if *later == 0 => (None, second),
                (Some(first), Some(second)) => (Some(first), second),
                _ => return None,
            };
            let is_older = first.is_none_or(|first| first.until() < second.invoked);
            is_older.then(|| first.into_iter().chain([second]).chain(*seen).collect())
        })
    })
}

/// The reasons of a circle; nothing when there is none.
fn cycle<'a>(order: &BTreeMap<u64, BTreeMap<u64, Reason<'a>>>) -> Option<Vec<&'a Operation>> {
    let mut done: BTreeSet<u64> = BTreeSet::new();
    for &start in order.keys() {
        // Each step: a version, and those after it that have not been followed yet.
        let mut path: Vec<(u64, Vec<u64>)> = Vec::new();
        let after = |version: u64| -> Vec<u64> {
            order.get(&version).into_iter().flat_map(|later| later.keys().copied()).collect()
        };
        if !done.contains(&start) {
            path.push((start, after(start)));
        }
        while let Some((version, rest)) = path.last_mut() {
            let Some(next) = rest.pop() else {
                done.insert(*version);
                path.pop();
                continue;
            };
            if let Some(place) = path.iter().position(|(version, _)| *version == next) {
                let mut circle: Vec<u64> = path[place..].iter().map(|(one, _)| *one).collect();
                circle.push(next);
                let reason = |pair: &[u64]| order.get(&pair[0])?.get(&pair[1]).copied();
                return Some(circle.windows(2).filter_map(reason).flatten().collect());
            }
            if !done.contains(&next) {
                path.push((next, after(next)));
            }
        }
    }
    None
}

/// An edge that showed, long after all was well, what had been replaced long before.
fn stale(
    what: &str,
    changes: &[Change<'_>],
    sightings: &[Sighting<'_>],
    troubles: &[Trouble],
) -> Option<Verdict> {
    for sighting in sightings {
        let since = sighting.by.invoked.minus(LAG_MAX);
        let is_calm = |trouble: &Trouble| {
            !trouble.fault.kind.is_felt() || trouble.from > sighting.at || trouble.to < since
        };
        if since == Moment::default() || !troubles.iter().all(is_calm) {
            continue;
        }
        let newest =
            changes.iter().filter(|one| one.by.acknowledged().is_some_and(|at| at < since));
        let Some(newest) = newest.max_by_key(|one| one.by.acknowledged()) else { continue };
        let shown = changes.iter().find(|one| one.version == sighting.version);
        // What was over before the newest began was replaced by it.
        let is_older = shown.is_none_or(|shown| shown.by.until() < newest.by.invoked);
        if is_older && newest.version != sighting.version {
            let why = format!(
                "an edge still showed version {} of {what}, over {LAG_MAX:?} after version {} was acknowledged \
                 and all was well",
                sighting.version, newest.version
            );
            return Some(Verdict::violated(why, [newest.by, sighting.by]));
        }
    }
    None
}
