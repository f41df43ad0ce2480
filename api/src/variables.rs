//! `/api/projects/{p}/environments/{e}/env-vars`: what an environment gives its builds and replicas.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_raft::{Applied, Cluster};
use temps_state::{Command, EnvironmentId, State as Agreed, VARIABLES_MAX, Variable, VariableName};
use utoipa::ToSchema;

use crate::auth::{MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::IfMatch;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::{ApiError, ids};

/// The longest value, in octets.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// What Temps itself tells every app, whatever was set: `PORT` is where the edge asks for it.
pub const RESERVED_VARIABLES: [&str; 6] = [
    "PORT",
    "TEMPS_API_URL",
    "TEMPS_INTERNAL_DOMAIN",
    "TEMPS_PROJECT_ID",
    "TEMPS_ENVIRONMENT_ID",
    "TEMPS_DEPLOYMENT_ID",
];

/// The variables of an environment.
#[derive(Serialize, ToSchema)]
pub struct Variables {
    /// By name.
    pub items: Vec<VariableOut>,
}

/// A variable.
#[derive(Serialize, ToSchema)]
#[schema(as = Variable)]
pub struct VariableOut {
    /// Its name.
    #[schema(value_type = String)]
    pub name: VariableName,
    /// Its value; null for a secret, which is never shown again.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// When it was last set.
    pub updated_at: Timestamp,
}

/// Variables to set; those not named stay as they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVariables)]
pub struct VariablesIn {
    /// The variables.
    pub variables: Vec<VariableIn>,
}

/// A variable to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVariable)]
pub struct VariableIn {
    /// Its name: letters, digits and `_`.
    #[schema(value_type = String)]
    pub name: VariableName,
    /// Its value.
    pub value: String,
    /// Whether it is a secret.
    #[serde(default)]
    pub secret: bool,
}

fn shown(cluster: &Cluster, state: &Applied, of: EnvironmentId) -> Result<Variables, ApiError> {
    let show = |(name, variable): (&VariableName, &Variable)| {
        let value = match variable.secret {
            true => None,
            false => Some(cluster.open(&Variable::place(of, name), &variable.value)?),
        };
        let Variable { secret, updated_at, .. } = *variable;
        Ok(VariableOut { name: name.clone(), value, secret, updated_at })
    };
    let items = state.variables_of(of).map(show).collect::<Result<_, ApiError>>()?;
    Ok(Variables { items })
}

/// Lists the variables of an environment, secrets without their values.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/env-vars", tag = "variables",
    responses((status = 200, body = Variables))
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    Seen(state): Seen,
) -> Result<Out<Variables>, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    Ok(Out(shown(&context.cluster, &state, environment.id)?))
}

/// Sets variables; the next deployment gets them. `PORT` and what else Temps tells every app itself cannot be set: the
/// port belongs into `temps.json`.
#[utoipa::path(
    put, path = "/api/projects/{p}/environments/{e}/env-vars", tag = "variables",
    request_body = VariablesIn, responses((status = 200, body = Variables))
)]
pub(crate) async fn set(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    if_match: IfMatch,
    Json(VariablesIn { variables }): Json<VariablesIn>,
) -> Result<Out<Variables>, ApiError> {
    let id = ids::place(&*context.cluster.read_latest().await?, &path)?.1.id;
    if variables.len() > VARIABLES_MAX {
        let why = format!("an environment has {VARIABLES_MAX} variables at most");
        return Err(ApiError::invalid("variables", why));
    }
    let now = Timestamp::now();
    let sealed = |(place, variable)| seal(&context.cluster, id, now, place, variable);
    let variables =
        variables.into_iter().enumerate().map(sealed).collect::<Result<Vec<_>, ApiError>>()?;
    let mut proposal = caller.asks(Command::SetVariables { id, variables });
    proposal.condition = if_match.on(format!("environments/{id}"));
    let (_, state) = context.change(proposal).await?;
    Ok(Out(shown(&context.cluster, &state, id)?))
}

fn seal(
    cluster: &Cluster,
    of: EnvironmentId,
    updated_at: Timestamp,
    place: usize,
    VariableIn { name, value, secret }: VariableIn,
) -> Result<(VariableName, Variable), ApiError> {
    if RESERVED_VARIABLES.contains(&name.as_str()) {
        return Err(ApiError::ReservedVariable { place, name });
    }
    let refuse = |why| Err(ApiError::invalid(format!("variables[{place}].value"), why));
    if value.len() > VALUE_BYTES_MAX {
        return refuse("this is longer than the 64 KiB a value may have");
    }
    if value.contains('\0') {
        return refuse("no environment can hold a NUL character");
    }
    let value = cluster.seal(&Variable::place(of, &name), &value)?;
    Ok((name, Variable { value, secret, updated_at }))
}

/// Removes a variable; the next deployment is without it.
#[utoipa::path(
    delete, path = "/api/projects/{p}/environments/{e}/env-vars/{name}", tag = "variables",
    responses((status = 204))
)]
pub(crate) async fn unset(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path((p, e, name)): Path<(String, String, String)>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let id = ids::place(state, &(p, e))?.1.id;
        let name: VariableName =
            name.parse().map_err(|_| ApiError::not_found("variable", &name))?;
        Ok((format!("variables/{id}/{name}"), Command::UnsetVariable { id, name }))
    };
    deletion.of(&context, &caller, found).await
}
