//! What was available, where the gaps were, and what was done to the cluster.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::history::{FaultKind, History, What};

use super::figures::{Figures, Latency, Share};
use super::svg::{clock, escape, lasted};
use super::thousands;

pub(super) fn write(page: &mut String, history: &History, figures: &Figures) {
    page.push_str("<div class=\"columns\">\n");
    availability(page, figures);
    gaps(page, figures);
    faults(page, history);
    operations(page, figures);
    page.push_str("</div>\n");
}

/// A table with these heads.
fn open(page: &mut String, title: &str, heads: &[&str]) {
    let _ = write!(page, "<section><h2>{title}</h2>\n<div class=\"wide\"><table>\n<tr>");
    for head in heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>\n");
}

fn row(page: &mut String, cells: &[String]) {
    page.push_str("<tr>");
    for cell in cells {
        let _ = write!(page, "<td>{}</td>", escape(cell));
    }
    page.push_str("</tr>\n");
}

fn close(page: &mut String, note: &str) {
    let note =
        if note.is_empty() { String::new() } else { format!("<p class=\"small\">{note}</p>") };
    let _ = writeln!(page, "</table></div>{note}</section>");
}

fn availability(page: &mut String, figures: &Figures) {
    open(
        page,
        "What each node answered",
        &["node", "while it lived", "API", "edge", "asked", "led for"],
    );
    for (node, of) in &figures.nodes {
        let led: Duration = of.leads.iter().map(|(from, to)| to.since(*from)).sum();
        let cells = [
            format!("n{node}"),
            of.alive.percent(),
            of.api.percent(),
            of.visits.percent(),
            thousands(of.api.all() + of.visits.all()),
            lasted(led),
        ];
        row(page, &cells);
    }
    close(
        page,
        "A node that is dead, stands still or cannot be reached by clients answers nobody, and is asked all the same: only the first \
         number leaves that out.",
    );
}

fn gaps(page: &mut String, figures: &Figures) {
    open(page, "Longest times without a change", &["at", "for", "during"]);
    for gap in &figures.gaps {
        let during: Vec<&str> = gap.during.iter().map(|kind| kind.name()).collect();
        row(page, &[clock(gap.from), lasted(gap.lasted()), during.join(", ")]);
    }
    let Latency { p50, p99, max } = figures.troubled;
    let note = format!(
        "While something was broken, half of the answers took less than {}, 99 of 100 less \
         than {}, the slowest {}.",
        lasted(p50),
        lasted(p99),
        lasted(max)
    );
    close(page, &note);
}

fn faults(page: &mut String, history: &History) {
    let mut kinds: BTreeMap<FaultKind, (usize, Duration)> = BTreeMap::new();
    for trouble in history.troubles() {
        let of = kinds.entry(trouble.fault.kind).or_default();
        *of = (of.0 + 1, of.1 + trouble.to.since(trouble.from));
    }
    open(page, "What was done to it", &["fault", "times", "in all"]);
    for (kind, (times, time)) in kinds {
        row(page, &[kind.meaning().into(), times.to_string(), lasted(time)]);
    }
    let skipped = history.faults.iter().filter_map(|(_, what)| match what {
        What::Skipped(fault) => Some(fault),
        _ => None,
    });
    let skipped: Vec<String> = skipped
        .map(|fault| {
            let why = fault.err.as_deref().unwrap_or("no reason");
            escape(&format!("{}: {why}", fault.kind)).into_owned()
        })
        .collect();
    let note = match skipped.is_empty() {
        true => String::new(),
        false => format!("Not made: {}.", skipped.join("; ")),
    };
    close(page, &note);
}

fn operations(page: &mut String, figures: &Figures) {
    open(page, "What clients did", &["operation", "done", "refused", "failed", "unknown"]);
    for (kind, Share { acknowledged, refused, failed, unknown }) in &figures.kinds {
        let counts = [acknowledged, refused, failed, unknown].map(|count| thousands(*count));
        row(page, &[&[(*kind).to_owned()], &counts[..]].concat());
    }
    close(
        page,
        "Refused: the register held something else, or somebody had the name. A change that got no answer in time is unknown: it may take effect later, or never, and the judges try both.",
    );
}
