//! `/api/domains`: names of teams' own that lead to their environments.

mod body;
mod circle;
#[cfg(test)]
pub(crate) mod fixtures;
mod look;
mod records;
mod shown;
mod status;

use std::collections::BTreeSet;

use axum::Json as Out;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use temps_raft::Applied;
use temps_state::{Command, Domain, DomainName, DomainTarget, EnvironmentId, State as Agreed};

pub(crate) use look::{__path_look, __path_verify, PATH as LOOK_PATH, look, tell, verify};
pub use look::{AddressSeen, DomainLook, DomainSeen, LOOK_WITHIN, RefusedSeen};
pub(crate) use records::RecordType;

use self::body::{ChangeIn, DomainIn, DomainQuery};
use self::shown::{DomainOut, Gallery};
use crate::auth::{MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};
use crate::{ApiError, secrets};

fn row(name: &DomainName) -> String {
    format!("domains/{name}")
}

/// The domain that a path names.
fn find<'a>(state: &'a Agreed, text: &str) -> Result<&'a Domain, ApiError> {
    let found = text.parse().ok().and_then(|name: DomainName| state.domains.get(&name));
    found.ok_or_else(|| ApiError::not_found("domain", text))
}

fn shown(state: &Applied, name: &DomainName) -> Result<Tagged<DomainOut>, ApiError> {
    let domain = find(state, name.as_str())?;
    let out = Gallery::of(state).show(domain);
    let out = out.ok_or_else(|| ApiError::not_found("domain", name))?;
    Ok(Tagged::new(state, &row(name), out))
}

/// Whether a domain leads to one of these environments.
fn leads_to(domain: &Domain, wanted: &BTreeSet<EnvironmentId>) -> bool {
    wanted.contains(&domain.environment) || domain.paths.values().any(|to| wanted.contains(to))
}

/// Lists the domains.
#[utoipa::path(
    get, path = "/api/domains", tag = "domains", params(DomainQuery),
    responses((status = 200, body = Page<DomainOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    Query(query): Query<DomainQuery>,
    paging: Paging,
    Seen(state): Seen,
) -> Result<Out<Page<DomainOut>>, ApiError> {
    let wanted = query.environments(&state)?;
    let gallery = Gallery::of(&state);
    let domains = state.domains.values().filter(|domain| {
        wanted.as_ref().is_none_or(|wanted| leads_to(domain, wanted))
            && state.environments.contains_key(&domain.environment)
    });
    let page = paging.page(domains, Order::Rising, |d| d.name.to_string(), |d| gallery.show(d));
    let Page { items, next_cursor } = page;
    Ok(Out(Page { items: items.into_iter().flatten().collect(), next_cursor }))
}

/// Shows a domain: how it is, and which records to create.
#[utoipa::path(
    get, path = "/api/domains/{domain}", tag = "domains", responses((status = 200, body = DomainOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(name): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<DomainOut>, ApiError> {
    shown(&state, &find(&state, &name)?.name)
}

/// Adds a domain. A name has one owner in the cluster.
#[utoipa::path(
    post, path = "/api/domains", tag = "domains",
    request_body = DomainIn, responses((status = 201, body = DomainOut))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Json(body): Json<DomainIn>,
) -> Result<(StatusCode, Tagged<DomainOut>), ApiError> {
    let name = body.name.clone();
    let target = body.target(&*context.cluster.read_latest().await?)?;
    let DomainTarget { environment, redirect, paths } = target;
    let domain = Domain {
        name: name.clone(),
        environment,
        redirect,
        paths,
        proof: secrets::fresh(),
        verified_at: None,
        created_at: Timestamp::now(),
    };
    let proposal = caller.asks(Command::CreateDomain { domain });
    let (_, state) = context.change(proposal).await?;
    Ok((StatusCode::CREATED, shown(&state, &name)?))
}

/// Lets a domain lead elsewhere.
#[utoipa::path(
    patch, path = "/api/domains/{domain}", tag = "domains",
    request_body = ChangeIn, responses((status = 200, body = DomainOut))
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(body): Json<ChangeIn>,
) -> Result<Tagged<DomainOut>, ApiError> {
    let state = context.cluster.read_latest().await?;
    let domain = find(&state, &name)?;
    let (name, target) = (domain.name.clone(), body.target(&state, domain)?);
    let mut proposal = caller.asks(Command::ChangeDomain { name: name.clone(), target });
    proposal.condition = if_match.on(row(&name));
    let (_, state) = context.change(proposal).await?;
    shown(&state, &name)
}

/// Deletes a domain with the certificate that the cluster got for it.
#[utoipa::path(delete, path = "/api/domains/{domain}", tag = "domains", responses((status = 204)))]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(name): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let name = find(state, &name)?.name.clone();
        Ok((row(&name), Command::DeleteDomain { name }))
    };
    deletion.of(&context, &caller, found).await
}
