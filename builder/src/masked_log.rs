//! The log of one build, with the values of its variables kept out.

use std::collections::BTreeSet;
use std::time::Instant;

use temps_state::DeploymentId;

use crate::{BuildLogs, LogLine};

/// Shorter values are not masked: they are rarely secrets, and masking `true` or `3000` makes a log unreadable.
pub const MASKED_CHARS_MIN: usize = 6;
/// What stands in a line for a masked value.
pub const MASK: &str = "•••";

/// Writes the lines of one build.
#[derive(Clone)]
pub(crate) struct MaskedLog {
    /// Where its lines go; `None` drops them.
    to: Option<(BuildLogs, DeploymentId)>,
    mask: Mask,
}

impl MaskedLog {
    pub(crate) fn new(logs: BuildLogs, deployment: DeploymentId, mask: Mask) -> Self {
        Self { to: Some((logs, deployment)), mask }
    }

    /// For work that is no build: nobody reads what it writes.
    pub(crate) fn silent() -> Self {
        Self { to: None, mask: Mask::default() }
    }

    /// Writes a text, which may have several lines.
    pub(crate) fn write(&self, step: &str, text: &str) {
        let Some((logs, deployment)) = &self.to else { return };
        for line in text.lines() {
            let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
            logs.append(*deployment, LogLine::new(step, self.mask.apply(line)));
        }
    }

    /// Writes how long a step took.
    pub(crate) fn done(&self, step: &str, since: Instant) {
        self.write(step, &format!("done in {:.1} s", since.elapsed().as_secs_f64()));
    }

    /// What it keeps out.
    pub(crate) fn mask(&self) -> Mask {
        self.mask.clone()
    }
}

/// The texts to keep out of a log, longest first, so that a value inside another leaves no rest of it.
#[derive(Clone, Default)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Masks each line of each value.
    pub(crate) fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = values.into_iter().flat_map(str::lines).map(str::trim);
        let texts: BTreeSet<&str> =
            lines.filter(|line| line.chars().count() >= MASKED_CHARS_MIN).collect();
        let mut texts: Vec<String> = texts.into_iter().map(String::from).collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts)
    }

    pub(crate) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_and_short_ones_are_not() {
        let mask = Mask::of(["hunter22", "hunter22-more", "true", "line one\nline two"]);
        assert_eq!(mask.apply("a hunter22-more b hunter22 c"), "a ••• b ••• c");
        assert_eq!(mask.apply("true line two"), "true •••");
        assert_eq!(Mask::default().apply("as it is"), "as it is");
    }
}
