//! A history, read again.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{Event, History, Moment};

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}; name the history.jsonl of a run, or its folder")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A line is no event.
    #[error("line {line} is no event of a history: {source}")]
    Line {
        /// The number of the line.
        line: usize,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A line cannot be read at all.
    #[error("line {line} cannot be read: {source}")]
    Read {
        /// The number of the line.
        line: usize,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Two things at once of a process that does one after the other.
    #[error(
        "process {proc} asks for something at {at} though it has not ended what it asked for before"
    )]
    Busy {
        /// The process.
        proc: u32,
        /// When.
        at: Moment,
    },
    /// An answer without a question.
    #[error("process {proc} gets an answer at {at} though it has not asked for anything")]
    Unasked {
        /// The process.
        proc: u32,
        /// When.
        at: Moment,
    },
}

/// Reads a history, one event a line. A last line that was broken off is left out: its writer was ended in the middle of it.
///
/// # Errors
/// When a line is no event, or they do not belong together.
pub fn read(lines: impl BufRead) -> Result<History, HistoryError> {
    let mut events: Vec<Event> = Vec::new();
    let mut broken = None;
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.map_err(|source| HistoryError::Read { line: number, source })?;
        if let Some(error) = broken {
            return Err(error);
        }
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&line) {
            Ok(event) => events.push(event),
            Err(source) => broken = Some(HistoryError::Line { line: number, source }),
        }
    }
    // Processes take the time before they write, so that their lines may stand in another order.
    events.sort_by_key(|event| event.at);
    History::of(events)
}

/// Reads a history from its file, or from the folder of its run.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn read_file(path: &Path) -> Result<History, HistoryError> {
    let path = if path.is_dir() { path.join("history.jsonl") } else { path.to_owned() };
    let file = File::open(&path).map_err(|source| HistoryError::File { path, source })?;
    read(BufReader::new(file))
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, FaultKind, Op, Outcome, Process, Setup, Step, What};
    use super::*;

    fn step(proc: u32, op: Op) -> Step {
        Step { proc: Process(proc), node: 1, op, rev: None, err: None }
    }

    fn events() -> Vec<Event> {
        let read = |v| Op::Read { k: "r".into(), v };
        let write = || Op::Write { k: "r".into(), v: 1 };
        let fault = Fault {
            fault: 1,
            kind: FaultKind::KillOne,
            nodes: vec![2],
            err: None,
            replaced: Vec::new(),
        };
        let claim = |id| Op::Claim { k: "n".into(), v: 9, id };
        let all = [
            What::Begin(Setup { seed: 7, nodes: 3, ..Setup::default() }),
            What::Invoke(step(1, read(None))),
            What::Installed(fault.clone()),
            What::Invoke(step(2, write())),
            What::Ok(Step { rev: Some(5), ..step(1, read(Some(0))) }),
            What::Info(Step { err: Some("no answer".into()), ..step(2, write()) }),
            What::Invoke(step(1, claim(None))),
            What::Ok(step(1, claim(Some("prj_1".into())))),
            What::Healed(fault),
            What::Invoke(step(3, Op::ReadMany { k: "g".into(), v: None })),
            What::Ok(step(3, Op::ReadMany { k: "g".into(), v: Some([("a".into(), 3)].into()) })),
            What::End(Default::default()),
        ];
        (0..).zip(all).map(|(at, what)| Event { at: Moment(at), what }).collect()
    }

    fn text(events: &[Event]) -> String {
        events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
    }

    #[test]
    fn a_line_says_who_did_what_when() {
        let lines = text(&events());
        let second = lines.lines().nth(1).unwrap();
        assert_eq!(
            second,
            r#"{"t_ns":1,"type":"invoke","proc":1,"node":1,"f":"read","k":"r","v":null}"#
        );
        let third = lines.lines().nth(2).unwrap();
        assert_eq!(third, r#"{"t_ns":2,"type":"installed","fault":1,"f":"kill-one","nodes":[2]}"#);
    }

    #[test]
    fn what_was_written_is_read() {
        let lines = text(&events());
        let again: Vec<Event> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(again, events());
        let history = read(lines.as_bytes()).unwrap();
        assert_eq!(history, History::of(events()).unwrap());
        assert_eq!(history.operations.len(), 4);
        assert_eq!(history.operations[0].op, Op::Read { k: "r".into(), v: Some(0) });
        assert_eq!(history.operations[0].outcome, Outcome::Ok { at: Moment(4), rev: Some(5) });
        assert!(history.operations[1].may_have_happened());
        let troubles = history.troubles();
        assert_eq!((troubles[0].from, troubles[0].to), (Moment(2), Moment(8)));
    }

    #[test]
    fn a_line_that_was_broken_off_is_left_out_and_no_other_one() {
        let mut lines = text(&events()[..4]);
        lines.push_str(r#"{"t_ns":9,"type":"inv"#);
        assert_eq!(read(lines.as_bytes()).unwrap().operations.len(), 2);
        lines.push('\n');
        lines.push_str(&text(&events()[4..5]));
        assert!(matches!(read(lines.as_bytes()), Err(HistoryError::Line { line: 5, .. })));
    }

    #[test]
    fn whoever_does_not_know_what_came_of_something_does_nothing_more() {
        let mut lines = events()[..6].to_vec();
        lines.push(Event { at: Moment(6), what: events()[3].what.clone() });
        assert!(matches!(History::of(lines), Err(HistoryError::Busy { proc: 2, .. })));
        let unasked = vec![events()[4].clone()];
        assert!(matches!(History::of(unasked), Err(HistoryError::Unasked { proc: 1, .. })));
    }
}
