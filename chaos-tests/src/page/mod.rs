//! A run as one page for people: what was broken when, what clients got meanwhile, and whether what is promised was kept.
//! Pure: a history and its findings in, HTML out. It needs nothing beside it, and no network.

mod charts;
mod figures;
mod lanes;
mod svg;
mod tables;
mod verdicts;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use crate::check::{Finding, Verdict, counted};
use crate::history::History;

use figures::Figures;
use svg::{escape, lasted};

const STYLE: &str = include_str!("style.css");

/// What a run came to, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every promise was kept, and enough was looked at.
    Kept,
    /// A promise was broken, or too little happened.
    Broken,
    /// It cannot be said.
    Open,
}

impl Outcome {
    /// Of all findings.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let any = |is: fn(&Verdict) -> bool| findings.iter().any(|finding| is(&finding.verdict));
        if any(|verdict| matches!(verdict, Verdict::Violated { .. })) {
            Self::Broken
        } else if findings.is_empty() || any(|verdict| matches!(verdict, Verdict::Unknown { .. })) {
            Self::Open
        } else {
            Self::Kept
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::Open => "open",
        }
    }
}

/// The page.
#[must_use]
pub fn render(history: &History, findings: &[Finding]) -> String {
    let figures = Figures::of(history);
    let outcome = Outcome::of(findings);
    let mut page = String::new();
    let seed = history.setup.seed;
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Temps under fault: seed {seed}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    head(&mut page, history, findings, outcome);
    tiles(&mut page, history, &figures);
    verdicts::write(&mut page, findings);
    page.push_str("<section><h2>What happened when</h2>\n");
    lanes::write(&mut page, history, &figures);
    charts::write(&mut page, history, &figures);
    page.push_str("</section>\n");
    tables::write(&mut page, history, &figures);
    again(&mut page, history);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, history: &History, findings: &[Finding], outcome: Outcome) {
    let setup = &history.setup;
    let bad = |is: fn(&Verdict) -> bool| findings.iter().filter(|one| is(&one.verdict)).count();
    let violated = bad(|verdict| matches!(verdict, Verdict::Violated { .. }));
    let (mark, title) = match outcome {
        Outcome::Kept => ("✓", format!("All {} promises were kept", findings.len())),
        Outcome::Broken if violated == 1 => ("✗", "A promise was not kept".to_owned()),
        Outcome::Broken => ("✗", format!("{violated} promises were not kept")),
        Outcome::Open => ("?", "It cannot be said whether all promises were kept".into()),
    };
    let interrupted = history.ending.as_ref().is_some_and(|ending| ending.interrupted);
    let early = if interrupted { ", ended early by hand" } else { "" };
    let _ = writeln!(
        page,
        "<header class=\"{}\"><p class=\"kicker\">Temps under fault</p>\n<h1><span class=\"mark\">{mark}</span>{}</h1>\n\
         <p class=\"lead\">A cluster of {} nodes, {}{early}, on {}. Clients asked all nodes all the time while machines, \
         processes and links failed; everything that they saw was written down, and judged afterwards by algorithm.</p></header>",
        outcome.class(),
        escape(&title),
        setup.nodes,
        lasted(history.last.since_begin()),
        escape(if setup.began.is_empty() { "an unknown day" } else { &setup.began }),
    );
}

/// The few numbers that matter most.
fn tiles(page: &mut String, history: &History, figures: &Figures) {
    let faults = history.troubles();
    let kinds: BTreeSet<_> = faults.iter().map(|trouble| trouble.fault.kind).collect();
    let longest = figures.gaps.first().map_or("none".into(), |gap| lasted(gap.lasted()));
    let converged = history.ending.as_ref().and_then(|ending| ending.converged_ms);
    let whole = converged.map_or("never".into(), |ms| lasted(Duration::from_millis(ms)));
    let tiles = [
        (thousands(figures.total.acknowledged), "operations acknowledged"),
        (faults.len().to_string(), &*format!("faults, of {}", counted(kinds.len(), "kind"))),
        (figures.alive.percent(), "answered, of what living nodes were asked"),
        (longest, "longest time without an acknowledged change"),
        (lasted(figures.calm.p50), "median answer while all was well"),
        (lasted(figures.calm.p99), "99 of 100 answers while all was well"),
        (figures.elections.to_string(), "changes of the lead"),
        (whole, "until all was whole after the last fault"),
    ];
    page.push_str("<div class=\"tiles\">");
    for (value, what) in tiles {
        let value = escape(&value);
        let _ = writeln!(page, "<div class=\"tile\"><b>{value}</b><span>{what}</span></div>");
    }
    page.push_str("</div>\n");
}

/// How to see it again.
fn again(page: &mut String, history: &History) {
    let setup = &history.setup;
    let binary: String = setup.binary.chars().take(12).collect();
    let faults: Vec<&str> = setup.faults.iter().map(|kind| kind.name()).collect();
    let _ = write!(
        page,
        "<section><h2>See it again</h2>\n<dl class=\"facts\"><dt>Seed</dt><dd>{}</dd><dt>Version</dt><dd>{}</dd>\
         <dt>Binary</dt><dd>{}</dd><dt>Faults chosen</dt><dd>{}</dd><dt>Workloads</dt><dd>{}</dd></dl>\n\
         <pre>temps-chaos check history.jsonl      # judges this history again\n\
         temps-chaos replay --seed {} --nodes {} --minutes {}   # the same faults and operations again</pre></section>\n",
        setup.seed,
        escape(&setup.version),
        escape(&binary),
        escape(&faults.join(", ")),
        escape(&setup.workloads.join(", ")),
        setup.seed,
        setup.nodes,
        setup.seconds as f64 / 60.0,
    );
}

