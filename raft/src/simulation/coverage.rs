//! What happened how often. A run in which nothing was broken proves nothing.

use std::collections::BTreeMap;

/// What must have happened at least once in a batch, besides acknowledged writes.
pub const REQUIRED: [&str; 23] = [
    "write.ok",
    "write.unknown",
    "write.refused",
    "read.ok",
    "crash",
    "crash.leader",
    "crash.all",
    "crash.ambush",
    "crash.while-writing",
    "lost.octets",
    "lost.rows",
    "replaced",
    "refused.without-log",
    "partition",
    "message.lost",
    "message.twice",
    "message.late",
    "disk.hung",
    "snapshot.built",
    "snapshot.installed",
    "purged",
    "members.changed",
    "leader.changed",
];

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// It happened once more.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// It happened so often more.
    pub fn add(&mut self, what: &str, times: u64) {
        match self.0.get_mut(what) {
            Some(known) => *known += times,
            None => drop(self.0.insert(what.into(), times)),
        }
    }

    /// How often it happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// The counts of two together.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.add(what, *times));
    }

    /// What should have happened and did not.
    pub fn missing(&self) -> Vec<&'static str> {
        REQUIRED.into_iter().filter(|what| self.of(what) == 0).collect()
    }

    /// `name=count` with blanks between them.
    pub fn to_text(&self) -> String {
        let all: Vec<_> = self.0.iter().map(|(what, times)| format!("{what}={times}")).collect();
        all.join(" ")
    }

    /// Reads what [`to_text`](Self::to_text) wrote; passes over what it cannot read.
    pub fn from_text(text: &str) -> Self {
        let counts = text.split_whitespace().filter_map(|count| count.split_once('='));
        let counts = counts.filter_map(|(what, times)| Some((what.into(), times.parse().ok()?)));
        Self(counts.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_come_through_as_text() {
        let mut one = Coverage::default();
        one.count("crash");
        one.add("lost.octets", 7);
        let mut two = Coverage::from_text(&one.to_text());
        assert_eq!(one, two);
        two.merge(&one);
        assert_eq!((two.of("crash"), two.of("lost.octets"), two.of("purged")), (2, 14, 0));
        assert!(two.missing().contains(&"purged") && !two.missing().contains(&"crash"));
        assert_eq!(Coverage::from_text("x y=z =3 a=1").of("a"), 1);
    }
}
