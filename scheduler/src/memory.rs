//! What a node remembers of its replicas between two rounds; lost when the process ends, and found out again.

use jiff::{SignedDuration, Timestamp};
use temps_state::{Failure, FailureCode};

use crate::backoff::restart_delay;

/// How a replica's last run went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// How many runs in a row ended early or did not begin.
    pub failures: u32,
    /// When the current run began, if this process began it.
    pub started: Option<Timestamp>,
    /// How the last one ended; `None` while it runs, and as long as nobody has asked why it ended.
    pub ended: Option<Ended>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When it was noticed.
    pub at: Timestamp,
    /// Why.
    pub failure: Failure,
}

impl Memory {
    /// Takes note of a start.
    pub fn start(&mut self, at: Timestamp) {
        self.started = Some(at);
        self.ended = None;
    }

    /// Takes note of an end. A run that lasted clears the failures before it.
    pub fn fail(&mut self, at: Timestamp, failure: Failure) {
        let lasted = self.started.take().is_some_and(|began| at.duration_since(began) >= RUN_LASTS);
        self.failures = if lasted { 1 } else { self.failures.saturating_add(1) };
        self.ended = Some(Ended { at, failure });
    }

    /// When the next start is due; `None` when nothing has ended.
    pub fn start_due(&self) -> Option<Timestamp> {
        let ended = self.ended.as_ref()?;
        ended.at.checked_add(restart_delay(self.failures)).ok()
    }

    /// Why the engine was not there, when it has been missed as often as it may be.
    pub fn engine_failure(&self) -> Option<&Failure> {
        let failure = &self.ended.as_ref().filter(|_| !self.may_recover())?.failure;
        Some(failure).filter(|_| self.misses_engine())
    }

    /// Whether it was for want of an engine that the last run ended or did not begin.
    pub fn misses_engine(&self) -> bool {
        let code = self.ended.as_ref().map(|ended| ended.failure.code);
        code == Some(FailureCode::EngineUnavailable)
    }

    /// Whether a further try may help a deployment that has never been live: what ended once may have been unlucky, and
    /// an engine may come back.
    pub fn may_recover(&self) -> bool {
        self.ended.as_ref().is_none_or(|ended| match ended.failure.code {
            FailureCode::Exited => self.failures < START_ATTEMPTS,
            FailureCode::EngineUnavailable => self.failures < ENGINE_ATTEMPTS,
            _ => false,
        })
    }
}

/// After how long a run's end is no longer counted together with those before.
pub const RUN_LASTS: SignedDuration = SignedDuration::from_secs(60);
/// How often a new version may end by itself before it counts as broken.
pub const START_ATTEMPTS: u32 = 2;
/// How often the engine may be away when a new version starts before that counts as a failure.
pub const ENGINE_ATTEMPTS: u32 = 5;
