//! SIGTERM and SIGINT: the first asks the node to end, the second ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use crate::error::Exit;

/// Both signals, caught from now on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals. Needs a runtime.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next signal, when it comes.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Lets the next signal end the process on the spot.
    pub fn exit_at_next(mut self) {
        tokio::spawn(async move {
            let signal = self.next().await;
            warn!(signal, "ended at once by a second signal");
            std::process::exit(Exit::Failed as i32);
        });
    }
}
