//! The steps of something that takes a while, with their timings: a spinner on a terminal, one line per step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Shows steps on standard error, one after the other.
pub struct Steps {
    output: Output,
    current: Option<Step>,
    /// Names already shown as done.
    done: Vec<String>,
    /// When the last step ended: the next one began then, even if it is named later.
    since: Instant,
}

struct Step {
    name: String,
    began: Instant,
    bar: ProgressBar,
}

impl Steps {
    /// No step yet.
    pub fn new(output: Output) -> Self {
        Self { output, current: None, done: Vec::new(), since: Instant::now() }
    }

    /// Begins a step, which ends the one before. The current one, or one that is over, is not begun again.
    pub fn enter(&mut self, name: &str) {
        if self.done.iter().any(|done| done == name) || self.is_in(name) {
            return;
        }
        self.finish();
        let bar = spinner(&self.output, name);
        self.current = Some(Step { name: name.into(), began: self.since, bar });
    }

    /// Whether a step of that name is under way.
    pub fn is_in(&self, name: &str) -> bool {
        self.current.as_ref().is_some_and(|step| step.name == name)
    }

    /// Ends the current step well.
    pub fn finish(&mut self) {
        if let Some(step) = self.end("ok", "✔") {
            self.done.push(step);
        }
    }

    /// Ends the current step badly.
    pub fn fail(&mut self) {
        self.end("failed", "✘");
    }

    /// What the current step waits for.
    pub fn wait_for(&self, what: &str) {
        match &self.current {
            Some(step) if self.output.terminal => {
                step.bar.set_message(format!("{} (waiting: {what})", step.name));
            }
            _ => self.output.note(&format!("  {}", self.output.dim(&format!("waiting: {what}")))),
        }
    }

    /// A line of a log, above the spinner.
    pub fn line(&self, text: &str) {
        let text = self.output.dim(text);
        match &self.current {
            Some(step) if self.output.terminal => step.bar.println(format!("  {text}")),
            _ => self.output.note(&format!("  {text}")),
        }
    }

    fn end(&mut self, word: &str, mark: &str) -> Option<String> {
        let Step { name, began, bar } = self.current.take()?;
        bar.finish_and_clear();
        self.since = Instant::now();
        let sign = if self.output.terminal { mark } else { word };
        self.output.note(&format!("{sign} {name} {:.1}s", began.elapsed().as_secs_f64()));
        Some(name)
    }
}

fn spinner(output: &Output, name: &str) -> ProgressBar {
    if !output.terminal {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let bar = ProgressBar::new_spinner()
        .with_style(style.expect("the template is a constant"))
        .with_message(name.to_string());
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar for octets on their way; nothing moves where standard error is no terminal.
pub fn byte_bar(output: &Output, name: &str, bytes: u64) -> ProgressBar {
    let target =
        if output.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let template = "  {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    ProgressBar::with_draw_target(Some(bytes), target)
        .with_style(style)
        .with_message(name.to_string())
}
