//! Small helpers of drawings and texts.

use std::borrow::Cow;
use std::time::Duration;

use crate::history::Moment;

/// How wide every drawing is.
pub(super) const WIDTH: f64 = 1000.0;
/// Where its labels end and time begins.
pub(super) const LEFT: f64 = 46.0;
/// The most ticks of an axis.
const TICKS_MAX: u64 = 10;
/// How far ticks may be apart, in seconds.
const STEPS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];

/// Text that is only text.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(text.replace('"', "&quot;"))
}

/// A time span, as people say it.
pub(super) fn lasted(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.000_5 => format!("{} µs", time.as_micros()),
        _ if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        _ => format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// A moment, as a clock that begins with the run.
pub(super) fn clock(at: Moment) -> String {
    let seconds = at.since_begin().as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Time from left to right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    length: Moment,
}

impl Axis {
    pub fn of(length: Moment) -> Self {
        Self { length: Moment(length.0.max(1)) }
    }

    /// Where a moment is.
    pub fn x(&self, at: Moment) -> f64 {
        let share = at.0.min(self.length.0) as f64 / self.length.0 as f64;
        LEFT + share * (WIDTH - LEFT)
    }

    /// Lines of round times with what they are, down to this height.
    pub fn ticks(&self, height: f64) -> String {
        let seconds = self.length.since_begin().as_secs();
        let step = STEPS.into_iter().find(|step| seconds / step <= TICKS_MAX);
        let step = step.unwrap_or_else(|| seconds.div_ceil(TICKS_MAX));
        let mut text = String::new();
        for tick in (0..=seconds).step_by(usize::try_from(step.max(1)).unwrap_or(1)) {
            let at = Moment::after(Duration::from_secs(tick));
            let (x, label, y) = (self.x(at), clock(at), height + 14.0);
            text.push_str(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height:.0}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{y:.0}\" text-anchor=\"middle\">{label}</text>\n"
            ));
        }
        text
    }
}

/// The beginning of a drawing of this height, with room for the axis below.
pub(super) fn open(height: f64, label: &str) -> String {
    let whole = height + 20.0;
    format!(
        "<div class=\"drawing\"><svg viewBox=\"0 -6 {} {}\" role=\"img\" aria-label=\"{}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n",
        WIDTH + 14.0,
        whole + 6.0,
        escape(label)
    )
}

/// Its end.
pub(super) const CLOSE: &str = "</svg></div>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_do() {
        let said = [17, 3_400, 250_000, 1_234_000, 42_000_000, 184_000_000];
        let said = said.map(|micros| lasted(Duration::from_micros(micros)));
        assert_eq!(said, ["17 µs", "3.4 ms", "250 ms", "1.2 s", "42 s", "3 min 04 s"]);
    }

    #[test]
    fn an_axis_has_few_round_ticks() {
        for seconds in [1, 59, 90, 180, 3600, 90_000] {
            let axis = Axis::of(Moment::after(Duration::from_secs(seconds)));
            let ticks = axis.ticks(10.0).matches("<line").count();
            assert!((2..=12).contains(&ticks), "{seconds}: {ticks}");
        }
    }
}
