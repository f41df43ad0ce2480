//! What happened, in order: a digest of all of it, the end of it for people, and on demand each line as it comes.

use std::collections::VecDeque;
use std::time::Duration;

/// How much of the end is kept.
const KEPT: usize = 150;

/// The events of a run.
#[derive(Debug, Default)]
pub struct Trace {
    digest: u64,
    events: u64,
    end: VecDeque<String>,
    prints: bool,
}

impl Trace {
    /// No events yet. With `prints`, each is printed.
    pub fn new(prints: bool) -> Self {
        Self { prints, ..Self::default() }
    }

    /// Something happened so long after the beginning.
    pub fn note(&mut self, at: Duration, what: &str) {
        let line = format!("{:>10.6} {what}", at.as_secs_f64());
        self.digest = line.bytes().fold(self.digest, |digest, octet| {
            (digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3).rotate_left(5)
        });
        self.events += 1;
        if self.prints {
            println!("{line}");
        }
        if self.end.len() == KEPT {
            self.end.pop_front();
        }
        self.end.push_back(line);
    }

    /// Differs where any event differs.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last ones.
    pub fn end(&self) -> impl Iterator<Item = &String> {
        self.end.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_what_happened_when_and_in_which_order() {
        let digest = |events: &[(u64, &str)]| {
            let mut trace = Trace::new(false);
            events.iter().for_each(|(at, what)| trace.note(Duration::from_millis(*at), what));
            trace.digest()
        };
        let one = digest(&[(1, "a"), (2, "b")]);
        assert_eq!(one, digest(&[(1, "a"), (2, "b")]));
        for other in [&[(1, "a"), (3, "b")][..], &[(1, "b"), (2, "a")], &[(1, "a")], &[]] {
            assert_ne!(one, digest(other));
        }
    }
}
