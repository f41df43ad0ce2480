//! Why a round at an account ended before its time.

use temps_raft::ProposeError;
use temps_state::SealError;

use crate::ProviderError;

/// Why a round at an account ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the credentials cannot be opened: {0}")]
    Sealed(#[from] SealError),
    #[error("the credentials that are kept cannot be read")]
    Kept(#[source] serde_json::Error),
    #[error("the cluster cannot be told which records are its own: {0}")]
    Propose(#[from] ProposeError),
    #[error("somebody else works on the records")]
    Overtaken,
}

impl KeepError {
    /// Whether all of the account's records are concerned.
    pub(crate) fn is_of_all(&self) -> bool {
        !matches!(self, Self::Provider(error) if !error.ends_round())
    }

    /// Whether it is the cluster that was busy, and nobody need hear of it.
    pub(crate) fn passes(&self) -> bool {
        use ProposeError::{Rejected, TooLarge};
        match self {
            Self::Overtaken => true,
            Self::Propose(error) => !matches!(error, Rejected(_) | TooLarge { .. }),
            _ => false,
        }
    }
}
