//! The terminal: prompts, raw mode, its size.

use std::io::{self, IsTerminal, Read};

use dialoguer::{Input, Password};
use rustix::termios::{self, OptionalActions, Termios};

use crate::error::CliError;

/// The most octets of a value that is read from standard input.
pub const STDIN_BYTES_MAX: u64 = 1 << 20;

/// Whether somebody can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line.
pub fn ask(prompt: &str) -> Result<String, CliError> {
    Input::new().with_prompt(prompt).interact_text().map_err(asked)
}

/// Asks for a line that is not shown.
pub fn ask_hidden(prompt: &str) -> Result<String, CliError> {
    Password::new().with_prompt(prompt).interact().map_err(asked)
}

fn asked(error: dialoguer::Error) -> CliError {
    let dialoguer::Error::IO(source) = error;
    CliError::Terminal { act: "ask on the terminal", source }
}

/// All of standard input, without the line break at its end.
pub fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    let read = io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text);
    let octets =
        read.map_err(|source| CliError::Terminal { act: "read standard input", source })?;
    if octets as u64 > STDIN_BYTES_MAX {
        return Err(CliError::usage(
            "standard input is too long",
            format!("at most {STDIN_BYTES_MAX} octets are read"),
            "give it a shorter text",
        ));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// Standard input in raw mode: every key goes to the other side. Dropping it brings the old mode back.
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switches standard input, which must be a terminal.
    pub fn enter() -> Result<Self, CliError> {
        let failed = |error: rustix::io::Errno| CliError::Terminal {
            act: "switch the terminal to raw mode",
            source: error.into(),
        };
        let before = termios::tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal is gone when this fails, and needs no mode.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal on standard output, when it is one.
pub fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col))
}
