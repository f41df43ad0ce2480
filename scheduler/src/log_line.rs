//! One line of a replica's log.

use bollard::container::LogOutput;
use jiff::Timestamp;
use serde::Serialize;
use temps_state::ReplicaId;

/// How many octets of a line are handed on; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;

/// One line of a replica's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaLine {
    /// When it was written.
    pub at: Timestamp,
    /// By which replica.
    pub replica: ReplicaId,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The text, without its line end.
    pub text: String,
}

impl ReplicaLine {
    /// Reads what the engine sends when it is asked for times: `2026-01-02T03:04:05.123456789Z text`.
    pub fn read(replica: ReplicaId, output: &LogOutput) -> Option<Self> {
        let stream = if matches!(output, LogOutput::StdErr { .. }) { "stderr" } else { "stdout" };
        let whole = String::from_utf8_lossy(output.as_ref());
        let (at, text) =
            whole.trim_end_matches(['\r', '\n']).split_once(' ').unwrap_or((&whole, ""));
        let at = at.trim_end().parse().ok()?;
        let end = text.floor_char_boundary(LOG_LINE_BYTES_MAX);
        Some(Self { at, replica, stream, text: text[..end].to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn a_line_is_read_with_its_time() {
        let replica = ReplicaId::from_parts(1, 1);
        let read = |text: &'static str| {
            ReplicaLine::read(replica, &LogOutput::StdErr { message: text.into() })
        };
        let line = read("2026-01-02T03:04:05.123456789Z hello  world \n").expect("a line");
        assert_eq!((line.text.as_str(), line.stream), ("hello  world ", "stderr"));
        assert_eq!(line.at.to_string(), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(read("2026-01-02T03:04:05Z \n").expect("an empty line").text, "");
        assert_eq!(read("2026-01-02T03:04:05Z\n").expect("an empty line").text, "");
        assert_eq!(read("no time"), None);
    }
}
