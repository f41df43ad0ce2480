//! What is checked before requests are forwarded: `/api/guards` for the cluster, `…/guard` for a project and an
//! environment.

mod body;
mod shown;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use temps_raft::Applied;
use temps_state::{Command, Condition, Permission, Scope, State as Agreed};
use utoipa::IntoParams;

pub use body::GuardChange;
pub use shown::GuardOut;

use crate::auth::{Caller, MayAdmin, MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::deletion::Deletion;
use crate::{ApiError, ids, passwords};

/// How to change a guard.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GuardQuery {
    /// Whether to set also what this node cannot hold to: countries that are let in alone, where it knows no countries.
    #[serde(default)]
    pub force: bool,
}

fn row(scope: Scope) -> String {
    format!("guards/{scope}")
}

fn shown(context: &Context, state: &Applied, scope: Scope) -> Tagged<GuardOut> {
    Tagged::new(state, &row(scope), GuardOut::new(state, scope, context.config.countries))
}

/// Shows what is checked before requests are forwarded to any app.
#[utoipa::path(get, path = "/api/guards", tag = "guards", responses((status = 200, body = GuardOut)))]
pub(crate) async fn show(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Seen(state): Seen,
) -> Tagged<GuardOut> {
    shown(&context, &state, Scope::Cluster)
}

/// Changes what is checked before requests are forwarded to any app.
#[utoipa::path(
    patch, path = "/api/guards", tag = "guards", params(GuardQuery),
    request_body = GuardChange, responses((status = 200, body = GuardOut))
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Query(GuardQuery { force }): Query<GuardQuery>,
    if_match: IfMatch,
    Json(body): Json<GuardChange>,
) -> Result<Tagged<GuardOut>, ApiError> {
    set(&context, &caller, |_| Ok(Scope::Cluster), if_match, force, body).await
}

/// Takes back everything that was set for the cluster.
#[utoipa::path(delete, path = "/api/guards", tag = "guards", responses((status = 204)))]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    clear(&context, &caller, |_| Ok(Scope::Cluster), deletion).await
}

fn of_project(state: &Agreed, p: &str) -> Result<Scope, ApiError> {
    Ok(Scope::Project(ids::project(state, p)?.id))
}

/// Shows what is checked before requests are forwarded to a project's apps.
#[utoipa::path(
    get, path = "/api/projects/{p}/guard", tag = "guards",
    responses((status = 200, body = GuardOut))
)]
pub(crate) async fn show_of_project(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(p): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<GuardOut>, ApiError> {
    Ok(shown(&context, &state, of_project(&state, &p)?))
}

/// Changes what is checked before requests are forwarded to a project's apps.
#[utoipa::path(
    patch, path = "/api/projects/{p}/guard", tag = "guards", params(GuardQuery),
    request_body = GuardChange, responses((status = 200, body = GuardOut))
)]
pub(crate) async fn change_of_project(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
    Query(GuardQuery { force }): Query<GuardQuery>,
    if_match: IfMatch,
    Json(body): Json<GuardChange>,
) -> Result<Tagged<GuardOut>, ApiError> {
    set(&context, &caller, |state| of_project(state, &p), if_match, force, body).await
}

/// Takes back everything that was set for a project; what was set for its environments stays.
#[utoipa::path(
    delete, path = "/api/projects/{p}/guard", tag = "guards", responses((status = 204))
)]
pub(crate) async fn delete_of_project(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    clear(&context, &caller, |state| of_project(state, &p), deletion).await
}

fn of_environment(state: &Agreed, path: &(String, String)) -> Result<Scope, ApiError> {
    Ok(Scope::Environment(ids::place(state, path)?.1.id))
}

/// Shows what is checked before requests are forwarded to an environment's app.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/guard", tag = "guards",
    responses((status = 200, body = GuardOut))
)]
pub(crate) async fn show_of_environment(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    Seen(state): Seen,
) -> Result<Tagged<GuardOut>, ApiError> {
    Ok(shown(&context, &state, of_environment(&state, &path)?))
}

/// Changes what is checked before requests are forwarded to an environment's app.
#[utoipa::path(
    patch, path = "/api/projects/{p}/environments/{e}/guard", tag = "guards", params(GuardQuery),
    request_body = GuardChange, responses((status = 200, body = GuardOut))
)]
pub(crate) async fn change_of_environment(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    Query(GuardQuery { force }): Query<GuardQuery>,
    if_match: IfMatch,
    Json(body): Json<GuardChange>,
) -> Result<Tagged<GuardOut>, ApiError> {
    set(&context, &caller, |state| of_environment(state, &path), if_match, force, body).await
}

/// Takes back everything that was set for an environment.
#[utoipa::path(
    delete, path = "/api/projects/{p}/environments/{e}/guard", tag = "guards",
    responses((status = 204))
)]
pub(crate) async fn delete_of_environment(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    clear(&context, &caller, |state| of_environment(state, &path), deletion).await
}

/// Who lets in some countries alone means to keep all others out.
fn no_countries() -> ApiError {
    ApiError::Conflict {
        code: "no_countries",
        why: "this node was started without --geoip FILE: it does not know in which country a client is, and would let in \
              everybody"
            .into(),
        hint: "start every node with `temps serve --geoip FILE`; `?force=true` (`temps guards set --force`) sets it all the \
               same",
    }
}

async fn set(
    context: &Context,
    caller: &Caller,
    find: impl Fn(&Agreed) -> Result<Scope, ApiError>,
    if_match: IfMatch,
    force: bool,
    mut body: GuardChange,
) -> Result<Tagged<GuardOut>, ApiError> {
    if body.allows_countries() && !context.config.countries && !force {
        return Err(no_countries());
    }
    let hash = match body.take_password() {
        Some(password) => {
            passwords::check(&password)?;
            Some(context.passwords.hash(password).await?)
        }
        None => None,
    };
    let state = context.cluster.read_latest().await?;
    let scope = find(&state)?;
    if scope == Scope::Cluster {
        caller.may(Permission::Admin)?;
    }
    let row = row(scope);
    let guard = body.apply(state.guards.get(&scope).cloned().unwrap_or_default(), hash)?;
    // What is left out stays as it was read, unless somebody changes it meanwhile.
    let unchanged = Condition { row: row.clone(), tag: state.tag(&row).unwrap_or_default() };
    let mut proposal = caller.asks(Command::SetGuard { scope, guard: Some(guard) });
    proposal.condition = if_match.on(row).or(Some(unchanged));
    let (_, state) = context.change(proposal).await?;
    Ok(shown(context, &state, scope))
}

async fn clear(
    context: &Context,
    caller: &Caller,
    find: impl Fn(&Agreed) -> Result<Scope, ApiError>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let command = |state: &Agreed| {
        let scope = find(state)?;
        Ok((row(scope), Command::SetGuard { scope, guard: None }))
    };
    deletion.of(context, caller, command).await
}
