//! `/api/certificates`: what the edges show for the names they serve. Keys come in and never go out.

use std::collections::HashMap;

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_certificates::{CertificateError, Facts};
use temps_raft::{Applied, fresh_id};
use temps_state::{
    Certificate, CertificateId, CertificateSource, Command, DomainName, State as Agreed,
};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::{MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::Tagged;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};

/// How many names a warning names.
const NAMED_MAX: usize = 5;

/// A certificate, without its key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateOut {
    /// The certificate's id.
    #[schema(value_type = String)]
    pub id: CertificateId,
    /// The names that it is for.
    #[schema(value_type = Vec<String>)]
    pub names: Vec<DomainName>,
    /// Who vouches for it.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Whether it is valid now.
    pub valid: bool,
    /// Where it comes from.
    pub source: SourceOut,
    /// When it came.
    pub created_at: Timestamp,
}

/// Where a certificate comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = CertificateSource)]
pub enum SourceOut {
    /// Somebody brought it, and renews it.
    Uploaded,
    /// The cluster got it for a domain, and renews it.
    Issued {
        /// The domain.
        #[schema(value_type = String)]
        domain: DomainName,
        /// The directory of the authority that gave it.
        directory: String,
    },
}

/// A certificate that was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedCertificate)]
pub struct AddedCertificate {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateOut,
    /// Who may refuse it, and why.
    pub warnings: Vec<String>,
}

/// A certificate to bring.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCertificate)]
pub struct CertificateIn {
    /// It and those that vouch for it, in PEM, its own first.
    pub chain: String,
    /// Its key in PEM. Nobody is shown it again.
    pub key: String,
}

impl CertificateOut {
    pub(crate) fn of(certificate: &Certificate, now: Timestamp) -> Self {
        let Certificate { id, not_before, not_after, created_at, .. } = *certificate;
        Self {
            id,
            names: certificate.names.clone(),
            issuer: certificate.issuer.clone(),
            not_before,
            not_after,
            valid: certificate.is_valid(now),
            source: match certificate.source.clone() {
                CertificateSource::Uploaded => SourceOut::Uploaded,
                CertificateSource::Issued { domain, directory } => {
                    SourceOut::Issued { domain, directory }
                }
            },
            created_at,
        }
    }
}

/// The certificates that are shown for names, by name: what [`certificate_for`](Agreed::certificate_for) says, for many.
pub(crate) struct BestCertificates<'a> {
    by_name: HashMap<&'a str, &'a Certificate>,
    now: Timestamp,
}

impl<'a> BestCertificates<'a> {
    pub fn of(state: &'a Agreed, now: Timestamp) -> Self {
        let mut by_name: HashMap<&str, &Certificate> = HashMap::new();
        for certificate in state.certificates.values() {
            for name in &certificate.names {
                let best = by_name.entry(name.as_str()).or_insert(certificate);
                *best = std::cmp::max_by_key(*best, certificate, |one| one.rank(now));
            }
        }
        Self { by_name, now }
    }

    pub fn of_name(&self, name: &DomainName) -> Option<&'a Certificate> {
        let above = name.wildcard_above();
        let names = [Some(name), above.as_ref()].into_iter().flatten();
        let found = names.filter_map(|name| self.by_name.get(name.as_str()).copied());
        found.max_by_key(|certificate| certificate.rank(self.now))
    }
}

fn row(id: CertificateId) -> String {
    format!("certificates/{id}")
}

fn find<'a>(state: &'a Agreed, text: &str) -> Result<&'a Certificate, ApiError> {
    let found = text.parse().ok().and_then(|id: CertificateId| state.certificates.get(&id));
    found.ok_or_else(|| ApiError::not_found("certificate", text))
}

/// What to say of a certificate that comes without whoever vouches for it.
fn lacks(issuer: &str) -> String {
    format!(
        "the file has only the certificate itself; clients that do not know `{issuer}` will refuse it: bring the full chain, \
         which authorities mostly call fullchain.pem"
    )
}

fn shown(state: &Applied, certificate: &Certificate) -> Tagged<CertificateOut> {
    let out = CertificateOut::of(certificate, Timestamp::now());
    Tagged::new(state, &row(certificate.id), out)
}

