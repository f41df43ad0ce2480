//! Why a provider did not do what it was asked for.

use std::time::Duration;

/// The most of a provider's own words that is kept, in characters.
const SAID_CHARS_MAX: usize = 300;

/// Why a provider did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is no provider of this kind.
    #[error("`{0}` is no DNS provider that Temps speaks to: use one of {kinds}", kinds = crate::KINDS.join(", "))]
    Kind(String),
    /// The credentials or the endpoint cannot be used as they are.
    #[error("the credentials cannot be used: {0}")]
    Credentials(String),
    /// The provider does not let the cluster in, or not so far.
    #[error("the provider does not accept the credentials: {said}")]
    Unauthorized {
        /// Its words.
        said: String,
        /// Whether it said so before it was asked for any zone.
        everywhere: bool,
    },
    /// The account has no such zone.
    #[error("the account has no zone {zone}, or may not see it")]
    ZoneUnknown {
        /// The zone.
        zone: String,
    },
    /// The provider is asked too often.
    #[error("the provider asks to wait: it is asked too often")]
    Limited {
        /// For how long, if it said.
        wait: Option<Duration>,
    },
    /// It does one thing after the other, and something else is under way there.
    #[error("the provider asks to wait: something else is under way there")]
    Locked,
    /// It cannot be asked.
    #[error("the provider does not answer: {why}")]
    Unreachable {
        /// What happened.
        why: String,
    },
    /// It was asked, and has no answer.
    #[error("the provider has no answer: {why}")]
    Failing {
        /// What happened.
        why: String,
    },
    /// The provider does not do that.
    #[error("the provider refuses: {said}")]
    Refused {
        /// Its words.
        said: String,
    },
    /// An answer came that is none.
    #[error("the provider's answer cannot be read: {why}")]
    Garbled {
        /// What is wrong with it.
        why: String,
    },
}

/// What else fares no better where something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Nothing else.
    Change,
    /// The rest of the zone.
    Zone,
    /// Every zone of the account.
    Account,
}

impl AsRef<Self> for ProviderError {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl ProviderError {
    pub(crate) fn unreachable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unreachable { why: in_full(error) }
    }

    pub(crate) fn failing(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failing { why: in_full(error) }
    }

    pub(crate) fn garbled(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Garbled { why: bounded(&in_full(error)) }
    }

    pub(crate) fn refused(said: &str) -> Self {
        Self::Refused { said: bounded(said) }
    }

    pub(crate) fn unauthorized(said: &str) -> Self {
        Self::Unauthorized { said: bounded(said), everywhere: false }
    }

    /// What else fares no better. Who is refused at one zone may have rights at another, and a server may serve one and
    /// fail at another.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Limited { .. }
            | Self::Unreachable { .. }
            | Self::Unauthorized { everywhere: true, .. } => Scope::Account,
            Self::Unauthorized { .. } | Self::Failing { .. } | Self::ZoneUnknown { .. } => {
                Scope::Zone
            }
            Self::Kind(_)
            | Self::Credentials(_)
            | Self::Refused { .. }
            | Self::Locked
            | Self::Garbled { .. } => Scope::Change,
        }
    }
}

/// The beginning of a text that somebody else wrote, on one line.
pub(crate) fn bounded(said: &str) -> String {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match said.is_empty() {
        true => "it does not say why".into(),
        false => said.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect(),
    }
}

/// An error with what caused it.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
