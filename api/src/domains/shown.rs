//! A domain, as REST shows it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use temps_state::{Domain, DomainName, EnvironmentId, Name, Order, State};
use utoipa::ToSchema;

use super::body::RedirectBody;
use super::records::{self, RecordOut};
use super::status::{DomainStatus, Grounds};
use crate::certificates::{BestCertificates, CertificateOut};
use crate::failing;

/// A domain: a name of a team's own that leads to an environment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Domain)]
pub struct DomainOut {
    /// The name.
    #[schema(value_type = String)]
    pub name: DomainName,
    /// The project that it leads to.
    #[schema(value_type = String)]
    pub project: Name,
    /// The environment that it leads to.
    #[schema(value_type = String)]
    pub environment: Name,
    /// The environment's id.
    #[schema(value_type = String)]
    pub environment_id: EnvironmentId,
    /// Where clients are sent instead.
    pub redirect: Option<RedirectBody>,
    /// Paths that lead elsewhere: `project/environment` by prefix.
    pub paths: BTreeMap<String, String>,
    /// What to create where the name's DNS is kept.
    pub records: Vec<RecordOut>,
    /// When the name was last seen to lead to this cluster; null before that.
    pub verified_at: Option<Timestamp>,
    /// How it is.
    pub status: DomainStatus,
    /// The certificate that edges show for it; null where there is none.
    pub certificate: Option<CertificateOut>,
    /// What is done about a certificate; null when nothing is.
    pub order: Option<OrderOut>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A certificate that is wanted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderOut {
    /// Whether an authority is being asked.
    pub under_way: bool,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// Before when it is not tried again.
    pub retry_at: Option<Timestamp>,
}

impl From<&Order> for OrderOut {
    fn from(order: &Order) -> Self {
        Self {
            under_way: order.attempt.is_some(),
            failures: order.failures,
            error: order.error.clone(),
            retry_at: order.retry_at,
        }
    }
}

/// What domains are shown by.
pub(super) struct Gallery<'a> {
    state: &'a State,
    certificates: BestCertificates<'a>,
    unfollowed: BTreeSet<DomainName>,
    acme: bool,
    now: Timestamp,
}

impl<'a> Gallery<'a> {
    pub fn of(state: &'a State) -> Self {
        let now = Timestamp::now();
        let certificates = BestCertificates::of(state, now);
        let unfollowed = failing::unfollowed(state, now);
        Self { state, certificates, unfollowed, acme: state.settings().acme.enabled, now }
    }

    /// A domain; `None` where its environment is just going.
    pub fn show(&self, domain: &Domain) -> Option<DomainOut> {
        let Self { state, acme, now, .. } = *self;
        let (project, environment) = place(state, domain.environment)?;
        let certificate = self.certificates.of_name(&domain.name);
        let order = state.orders.get(&domain.name);
        let asked = acme && state.is_provable(&domain.name);
        let unfollowed = self.unfollowed.contains(&domain.name);
        let grounds = Grounds { domain, certificate, order, asked, unfollowed, now };
        let paths = domain.paths.iter().filter_map(|(prefix, to)| {
            let (project, environment) = place(state, *to)?;
            Some((prefix.to_string(), format!("{project}/{environment}")))
        });
        Some(DomainOut {
            name: domain.name.clone(),
            project: project.clone(),
            environment: environment.clone(),
            environment_id: domain.environment,
            redirect: domain.redirect.as_ref().map(Into::into),
            paths: paths.collect(),
            records: records::of(state, domain),
            verified_at: domain.verified_at,
            status: grounds.status(),
            certificate: certificate.map(|one| CertificateOut::of(one, now)),
            order: order.map(Into::into),
            created_at: domain.created_at,
        })
    }
}

fn place(state: &State, id: EnvironmentId) -> Option<(&Name, &Name)> {
    let environment = state.environments.get(&id)?;
    Some((&state.projects.get(&environment.project)?.name, &environment.name))
}
