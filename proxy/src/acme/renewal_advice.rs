//! Asks authorities when their certificates are to be renewed (RFC 9773). The node that leads asks for all.

use std::collections::BTreeMap;
use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, Error as CaError, RenewalInfo};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use temps_raft::{Applied, Cluster};
use temps_state::{Certificate, CertificateId, Command, RenewalAdvice, State};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::account::Accounts;
use super::authority::Authority;
use super::error::{AcmeError, of_authority};

/// How often it is looked whose advice is due when nothing else happens.
const TICK: Duration = Duration::from_secs(30);
/// How soon an authority is asked again about a certificate at the soonest and at the latest, whatever it says
/// (RFC 9773 §4.3.2).
const AGAIN_MIN: Duration = Duration::from_secs(60);
const AGAIN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon after it did not answer, or has no advice to give.
const AGAIN_AFTER_ERROR: Duration = Duration::from_secs(6 * 60 * 60);

/// How many certificates are asked about in a row; others wait for the next time.
const AT_ONCE: usize = 100;

/// When it is asked again about each certificate.
type Asked = BTreeMap<CertificateId, Timestamp>;

/// Keeps what authorities advise, for as long as the node runs; asks only while it leads.
pub async fn keep_renewal_advice(cluster: Cluster, cancel: CancellationToken) {
    let (leading, mut changes) = (cluster.leading(), cluster.watch());
    let mut asked = Asked::new();
    loop {
        let state = changes.borrow_and_update().clone();
        if !*leading.borrow() {
            asked.clear();
        } else {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = ask(&cluster, &state, &mut asked) => {}
            }
        }
        let others = |newer: &Applied| !newer.certificates.ptr_eq(&state.certificates);
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = changes.wait_for(|newer| others(newer)) => if changed.is_err() { return },
            () = sleep(TICK) => {}
        }
    }
}

/// Asks about the certificates whose time has come, as many as are asked about at once.
async fn ask(cluster: &Cluster, state: &Applied, asked: &mut Asked) {
    asked.retain(|id, _| state.certificates.contains_key(id));
    let due: Vec<&Certificate> = due(state, asked, Timestamp::now()).take(AT_ONCE).collect();
    if due.is_empty() {
        return;
    }
    // Whatever happens, not at once again.
    asked.extend(due.iter().map(|one| (one.id, after(AGAIN_AFTER_ERROR))));
    if let Err(error) = ask_about(due, cluster, state, asked).await {
        info!(%error, "the certificate authority could not be asked when to renew");
    }
}

async fn ask_about(
    due: Vec<&Certificate>,
    cluster: &Cluster,
    state: &Applied,
    asked: &mut Asked,
) -> Result<(), AcmeError> {
    let settings = state.settings().acme;
    let authority = Authority::new(&settings)?;
    let accounts = Accounts { cluster, settings: &settings, authority: &authority };
    let Some(account) = accounts.opened().await? else { return Ok(()) };
    for certificate in due {
        match advice(&account, certificate).await {
            Ok((advice, again)) => {
                asked.insert(certificate.id, after(again.clamp(AGAIN_MIN, AGAIN_MAX)));
                keep(cluster, certificate, advice).await;
            }
            Err(CaError::Unsupported(_)) => return Ok(()),
            Err(error) if concerns_all(&error) => {
                return Err(of_authority(error, &settings.directory, None));
            }
            Err(error) => debug!(id = %certificate.id, %error, "no advice about a certificate"),
        }
    }
    Ok(())
}

/// Whether an authority would say the same of the next certificate: it does not answer, or asks to wait.
fn concerns_all(error: &CaError) -> bool {
    match error {
        CaError::Api(problem) => {
            problem.status.is_some_and(|status| status == 429 || status >= 500)
        }
        CaError::Str(_) | CaError::Json(_) => false,
        _ => true,
    }
}

/// The certificates that the authority is to be asked about now. Pure.
fn due<'a>(
    state: &'a State,
    asked: &Asked,
    now: Timestamp,
) -> impl Iterator<Item = &'a Certificate> {
    let settings = state.settings().acme;
    state.certificates.values().filter(move |one| {
        settings.enabled
            && one.is_issued_by(&settings.directory)
            && one.is_valid(now)
            && asked.get(&one.id).is_none_or(|at| *at <= now)
    })
}

async fn advice(
    account: &Account,
    certificate: &Certificate,
) -> Result<(Option<RenewalAdvice>, Duration), CaError> {
    let Some(id) = identifier(certificate) else { return Ok((None, AGAIN_MAX)) };
    let (info, again) = account.renewal_info(&id).await?;
    Ok((read(info), again))
}

/// What an authority knows a certificate by (RFC 9773 §4.1); none where it does not say who signed it.
pub(super) fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let der = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).ok()?;
    CertificateIdentifier::try_from(&der).ok().map(CertificateIdentifier::into_owned)
}

/// Advice that makes sense; windows that end before they begin do not.
fn read(RenewalInfo { suggested_window, explanation_url }: RenewalInfo) -> Option<RenewalAdvice> {
    let [start, end] = [suggested_window.start, suggested_window.end]
        .map(|at| Timestamp::from_second(at.unix_timestamp()).ok());
    let (start, end) = (start?, end?);
    (start < end).then_some(RenewalAdvice { start, end, explanation: explanation_url })
}

async fn keep(cluster: &Cluster, certificate: &Certificate, advice: Option<RenewalAdvice>) {
    if certificate.renewal == advice {
        return;
    }
    let id = certificate.id;
    match cluster.propose_own(Command::AdviseRenewal { id, advice }).await {
        Ok(_) => info!(%id, "the authority advises when to renew a certificate"),
        Err(error) => debug!(%id, %error, "the authority's advice could not be kept"),
    }
}

fn after(wait: Duration) -> Timestamp {
    let now = Timestamp::now();
    now.checked_add(wait).unwrap_or(now)
}
