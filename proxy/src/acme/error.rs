//! Why a certificate could not be had.

use std::error::Error;
use std::time::Duration;

use instant_acme::{Error as CaError, Problem};
use jiff::Timestamp;
use temps_certificates::CertificateError;
use temps_raft::ProposeError;
use temps_state::SealError;

use super::due::wait_after;

/// How long an order waits where the next try begins better: with a fresh nonce, or a new account.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often in a row it is that short.
const QUICK_TRIES: u32 = 3;

/// How long the first wait is for the DNS to lead to the cluster, and the longest: only the cluster looks until then.
const LOOK_AGAIN_FIRST: Duration = Duration::from_secs(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5 * 60);

/// Why a certificate could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    /// The authority cannot be spoken to.
    #[error("the certificate authority at {directory} does not answer: {}", in_full(source))]
    Unreachable {
        /// Its directory.
        directory: String,
        /// What happened.
        source: CaError,
    },
    /// It refused, and may not another time.
    #[error("the certificate authority asks to wait: {problem}")]
    Later {
        /// Its words.
        problem: Problem,
        /// For how long, if it said.
        wait: Option<Duration>,
    },
    /// It refused what could be sent again at once, more often than that was.
    #[error("the certificate authority took none of several nonces that it gave")]
    Nonces,
    /// It refused.
    #[error("the certificate authority refused: {0}")]
    Refused(Problem),
    /// It wants an account that is bound to one that somebody has with it.
    #[error(
        "the certificate authority wants an account there, and to be shown its key (external account \
         binding): `temps settings set acme.eab_key_id=ID acme.eab_key=@FILE` takes what it gives you"
    )]
    Unbound,
    /// It does not know the account any more.
    #[error("the certificate authority does not know the cluster's account any more")]
    AccountGone,
    /// It looked and did not find what it should.
    #[error("the certificate authority looked at {host} and did not find the cluster: {why}")]
    NotFound {
        /// Where it looked.
        host: String,
        /// Its words.
        why: String,
    },
    /// It gave the order up without a word.
    #[error("the certificate authority gave up the order {url} and does not say why")]
    GivenUp {
        /// The order there.
        url: String,
    },
    /// Whoever asks the DNS where an authority would look does not find the cluster.
    #[error(
        "an authority would look for {at} in the DNS, and nobody finds the cluster there: {next}"
    )]
    NotLed {
        /// Where it would look.
        at: String,
        /// What to do.
        next: String,
    },
    /// It offers no way of looking that edges can answer.
    #[error("the certificate authority offers no challenge that an edge can answer")]
    NoChallenge,
    /// Its own limits would be exceeded.
    #[error("{0}")]
    Limited(super::ledger::Limited),
    /// Some edges are not ready to be looked at.
    #[error("the edges of nodes {0} do not show the challenge yet")]
    EdgesBehind(String),
    /// What it gave is no certificate for this key.
    #[error("the certificate authority gave what cannot be used: {0}")]
    Unusable(#[from] CertificateError),
    /// What was kept of the attempt cannot be read.
    #[error("what was kept of the last attempt cannot be read: {0}")]
    Kept(String),
    /// The cluster could not keep a step.
    #[error("the cluster could not keep a step: {0}")]
    Keep(#[from] ProposeError),
    /// A secret could not be sealed or opened.
    #[error("a secret could not be sealed or opened: {0}")]
    Seal(#[from] SealError),
    /// The settings name no authority that can be used.
    #[error("acme.root in the settings is no certificate in PEM: {0}")]
    Root(#[source] reqwest::Error),
    /// It took too long.
    #[error("the certificate authority took longer than {0:?}")]
    Timeout(Duration),
}

/// What an authority's answer means for an attempt (RFC 8555 §6.7).
pub(crate) fn of_authority(error: CaError, directory: &str, wait: Option<Duration>) -> AcmeError {
    match error {
        CaError::Api(problem) => of_problem(problem, wait),
        source => AcmeError::Unreachable { directory: directory.into(), source },
    }
}

fn of_problem(problem: Problem, wait: Option<Duration>) -> AcmeError {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    match kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind) {
        "badNonce" => AcmeError::Nonces,
        "rateLimited" | "serverInternal" => AcmeError::Later { problem, wait },
        "externalAccountRequired" => AcmeError::Unbound,
        "accountDoesNotExist" => AcmeError::AccountGone,
        _ if problem.status.is_some_and(|status| status >= 500) => {
            AcmeError::Later { problem, wait }
        }
        _ => AcmeError::Refused(problem),
    }
}

/// An error with its causes: the last one says what to mend.
fn in_full(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", in_full(cause)),
        None => error.to_string(),
    }
}

impl AcmeError {
    /// Whether the attempt is over, and the next one begins anew.
    pub(crate) fn ends_attempt(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Unbound
                | Self::AccountGone
                | Self::NotFound { .. }
                | Self::GivenUp { .. }
                | Self::NoChallenge
                | Self::Unusable(_)
                | Self::Kept(_)
                | Self::Seal(_)
        )
    }

    /// When the next try may begin, after so many failures in a row.
    pub(crate) fn retry_at(&self, failures: u32, now: Timestamp) -> Timestamp {
        let wait = match self {
            Self::Limited(limited) => return limited.until,
            Self::Nonces | Self::AccountGone if failures < QUICK_TRIES => RETRY_PAUSE,
            Self::NotLed { .. } => {
                LOOK_AGAIN_FIRST.saturating_mul(1 << failures.min(8)).min(LOOK_AGAIN_MAX)
            }
            Self::Later { wait, .. } => wait_after(failures, *wait),
            _ => wait_after(failures, None),
        };
        now.checked_add(wait).unwrap_or(now)
    }
}
