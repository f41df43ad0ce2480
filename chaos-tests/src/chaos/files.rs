//! What a run leaves: its history, its page, its verdicts, and the nodes' logs.

use std::fs;
use std::path::Path;

use super::{ChaosError, Field};
use crate::check::{Demands, Finding, Verdict, judge};
use crate::history::{History, read_file};
use crate::page::{Outcome, render};

/// What a panic looks like in a node's log.
const PANIC: &str = "panicked at";
/// Panics that are kept.
const PANICS_MAX: usize = 10;

/// Judges a history and writes its page and verdicts beside it.
///
/// # Errors
/// When it cannot be read, or they cannot be written.
pub fn conclude(folder: &Path) -> Result<(History, Vec<Finding>), ChaosError> {
    let history = read_file(folder)?;
    let findings = judge(&history, &Demands::of(&history));
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| ChaosError::File { path, source })
    };
    write("report.html", render(&history, &findings))?;
    let verdicts = serde_json::to_string_pretty(&findings).unwrap_or_default();
    write("verdicts.json", verdicts + "\n")?;
    Ok((history, findings))
}

/// Findings as lines of text, and what they come to.
#[must_use]
pub fn conclusion(findings: &[Finding]) -> (String, Outcome) {
    let mut text = String::new();
    for Finding { name, looked_at, verdict, .. } in findings {
        match verdict {
            Verdict::Valid => text.push_str(&format!("  valid     {name}: {looked_at}\n")),
            Verdict::Unknown { why } => text.push_str(&format!("  UNKNOWN   {name}: {why}\n")),
            Verdict::Violated { why, evidence } => {
                text.push_str(&format!("  VIOLATED  {name}: {why}\n"));
                for event in evidence {
                    let to = event.to.map_or("never".into(), |to| to.to_string());
                    text.push_str(&format!("            {} to {to}: {}\n", event.from, event.what));
                }
            }
        }
    }
    let outcome = Outcome::of(findings);
    let summary = match outcome {
        Outcome::Kept => "all promises were kept",
        Outcome::Broken => "a promise was not kept",
        Outcome::Open => "it cannot be said whether all promises were kept",
    };
    (format!("{text}{summary}"), outcome)
}

/// Keeps the nodes' logs, and gives the panics in them.
pub(super) fn keep_logs(field: &Field, folder: &Path) -> Vec<String> {
    let mut panics = Vec::new();
    for node in field.ground.nodes() {
        let log = fs::read(node.folder().join("node.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let found = text.lines().filter(|line| line.contains(PANIC));
        panics.extend(found.map(|line| format!("{}: {line}", node.name())));
        // Without them a run is judged all the same.
        let _ = fs::write(folder.join(format!("{}.log", node.name())), &log);
    }
    panics.truncate(PANICS_MAX);
    panics
}
