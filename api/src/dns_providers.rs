//! `/api/dns-providers`: accounts with DNS providers, where the cluster keeps the records of its names. Credentials come in
//! and never go out.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temps_providers::{Provider, ProviderError};
use temps_raft::{Applied, fresh_id};
use temps_state::{
    Command, DnsProvider, DnsProviderChange, DnsProviderId, DnsTrouble, DomainName, ManagedRecord,
    Name, State as Agreed,
};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::ApiError;
use crate::auth::{MayAdmin, MayRead};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};

/// An account with a DNS provider, without its credentials.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsProvider)]
pub struct DnsProviderOut {
    /// The account's id.
    #[schema(value_type = String)]
    pub id: DnsProviderId,
    /// What people call it.
    #[schema(value_type = String)]
    pub name: Name,
    /// Whose it is: `cloudflare`, `route53`, `digitalocean`, `hetzner`, `google`, `azure` or `rfc2136`.
    pub r#type: String,
    /// The zones that the cluster keeps records in.
    #[schema(value_type = Vec<String>)]
    pub zones: Vec<DomainName>,
    /// Whether records that the cluster has not made give way to those of verified domains.
    pub takes_over: bool,
    /// The sets of records that the cluster made.
    pub records: Vec<KeptRecord>,
    /// What keeps the records from being as they should; null when nothing does.
    pub trouble: Option<TroubleOut>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// All records of a name and type, which the cluster made.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptRecord {
    /// The whole name.
    pub name: String,
    /// `A`, `AAAA` or `TXT`.
    pub r#type: &'static str,
}

/// What keeps records from being as they should.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsTrouble)]
pub struct TroubleOut {
    /// In words.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
}

/// An account whose records are not as they should be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailingDnsProvider)]
pub struct FailingDnsProviderOut {
    /// What people call it.
    #[schema(value_type = String)]
    pub name: Name,
    /// What keeps the records from being as they should, in words.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
}

impl FailingDnsProviderOut {
    /// All of a state; no more than there may be accounts.
    pub(crate) fn all(state: &Agreed) -> impl Iterator<Item = Self> {
        state.dns_providers.values().filter_map(|one| {
            let DnsTrouble { error, since } = one.trouble.clone()?;
            Some(Self { name: one.name.clone(), error, since })
        })
    }
}

/// An account to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDnsProvider)]
pub struct DnsProviderIn {
    /// What people call it; unique.
    pub name: String,
    /// Whose it is: `cloudflare`, `route53`, `digitalocean`, `hetzner`, `google`, `azure` or `rfc2136`.
    pub r#type: String,
    /// The zones to keep records in.
    #[schema(value_type = Vec<String>)]
    pub zones: Vec<DomainName>,
    /// What lets the cluster in: an object whose fields depend on the type. Nobody is shown it again.
    #[schema(value_type = Object)]
    pub credentials: Value,
    /// Whether records that the cluster has not made give way to those of verified domains.
    #[serde(default)]
    pub takes_over: bool,
}

/// What is to be different about an account; what is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DnsProviderChange)]
pub struct ChangeIn {
    /// All zones to keep records in. The records in others stay as they are, and are the cluster's no longer.
    #[schema(value_type = Option<Vec<String>>)]
    zones: Option<Vec<DomainName>>,
    /// What lets the cluster in: a whole object, as for a new account. Nobody is shown it again.
    #[schema(value_type = Option<Object>)]
    credentials: Option<Value>,
    /// Whether records that the cluster has not made give way to those of verified domains.
    takes_over: Option<bool>,
}

impl ChangeIn {
    /// Whether the provider lets the cluster in as it is to, and has the zones.
    async fn check(&self, context: &Context, account: &DnsProvider) -> Result<(), ApiError> {
        if self.credentials.is_none() && self.zones.is_none() {
            return Ok(());
        }
        let kept = || context.cluster.open(&DnsProvider::place(account.id), &account.credentials);
        let provider = match &self.credentials {
            Some(credentials) => Provider::open(&account.kind, credentials)?,
            None => Provider::open(&account.kind, &read(Zeroizing::new(kept()?))?)?,
        };
        let zones = self.zones.as_ref().unwrap_or(&account.zones);
        Ok(provider.check(zones).await?)
    }
}

/// Credentials that were kept.
fn read(text: Zeroizing<String>) -> Result<Value, ProviderError> {
    let wrong = |_| ProviderError::Credentials("those that are kept cannot be read".into());
    serde_json::from_str(&text).map_err(wrong)
}

