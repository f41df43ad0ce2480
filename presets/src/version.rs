//! Which of the offered base image versions satisfies a requirement, read at the precision of base image tags.

/// A line of versions that base images are tagged by.
pub(crate) struct Line {
    /// The version taken when it satisfies the requirement.
    pub(crate) default: u32,
    /// The others, best first.
    pub(crate) offered: &'static [u32],
    /// Which number of a version counts: the first of Node's 22.1.0, the second of Python's 3.12.1.
    pub(crate) component: usize,
}

impl Line {
    /// The version to take for a requirement such as `>=18`, `^20.1 || 22.x` or `>=3.9,<3.13`.
    pub(crate) fn choose(&self, requirement: &str) -> u32 {
        let fits = |version: &u32| self.satisfies(requirement, *version);
        let mut candidates = std::iter::once(&self.default).chain(self.offered);
        candidates.find(|version| fits(version)).copied().unwrap_or(self.default)
    }

    fn satisfies(&self, requirement: &str, version: u32) -> bool {
        requirement.split("||").any(|all| {
            let spaced = match all.split_once(" - ") {
                Some((from, to)) => format!(">={} <={}", from.trim(), to.trim()),
                None => all.replace(',', " "),
            };
            comparators(&spaced).iter().all(|comparator| self.holds(comparator, version))
        })
    }

    /// Whether one comparator holds; one that says nothing about this number does.
    fn holds(&self, comparator: &str, version: u32) -> bool {
        let digits = comparator.find(|c: char| c.is_ascii_digit()).unwrap_or(comparator.len());
        let (operator, number) = comparator.split_at(digits);
        let numbers: Vec<&str> = number.split('.').collect();
        let Some(wanted) = numbers.get(self.component).and_then(|n| leading_number(n)) else {
            return true;
        };
        let rest_is_zero =
            numbers[self.component + 1..].iter().all(|n| leading_number(n).unwrap_or(0) == 0);
        match operator.trim().trim_end_matches('v') {
            ">=" => version >= wanted,
            ">" => version > wanted || (version == wanted && !rest_is_zero),
            "<" => version < wanted || (version == wanted && !rest_is_zero),
            "<=" => version <= wanted,
            "!=" => version != wanted,
            // PEP 440: `~=3.10` lets the last number it names grow.
            "~=" if self.component + 1 == numbers.len() => version >= wanted,
            "^" if self.component > 0 => version >= wanted,
            _ => version == wanted,
        }
    }
}

/// Comparators, each with its operator: `>= 18 <21` is two.
fn comparators(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match found.last_mut() {
            Some(last) if !last.contains(|c: char| c.is_ascii_digit()) => last.push_str(word),
            _ => found.push(word.to_owned()),
        }
    }
    found
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Line;

    const NODE: Line = Line { default: 22, offered: &[24, 20, 18], component: 0 };
    const PYTHON: Line = Line { default: 12, offered: &[14, 13, 11, 10, 9], component: 1 };

    #[test]
    fn the_default_is_taken_where_it_will_do() {
        for (requirement, expect) in [
            ("", 22),
            ("*", 22),
            (">=18", 22),
            (">= 18.17.0", 22),
            ("18.x || >=20", 22),
            ("18", 18),
            ("v20.11.1", 20),
            ("^20.0.0", 20),
            ("20.x", 20),
            (">=16 <21", 20),
            ("18 - 20", 20),
            (">22", 24),
            (">=24", 24),
            ("~18.19", 18),
            ("latest", 22),
            ("14", 22),
        ] {
            assert_eq!(NODE.choose(requirement), expect, "{requirement}");
        }
        for (requirement, expect) in [
            (">=3.9", 12),
            ("^3.8", 12),
            (">=3.9,<3.12", 11),
            ("==3.11.*", 11),
            ("3.13.1", 13),
            ("~=3.10", 12),
            ("~=3.10.2", 10),
            (">=3.13", 14),
            ("<4.0,>=3.8", 12),
            ("<4", 12),
        ] {
            assert_eq!(PYTHON.choose(requirement), expect, "{requirement}");
        }
    }
}
