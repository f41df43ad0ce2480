//! Times as people read them.

use jiff::Timestamp;

/// How long ago a time was, in its largest unit: `12s ago`, `3h ago`, `in 5d`.
pub fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    match seconds {
        0 => "now".into(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        _ => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// A time that may be missing.
pub fn ago_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), |at| ago(Timestamp::now(), at))
}

/// Seconds in their largest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Reads `90s`, `10m`, `2h` or `7d`; plain digits are seconds.
pub fn read_span(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// The time that `--since` names: a time (RFC 3339), or a span before now.
pub fn since(now: Timestamp, text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let seconds = i64::try_from(read_span(text)?).ok()?;
    Timestamp::from_second(now.as_second().checked_sub(seconds)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ages_use_their_largest_unit() {
        let now = at(1_000_000);
        let table = [(0, "now"), (1, "1s ago"), (59, "59s ago"), (61, "1m ago"), (7_200, "2h ago")];
        for (gone, text) in table {
            assert_eq!(ago(now, at(1_000_000 - gone)), text);
        }
        assert_eq!(ago(now, at(1_000_000 + 3 * 86_400)), "in 3d");
    }

    #[test]
    fn spans_are_read_with_their_unit() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400)]
        {
            assert_eq!(read_span(text), Some(seconds));
        }
        for bad in ["", "m", "10x", "-1m", "1.5h", "99999999999999999999d"] {
            assert_eq!(read_span(bad), None, "{bad}");
        }
    }

    #[test]
    fn since_takes_a_span_or_a_time() {
        assert_eq!(since(at(1_000), "10m"), Some(at(400)));
        assert_eq!(since(at(1_000), "1970-01-01T00:00:07Z"), Some(at(7)));
        assert_eq!(since(at(1_000), "yesterday"), None);
    }
}
