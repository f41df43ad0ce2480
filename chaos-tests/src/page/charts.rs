//! Operations a second, and how long answers took.

use std::fmt::Write;
use std::time::Duration;

use crate::history::{History, Moment};

use super::figures::{Figures, Latency, Share};
use super::lanes::bands;
use super::svg::{Axis, CLOSE, LEFT, WIDTH, lasted, open};

/// How high a chart is.
const HEIGHT: f64 = 130.0;
/// What answers take, from the bottom to the top.
const QUICKEST: f64 = 0.001;
const SLOWEST: f64 = 10.0;

pub(super) fn write(page: &mut String, history: &History, figures: &Figures) {
    let axis = Axis::of(history.last);
    page.push_str("<h3>Operations a second at the API</h3>\n");
    rates(page, &axis, history, figures, &figures.rates);
    page.push_str(
        "<p class=\"legend\"><i class=\"full\"></i>answered <i class=\"failed\"></i>not done \
         <i class=\"unknown\"></i>nobody knows <i class=\"band\"></i>something was broken</p>\n",
    );
    if figures.visits.iter().any(|share| share.all() > 0) {
        page.push_str("<h3>Visits a second at the edges</h3>\n");
        rates(page, &axis, history, figures, &figures.visits);
    }
    page.push_str("<h3>How long the API took to answer</h3>\n");
    latencies(page, &axis, history, figures);
    page.push_str(
        "<p class=\"legend\"><i class=\"p50\"></i>half were quicker <i class=\"p99\"></i>99 of 100 were quicker \
         <i class=\"max\"></i>the slowest</p>\n",
    );
}

/// The begin of a column.
fn begin(figures: &Figures, column: usize) -> Moment {
    Moment(Moment::after(figures.column).0.saturating_mul(column as u64))
}

fn scale(page: &mut String, y: f64, label: &str) {
    let _ = writeln!(
        page,
        "<line class=\"grid\" x1=\"{LEFT:.0}\" x2=\"{WIDTH:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
        LEFT - 6.0,
        y + 4.0
    );
}

fn rates(page: &mut String, axis: &Axis, history: &History, figures: &Figures, of: &[Share]) {
    let seconds = figures.column.as_secs_f64();
    let top = of.iter().map(Share::all).max().unwrap_or_default().max(1) as f64 / seconds;
    page.push_str(&open(HEIGHT, "Operations a second"));
    bands(page, axis, history, HEIGHT);
    page.push_str(&axis.ticks(HEIGHT));
    for part in [0.5, 1.0] {
        scale(page, HEIGHT * (1.0 - part), &format!("{:.0}", top * part));
    }
    for (column, share) in of.iter().enumerate() {
        let (from, to) = (axis.x(begin(figures, column)), axis.x(begin(figures, column + 1)));
        let width = (to - from - 0.6).max(0.8);
        let mut bottom = HEIGHT;
        for (class, count) in
            [("full", share.answered()), ("failed", share.failed), ("unknown", share.unknown)]
        {
            if count == 0 {
                continue;
            }
            let height = count as f64 / seconds / top * HEIGHT;
            bottom -= height;
            let _ = write!(
                page,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{bottom:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
        }
    }
    page.push('\n');
    page.push_str(CLOSE);
}

/// Where a time is, on a scale on which ten times as long is always as far up.
fn height(time: Duration) -> f64 {
    let seconds = time.as_secs_f64().clamp(QUICKEST, SLOWEST);
    HEIGHT * (1.0 - (seconds / QUICKEST).log10() / (SLOWEST / QUICKEST).log10())
}

fn latencies(page: &mut String, axis: &Axis, history: &History, figures: &Figures) {
    page.push_str(&open(HEIGHT, "How long answers took"));
    bands(page, axis, history, HEIGHT);
    page.push_str(&axis.ticks(HEIGHT));
    for millis in [1, 10, 100, 1_000, 10_000] {
        let time = Duration::from_millis(millis);
        let label =
            if millis < 1000 { format!("{millis} ms") } else { format!("{} s", millis / 1000) };
        scale(page, height(time), &label);
    }
    for (class, of) in [("p99", (|one| one.p99) as fn(Latency) -> Duration), ("p50", |one| one.p50)]
    {
        line(page, axis, figures, class, of);
    }
    for (column, latency) in figures.latencies.iter().enumerate() {
        let Some(latency) = latency else { continue };
        let middle = begin(figures, column).plus(figures.column / 2);
        let _ = write!(
            page,
            "<circle class=\"max\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.8\"><title>{}</title></circle>",
            axis.x(middle),
            height(latency.max),
            lasted(latency.max)
        );
    }
    page.push('\n');
    page.push_str(CLOSE);
}

/// A line that is broken where nothing was answered.
fn line(
    page: &mut String,
    axis: &Axis,
    figures: &Figures,
    class: &str,
    of: fn(Latency) -> Duration,
) {
    let mut path = String::new();
    let mut is_down = false;
    for (column, latency) in figures.latencies.iter().enumerate() {
        let Some(latency) = latency else {
            is_down = false;
            continue;
        };
        let step = if is_down { 'L' } else { 'M' };
        let middle = begin(figures, column).plus(figures.column / 2);
        let _ = write!(path, "{step}{:.1} {:.1}", axis.x(middle), height(of(*latency)));
        is_down = true;
    }
    let _ = writeln!(page, "<path class=\"{class}\" d=\"{path}\"/>");
}
