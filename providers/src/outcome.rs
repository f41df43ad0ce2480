//! What came of changes.

use std::collections::BTreeSet;

use temps_state::ManagedRecord;

use crate::error::Scope;
use crate::{Change, ProviderError};

/// Why changes that were sent together were not made.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ProviderError,
    /// Whether some of it may have been made all the same.
    pub(crate) halfway: bool,
}

impl AsRef<ProviderError> for Failure {
    fn as_ref(&self) -> &ProviderError {
        &self.error
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        use ProviderError::{Failing, Garbled, Unreachable};
        let halfway = matches!(error, Unreachable { .. } | Failing { .. } | Garbled { .. });
        Self { error, halfway }
    }
}

/// What came of changes.
#[derive(Debug, Default)]
#[must_use]
pub struct Outcome {
    /// The sets whose changes were certainly not made.
    pub unmade: BTreeSet<ManagedRecord>,
    /// Those of which nobody knows.
    pub unclear: BTreeSet<ManagedRecord>,
    /// What went wrong: what ended it, or else the first refusal.
    pub error: Option<ProviderError>,
}

impl Outcome {
    /// Whether all was made.
    pub fn result(self) -> Result<(), ProviderError> {
        self.error.map_or(Ok(()), Err)
    }

    /// Whether the zone's next request would fare no better.
    pub(crate) fn is_final(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.scope() > Scope::Change)
    }

    /// Notes what came of some.
    pub(crate) fn note(&mut self, changes: &[Change], sent: Result<(), Failure>) {
        let Err(Failure { error, halfway }) = sent else { return };
        match halfway {
            true => self.unclear.extend(changes.iter().map(Change::key)),
            false => self.skip(changes),
        }
        if self.error.is_none() || error.scope() > Scope::Change {
            self.error = Some(error);
        }
    }

    /// Notes that some were not tried.
    pub(crate) fn skip(&mut self, changes: &[Change]) {
        self.unmade.extend(changes.iter().map(Change::key));
    }
}
