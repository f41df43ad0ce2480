//! A lane for each node: who led, which part of what it was asked was done, and what was broken.

use std::fmt::Write;

use crate::history::{FaultKind, History, Moment, Place};

use super::figures::{Figures, NodeFigures};
use super::svg::{Axis, CLOSE, clock, escape, lasted, open};

/// How high a lane is.
const LANE: f64 = 44.0;
/// Where in it are who led, what was done, and what was broken.
const LEAD: f64 = 0.0;
const DONE: f64 = 6.0;
const FAULTS: f64 = 21.0;
/// How high a fault is, and how many may stand below each other.
const FAULT: f64 = 8.0;
const FAULTS_MAX: usize = 2;

/// The colour of a fault.
const fn class(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::KillOne
        | FaultKind::KillLeader
        | FaultKind::KillAll
        | FaultKind::KillInSnapshot
        | FaultKind::PowerOff
        | FaultKind::Replace
        | FaultKind::ReplaceCutOff => "death",
        FaultKind::PauseOne
        | FaultKind::PauseLeader
        | FaultKind::PauseEngine
        | FaultKind::KillEngine => "pause",
        FaultKind::Drain | FaultKind::Upgrade => "drain",
        FaultKind::SyncOnce
        | FaultKind::SyncAlways
        | FaultKind::DiskFull
        | FaultKind::LostWrites
        | FaultKind::TornWrites
        | FaultKind::BitFlip
        | FaultKind::Truncation => "disk",
        FaultKind::Halves
        | FaultKind::LeaderAlone
        | FaultKind::Ring
        | FaultKind::OneWay
        | FaultKind::ClientSide
        | FaultKind::Loss
        | FaultKind::Delay
        | FaultKind::Duplication
        | FaultKind::Reorder => "links",
        FaultKind::ClockAhead | FaultKind::ClockBehind => "clock",
        FaultKind::AuthorityAway | FaultKind::AuthorityHangs | FaultKind::AuthorityFails => {
            "authority"
        }
    }
}

pub(super) fn write(page: &mut String, history: &History, figures: &Figures) {
    let axis = Axis::of(history.last);
    let height = LANE * figures.nodes.len() as f64;
    page.push_str("<h3>Nodes</h3>\n");
    page.push_str(&open(height, "What was broken at which node, and what it did meanwhile"));
    page.push_str(&axis.ticks(height));
    for (lane, (node, of)) in figures.nodes.iter().enumerate() {
        let y = lane as f64 * LANE;
        let _ =
            writeln!(page, "<text class=\"label\" x=\"0\" y=\"{:.0}\">n{node}</text>", y + 17.0);
        leads(page, &axis, y, of);
        done(page, &axis, y, figures, of);
        faults(page, &axis, y, history, *node);
    }
    page.push_str(CLOSE);
    page.push_str(
        "<p class=\"legend\"><i class=\"lead\"></i>leads <i class=\"full\"></i>all that it was asked was answered \
         <i class=\"none\"></i>nothing was <i class=\"death\"></i>dead or without power <i class=\"pause\"></i>stands \
         still <i class=\"links\"></i>links cut or bad <i class=\"drain\"></i>drained \
         <i class=\"disk\"></i>its disk fails <i class=\"clock\"></i>its clock is wrong \
         <i class=\"authority\"></i>no certificate authority</p>\n",
    );
}

fn rect(page: &mut String, axis: &Axis, class: &str, span: (Moment, Moment), y: f64, height: f64) {
    let (from, to) = (axis.x(span.0), axis.x(span.1));
    let width = (to - from).max(1.5);
    let _ = write!(
        page,
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.0}\""
    );
}

fn leads(page: &mut String, axis: &Axis, y: f64, of: &NodeFigures) {
    for span in &of.leads {
        rect(page, axis, "lead", *span, y + LEAD, 3.0);
        page.push_str("/>\n");
    }
}

fn done(page: &mut String, axis: &Axis, y: f64, figures: &Figures, of: &NodeFigures) {
    let at = |column: usize| Moment(Moment::after(figures.column).0.saturating_mul(column as u64));
    for (column, share) in of.columns.iter().enumerate() {
        let Some(part) = share.part() else { continue };
        let class = if part > 0.999 { "full" } else { "none" };
        rect(page, axis, class, (at(column), at(column + 1)), y + DONE, 12.0);
        // The worse, the redder.
        let _ = match class {
            "full" => write!(page, "/>"),
            _ => write!(page, " style=\"fill-opacity:{:.2}\">", 0.25 + 0.75 * (1.0 - part)),
        };
        if class == "none" {
            let _ = write!(
                page,
                "<title>{}: {} of {} answered</title></rect>",
                clock(at(column)),
                share.answered(),
                share.all()
            );
        }
    }
    page.push('\n');
}

fn faults(page: &mut String, axis: &Axis, y: f64, history: &History, node: usize) {
    // When each row is free again.
    let mut rows = [Moment::default(); FAULTS_MAX];
    for trouble in history.troubles().iter().filter(|one| one.fault.nodes.contains(&node)) {
        let row = rows.iter().position(|free| *free <= trouble.from).unwrap_or(FAULTS_MAX - 1);
        rows[row] = trouble.to;
        let kind = trouble.fault.kind;
        let top = y + FAULTS + row as f64 * (FAULT + 1.0);
        rect(page, axis, class(kind), (trouble.from, trouble.to), top, FAULT);
        let _ = writeln!(
            page,
            " rx=\"2\"><title>{} to {}: {} ({})</title></rect>",
            clock(trouble.from),
            clock(trouble.to),
            escape(kind.meaning()),
            lasted(trouble.to.since(trouble.from))
        );
    }
}

/// Faint bands behind a chart, where something was broken.
pub(super) fn bands(page: &mut String, axis: &Axis, history: &History, height: f64) {
    for trouble in history.troubles() {
        let is_engine = trouble.fault.kind.place() == Place::Engine;
        let class = if is_engine { "band engine" } else { "band" };
        rect(page, axis, class, (trouble.from, trouble.to), 0.0, height);
        page.push_str("/>\n");
    }
}
