//! Why a round at an account ended before its time.

use std::collections::BTreeMap;

use temps_raft::ProposeError;
use temps_state::{DomainName, SealError};

use crate::ProviderError;
use crate::error::Scope;

/// How many zones a message says something of.
const NAMED_MAX: usize = 3;

/// Why a round at an account ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("{}", about_zones(.troubles))]
    Zones {
        troubles: BTreeMap<DomainName, ProviderError>,
        /// Whether the account has no other zones.
        all: bool,
    },
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
        match self {
            Self::Zones { .. } => false,
            Self::Provider(error) => error.scope() == Scope::Account,
            _ => true,
        }
    }

    /// Whether nothing was answered that can be worked with, and soon may be. Where other zones are in step, they would be
    /// looked at again and again.
    pub(crate) fn is_silence(&self) -> bool {
        use ProviderError::{Failing, Unreachable};
        let silent = |error: &ProviderError| matches!(error, Unreachable { .. } | Failing { .. });
        match self {
            Self::Provider(error) => silent(error),
            Self::Zones { troubles, all } => *all && troubles.values().all(silent),
            _ => false,
        }
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

/// What went wrong in zones.
fn about_zones(troubles: &BTreeMap<DomainName, ProviderError>) -> String {
    let named = troubles.iter().take(NAMED_MAX).map(|(zone, error)| format!("{zone}: {error}"));
    let named = named.collect::<Vec<_>>().join("; ");
    match troubles.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named}; and something of {more} more zones"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_named() {
        for (zones, told) in [
            (1, "z0.example: the provider has no answer: why"),
            (2, "why; z1.example: the provider has no answer: why"),
            (5, "z2.example: the provider has no answer: why; and something of 2 more zones"),
        ] {
            let error = || ProviderError::Failing { why: "why".into() };
            let zone = |at| (format!("z{at}.example").parse().unwrap(), error());
            let troubles = (0..zones).map(zone).collect();
            let text = KeepError::Zones { troubles, all: false }.to_string();
            assert!(text.ends_with(told), "{text}");
        }
    }
}