/// Lists the certificates.
#[utoipa::path(
    get, path = "/api/certificates", tag = "certificates",
    responses((status = 200, body = Page<CertificateOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<CertificateOut>> {
    let now = Timestamp::now();
    let certificates = state.certificates.values();
    let show = |certificate| CertificateOut::of(certificate, now);
    Out(paging.page(certificates, Order::Rising, |one| one.id.to_string(), show))
}

/// Shows a certificate, without its key.
#[utoipa::path(
    get, path = "/api/certificates/{id}", tag = "certificates",
    responses((status = 200, body = CertificateOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(id): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<CertificateOut>, ApiError> {
    Ok(shown(&state, find(&state, &id)?))
}

/// Takes a certificate with its key. What no client would believe is refused, with the reason.
#[utoipa::path(
    post, path = "/api/certificates", tag = "certificates",
    request_body = CertificateIn, responses((status = 201, body = AddedCertificate))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Json(CertificateIn { chain, key }): Json<CertificateIn>,
) -> Result<(StatusCode, Tagged<AddedCertificate>), ApiError> {
    if chain.contains("PRIVATE KEY-----") {
        let why = "there is a private key in it, which belongs into `key` alone";
        return Err(ApiError::invalid("chain", why));
    }
    let now = Timestamp::now();
    let facts = temps_certificates::read(&chain, &key, now).map_err(refused)?;
    let id = fresh_id();
    let certificate = Certificate {
        id,
        names: facts.names.clone(),
        key: context.cluster.seal(&Certificate::place(id), &key)?,
        not_before: facts.not_before,
        not_after: facts.not_after,
        issuer: facts.issuer.clone(),
        source: CertificateSource::Uploaded,
        created_at: now,
        renewal: None,
        chain,
    };
    let chain = certificate.chain.clone();
    let proposal = caller.asks(Command::AddCertificate { certificate });
    let (_, state) = context.change(proposal).await?;
    // A retry finds what the first request brought.
    let before = || state.certificates.values().rev().find(|one| one.chain == chain);
    let found = state.certificates.get(&id).or_else(before);
    let found = found.ok_or_else(|| ApiError::not_found("certificate", id))?;
    let warnings = warnings(&facts, &state);
    let added = AddedCertificate { certificate: CertificateOut::of(found, now), warnings };
    Ok((StatusCode::CREATED, Tagged::new(&state, &row(found.id), added)))
}

/// What is taken and yet may not be what was meant.
fn warnings(facts: &Facts, state: &Agreed) -> Vec<String> {
    let preview_domain = state.settings().preview_domain;
    let serves = |name: &DomainName| {
        let meets =
            |domain: &DomainName| name.covers(domain.as_str()) || domain.covers(name.base());
        name.is_preview(&preview_domain) || state.domains.keys().any(meets)
    };
    let missing = facts.alone.then(|| lacks(&facts.issuer));
    let believed =
        facts.self_signed.then(|| "nobody but itself vouches for it: browsers warn of it".into());
    let idle = !facts.names.iter().any(serves);
    let idle = idle.then(|| {
        let names: Vec<&str> = facts.names.iter().take(NAMED_MAX).map(DomainName::as_str).collect();
        format!("no domain of the cluster has a name that it is for ({})", names.join(", "))
    });
    [missing, believed, idle].into_iter().flatten().collect()
}

/// Which part of a body cannot be used, and why.
fn refused(error: CertificateError) -> ApiError {
    let field = match error {
        CertificateError::NoKey(_)
        | CertificateError::KeyEncrypted
        | CertificateError::KeyUnusable(_)
        | CertificateError::KeyMismatch => "key",
        _ => "chain",
    };
    ApiError::invalid(field, error)
}

/// Deletes a certificate. One that the cluster got is asked for anew while its domain is there.
#[utoipa::path(
    delete, path = "/api/certificates/{id}", tag = "certificates", responses((status = 204))
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let id = find(state, &id)?.id;
        Ok((row(id), Command::DeleteCertificate { id }))
    };
    deletion.of(&context, &caller, found).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::fixtures::certificate;

    #[test]
    fn the_best_of_all_is_the_one_that_the_state_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut state = Agreed::default();
        for (id, names, not_after) in [
            (1, &["a.example.com"][..], 500),
            (2, &["*.example.com", "example.com"], 900),
            (3, &["a.example.com", "b.example.com"], 100),
            (4, &["*.b.example.com"], 700),
        ] {
            let certificate = certificate(id, names, at(not_after));
            state.certificates.insert(certificate.id, certificate);
        }
        for now in [1, 200, 600, 800, 1_000].map(at) {
            let best = BestCertificates::of(&state, now);
            for name in [
                "a.example.com",
                "b.example.com",
                "c.example.com",
                "example.com",
                "*.example.com",
                "*.b.example.com",
                "x.b.example.com",
                "a.b.c.example.com",
                "example.org",
            ] {
                let name = name.parse().unwrap();
                let wanted = state.certificate_for(&name, now).map(|one| one.id);
                assert_eq!(best.of_name(&name).map(|one| one.id), wanted, "{name} at {now}");
            }
        }
    }
}
