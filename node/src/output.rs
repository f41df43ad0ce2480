//! What goes to standard output and standard error, and how it looks there.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::error::{Advice, CliError};
use crate::view::Failure;

/// Data goes to standard output, everything said about it to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Whether to print what REST answers instead of tables.
    pub json: bool,
    /// Whether standard error is a terminal: bars and spinners may move there.
    pub terminal: bool,
    /// Whether standard error may be coloured.
    pub colour: bool,
}

impl Output {
    /// The output of this process. `NO_COLOR` with any value keeps colours away (no-color.org).
    pub fn of_process(json: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, terminal, colour: terminal && !no_colour }
    }

    /// Prints an answer: as it is with `--json`, for people otherwise.
    pub fn answer(&self, value: &Value, people: impl FnOnce() -> String) -> Result<(), CliError> {
        self.try_answer(value, || Ok(people()))
    }

    /// Prints an answer that may not be what people can be shown.
    pub fn try_answer(
        &self,
        value: &Value,
        people: impl FnOnce() -> Result<String, CliError>,
    ) -> Result<(), CliError> {
        match (self.json, value) {
            (false, _) => self.data(&people()?),
            // REST answers some changes with nothing at all.
            (true, Value::Null) => Ok(()),
            (true, value) => self.data(&format!("{value:#}")),
        }
    }

    /// One line of data on standard output.
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(closed)
    }

    /// One line on standard error.
    pub fn note(&self, text: &str) {
        // Nobody can be told that standard error is gone.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Something that people should know though it is no failure.
    pub fn warn(&self, text: &str) {
        self.note(&format!("{} {text}", self.paint(YELLOW, "warning:")));
    }

    /// Text that stands back.
    pub fn dim(&self, text: &str) -> String {
        self.paint(DIM, text)
    }

    /// A failure: what, why, what next; with `--json` a problem document on standard error. `help` is what to try where
    /// the error does not know.
    pub fn failure(&self, error: &CliError, help: &str) {
        if matches!(error, CliError::OutputClosed) {
            return;
        }
        if self.json {
            return self.note(&error.json().to_string());
        }
        let Advice { what, why, next } = error.advice();
        self.note(&format!("{} {what}", self.paint(RED, "error:")));
        self.note_unless_empty("why", &why);
        if let CliError::DeployFailed { deployment, live } = error {
            self.log_tail(deployment.failure.as_ref());
            self.note(&kept(*live));
        }
        self.note_unless_empty("try", if next.is_empty() { help } else { &next });
    }

    fn note_unless_empty(&self, label: &str, text: &str) {
        if !text.is_empty() {
            self.note(&format!("  {label}: {text}"));
        }
    }

    fn log_tail(&self, failure: Option<&Failure>) {
        let lines = failure.map(|failure| failure.log_tail.as_slice()).unwrap_or_default();
        if !lines.is_empty() {
            self.note("  last log lines:");
        }
        for line in lines {
            self.note(&format!("    {}", self.dim(line)));
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.into() }
    }
}

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

fn kept(live: Option<u64>) -> String {
    match live {
        Some(number) => format!("  kept: deployment {number} is live and keeps serving"),
        None => "  kept: nothing was live before, so nothing is served".into(),
    }
}

fn closed(source: io::Error) -> CliError {
    match source.kind() {
        io::ErrorKind::BrokenPipe => CliError::OutputClosed,
        _ => CliError::Terminal { act: "write to standard output", source },
    }
}