impl DnsProviderOut {
    fn of(provider: &DnsProvider) -> Self {
        let DnsProvider { id, name, kind, zones, takes_over, managed, trouble, created_at, .. } =
            provider.clone();
        let record = |ManagedRecord { name, kind }| KeptRecord { name, r#type: kind.as_str() };
        let trouble = trouble.map(|DnsTrouble { error, since }| TroubleOut { error, since });
        let records = managed.into_iter().map(record).collect();
        Self { id, name, r#type: kind, zones, takes_over, records, trouble, created_at }
    }
}

fn row(id: DnsProviderId) -> String {
    format!("dns_providers/{id}")
}

/// The account of an id or a name.
fn find<'a>(state: &'a Agreed, text: &str) -> Result<&'a DnsProvider, ApiError> {
    let by_id = text.parse().ok().and_then(|id: DnsProviderId| state.dns_providers.get(&id));
    let by_name = || state.dns_providers.values().find(|one| one.name.as_str() == text);
    by_id.or_else(by_name).ok_or_else(|| ApiError::not_found("DNS provider", text))
}

fn shown(state: &Applied, provider: &DnsProvider) -> Tagged<DnsProviderOut> {
    Tagged::new(state, &row(provider.id), DnsProviderOut::of(provider))
}

/// Lists the accounts with DNS providers.
#[utoipa::path(
    get, path = "/api/dns-providers", tag = "domains",
    responses((status = 200, body = Page<DnsProviderOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<DnsProviderOut>> {
    let all = state.dns_providers.values();
    Out(paging.page(all, Order::Rising, |one| one.id.to_string(), DnsProviderOut::of))
}

/// Shows an account with a DNS provider, by its id or name.
#[utoipa::path(
    get, path = "/api/dns-providers/{id}", tag = "domains",
    responses((status = 200, body = DnsProviderOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(id): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<DnsProviderOut>, ApiError> {
    Ok(shown(&state, find(&state, &id)?))
}

/// Adds an account with a DNS provider, if that lets the cluster in and has the zones: it is asked at once.
#[utoipa::path(
    post, path = "/api/dns-providers", tag = "domains",
    request_body = DnsProviderIn, responses((status = 201, body = DnsProviderOut))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Json(body): Json<DnsProviderIn>,
) -> Result<(StatusCode, Tagged<DnsProviderOut>), ApiError> {
    let DnsProviderIn { name, r#type: kind, zones, credentials, takes_over } = body;
    let name: Name = name.parse().map_err(|error| ApiError::invalid("name", error))?;
    let before = context.cluster.read_latest().await?;
    // A retry need not ask the provider again.
    if !caller.was_answered(&before) {
        Provider::open(&kind, &credentials)?.check(&zones).await?;
    }
    let id = fresh_id();
    let provider = DnsProvider {
        id,
        name: name.clone(),
        kind,
        zones,
        credentials: context.cluster.seal(&DnsProvider::place(id), &credentials.to_string())?,
        takes_over,
        managed: Default::default(),
        trouble: None,
        created_at: Timestamp::now(),
    };
    let proposal = caller.asks(Command::AddDnsProvider { provider });
    let (_, state) = context.change(proposal).await?;
    Ok((StatusCode::CREATED, shown(&state, find(&state, name.as_str())?)))
}

/// Changes an account with a DNS provider, by its id or name, if that lets the cluster in and has the zones: it is asked at
/// once. The records that the cluster made stay its own.
#[utoipa::path(
    patch, path = "/api/dns-providers/{id}", tag = "domains",
    request_body = ChangeIn, responses((status = 200, body = DnsProviderOut))
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(body): Json<ChangeIn>,
) -> Result<Tagged<DnsProviderOut>, ApiError> {
    let before = context.cluster.read_latest().await?;
    let account = find(&before, &id)?;
    if !caller.was_answered(&before) {
        body.check(&context, account).await?;
    }
    let id = account.id;
    let ChangeIn { zones, credentials, takes_over } = body;
    let seal = |value: Value| context.cluster.seal(&DnsProvider::place(id), &value.to_string());
    let credentials = credentials.map(seal).transpose()?;
    let change = DnsProviderChange { zones, credentials, takes_over };
    let mut proposal = caller.asks(Command::ChangeDnsProvider { id, change });
    proposal.condition = if_match.on(row(id));
    let (_, state) = context.change(proposal).await?;
    Ok(shown(&state, find(&state, &id.to_string())?))
}

/// Forgets an account with a DNS provider, by its id or name. The records there stay as they are.
#[utoipa::path(
    delete, path = "/api/dns-providers/{id}", tag = "domains", responses((status = 204))
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let id = find(state, &id)?.id;
        Ok((row(id), Command::DeleteDnsProvider { id }))
    };
    deletion.of(&context, &caller, found).await
}