/// 1234567 as 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Demands, judge};
    use crate::history::{
        EdgeSight, Ending, Event, Fault, FaultKind, Moment, Op, Process, Setup, Sight, Step, What,
    };

    /// A minute with a death in it, and text that is no HTML.
    fn history() -> History {
        let at = |ms: u64| Moment::after(Duration::from_millis(ms));
        let mut events = Vec::new();
        let setup = Setup {
            seed: 7,
            nodes: 3,
            seconds: 60,
            version: "<b>0.1.0</b>".into(),
            faults: vec![FaultKind::KillLeader],
            ..Setup::default()
        };
        events.push(Event { at: at(0), what: What::Begin(setup) });
        let fault = Fault {
            fault: 1,
            kind: FaultKind::KillLeader,
            nodes: vec![2],
            err: None,
            replaced: Vec::new(),
        };
        for (proc, ms) in (0..).zip((0..60_000).step_by(40)) {
            let node = (proc as usize % 3) + 1;
            let op = Op::Write { k: "r".into(), v: u64::from(proc) + 1 };
            let step = Step { proc: Process(proc), node, op, rev: None, err: None };
            events.push(Event { at: at(ms), what: What::Invoke(step.clone()) });
            let is_dead = (20_000..30_000).contains(&ms) && node == 2;
            let what = match is_dead {
                true => What::Fail(Step { err: Some("refused & gone".into()), ..step }),
                false => What::Ok(step),
            };
            events.push(Event { at: at(ms + 3), what });
            if ms == 20_000 {
                events.push(Event { at: at(ms), what: What::Installed(fault.clone()) });
            }
            let leader = if ms < 20_000 { 2 } else { 3 };
            let sight = EdgeSight {
                node,
                leader: Some(leader),
                leader_id: Some(leader as u64),
                term: leader as u64,
                applied: u64::from(proc),
                edge: 0,
            };
            if !is_dead {
                events.push(Event { at: at(ms + 4), what: What::Sight(Sight::Node(sight)) });
            }
        }
        events.push(Event { at: at(30_000), what: What::Healed(fault) });
        let ending = Ending { converged_ms: Some(1234), ..Ending::default() };
        events.push(Event { at: at(61_000), what: What::End(ending) });
        events.sort_by_key(|event| event.at);
        History::of(events).unwrap()
    }

    /// Every tag that is opened is closed, in the right order.
    fn assert_nested(page: &str) {
        const EMPTY: [&str; 3] = ["meta", "br", "!doctype"];
        let mut open: Vec<&str> = Vec::new();
        let body = page.replace(STYLE, "");
        for tag in body.split('<').skip(1) {
            let inside = tag.split('>').next().unwrap();
            let name = inside.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap();
            if inside.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{inside}");
            } else if !inside.ends_with('/') && !EMPTY.contains(&name) {
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0]);
    }

    #[test]
    fn a_page_tells_all_and_needs_nothing() {
        let history = history();
        let findings = judge(&history, &Demands::of(&history));
        let page = render(&history, &findings);
        if let Some(path) = std::env::var_os("TEMPS_PAGE") {
            std::fs::write(path, &page).unwrap();
        }
        assert_nested(&page);
        for needed in
            ["kill -9 of the leader", "All ", "1,4", "prefers-color-scheme", "viewport", "seed 7"]
        {
            assert!(page.contains(needed), "{needed}");
        }
        assert!(page.contains("&lt;b&gt;0.1.0") && !page.contains("<b>0.1.0"));
        for foreign in ["http://", "https://", "url(", "@import", "<script", "src="] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(foreign), "{foreign}");
        }
        assert_eq!(page, render(&history, &findings), "the same history gives the same page");
    }

    #[test]
    fn a_violation_is_shown_with_its_evidence() {
        let mut history = history();
        let Some(write) = history.operations.last().cloned() else { unreachable!() };
        let op = Op::Read { k: "r".into(), v: Some(1) };
        let invoked = history.last.plus(Duration::from_secs(1));
        let outcome = crate::history::Outcome::Ok { at: invoked, rev: None };
        history.operations.push(crate::history::Operation { op, invoked, outcome, ..write });
        let findings = judge(&history, &Demands::of(&history));
        assert_eq!(Outcome::of(&findings), Outcome::Broken);
        let page = render(&history, &findings);
        assert_nested(&page);
        assert!(page.contains("A promise was not kept") && page.contains("read r = 1"));
    }

    #[test]
    fn an_empty_history_has_a_page_too() {
        let history = History::default();
        let page = render(&history, &judge(&history, &Demands::of(&history)));
        assert_nested(&page);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(["7", "1,000", "12,345,678"], [7, 1000, 12_345_678].map(thousands)[..]);
    }
}
