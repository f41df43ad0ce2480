//! The process that removes the ground when nobody wants it any more, however its owner ended.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use crate::GroundError;
use crate::script::Script;

/// Holds the standard input of `cluster.sh guard`, which removes the ground once that is closed. The kernel closes it
/// when this process ends, whether it returned, panicked, or was killed.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts it before there is anything to remove.
    ///
    /// # Errors
    /// When the script cannot be run.
    pub fn start(script: &Script) -> Result<Self, GroundError> {
        let mut command = script.command(&["guard"]);
        // A group of its own, so that a Ctrl-C or a time limit meant for the test does not end the guard too.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let process = command
            .spawn()
            .map_err(|source| GroundError::Script { command: "guard".into(), source })?;
        Ok(Self { process })
    }

    /// Removes the ground; returns when every trace is gone. Nothing to do the second time.
    ///
    /// # Errors
    /// When something could not be removed.
    pub fn release(&mut self) -> Result<(), GroundError> {
        drop(self.process.stdin.take());
        let failed = |output: String| GroundError::ScriptFailed { command: "guard".into(), output };
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(status.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Whoever cares about the outcome has called `release`; the script has said on stderr what failed.
        let _ = self.release();
    }
}
