//! `/api/header-policies`: the security headers that edges add to answers, for the cluster, a project or an environment.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use temps_raft::Applied;
use temps_state::{Command, EnvironmentId, HeaderPolicy, Permission, Scope, State as Agreed};
use utoipa::ToSchema;

use crate::auth::{Caller, MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::{ApiError, ids};

/// What the path calls the policy of everything that has none of its own.
const CLUSTER: &str = "cluster";
/// Headers that say how an answer is sent over its connection (RFC 9110 §7.6.1, RFC 9112 §6).
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Which security headers answers get that have none of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// None.
    Off,
    /// Those that break no app which works over HTTPS.
    Permissive,
    /// Those that suit most apps.
    Moderate,
    /// Those that let a page load nothing from elsewhere and be shown in no frame.
    Strict,
    /// Those that are named.
    Custom,
    /// Those of the wider scope.
    Inherit,
}

/// The security headers of a scope.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeaderPolicy)]
pub struct PolicyOut {
    /// `cluster`, a project's name, or `project/environment`.
    pub scope: String,
    /// What was set here; `inherit` where nothing was.
    pub preset: Preset,
    /// The headers, by name, where the preset is `custom`.
    pub headers: BTreeMap<String, String>,
    /// What holds here.
    pub effective: EffectivePolicy,
}

/// The security headers that hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectivePolicy {
    /// Where they were set; null where nobody has set any.
    pub scope: Option<String>,
    /// What was set there.
    pub preset: Preset,
    /// The headers, by name, where the preset is `custom`.
    pub headers: BTreeMap<String, String>,
}

/// Security headers to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHeaderPolicy)]
pub struct PolicyIn {
    /// Which ones; `inherit` takes back what was set here.
    pub preset: Preset,
    /// The headers, by name, where the preset is `custom`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl PolicyIn {
    /// What the scope gets; `None` for what the wider one has.
    fn read(self) -> Result<Option<HeaderPolicy>, ApiError> {
        let Self { preset, headers } = self;
        match (preset, headers.is_empty()) {
            (Preset::Custom, true) => Err(ApiError::invalid("headers", "name at least one header")),
            (Preset::Custom, false) => {
                let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
                let headers: BTreeMap<String, String> = headers.into_iter().map(lower).collect();
                if let Some(name) = headers.keys().find(|name| FRAMING.contains(&name.as_str())) {
                    let why =
                        format!("`{name}` says how an answer is sent, which only the edge knows");
                    return Err(ApiError::invalid("headers", why));
                }
                Ok(Some(HeaderPolicy::Custom { headers }))
            }
            (_, false) => Err(ApiError::invalid("headers", "only the preset `custom` takes them")),
            (Preset::Inherit, _) => Ok(None),
            (Preset::Off, _) => Ok(Some(HeaderPolicy::Off)),
            (Preset::Permissive, _) => Ok(Some(HeaderPolicy::Permissive)),
            (Preset::Moderate, _) => Ok(Some(HeaderPolicy::Moderate)),
            (Preset::Strict, _) => Ok(Some(HeaderPolicy::Strict)),
        }
    }
}

fn preset(policy: &HeaderPolicy) -> (Preset, BTreeMap<String, String>) {
    let preset = match policy {
        HeaderPolicy::Off => Preset::Off,
        HeaderPolicy::Permissive => Preset::Permissive,
        HeaderPolicy::Moderate => Preset::Moderate,
        HeaderPolicy::Strict => Preset::Strict,
        HeaderPolicy::Custom { headers } => return (Preset::Custom, headers.clone()),
    };
    (preset, BTreeMap::new())
}

/// The scopes that hold for one, itself first.
fn widening(state: &Agreed, scope: Scope) -> Vec<Scope> {
    let project = match scope {
        Scope::Environment(id) => state.environments.get(&id).map(|one| one.project),
        Scope::Cluster | Scope::Project(_) => None,
    };
    let mut scopes = vec![scope];
    scopes.extend(project.map(Scope::Project));
    scopes.extend((scope != Scope::Cluster).then_some(Scope::Cluster));
    scopes
}

/// What people call a scope.
pub(crate) fn name(state: &Agreed, scope: Scope) -> String {
    let project = |id| state.projects.get(&id).map(|project| project.name.to_string());
    let environment = |id: EnvironmentId| {
        let environment = state.environments.get(&id)?;
        Some(format!("{}/{}", project(environment.project)?, environment.name))
    };
    let name = match scope {
        Scope::Cluster => Some(CLUSTER.into()),
        Scope::Project(id) => project(id),
        Scope::Environment(id) => environment(id),
    };
    name.unwrap_or_else(|| scope.to_string())
}

fn row(scope: Scope) -> String {
    format!("header_policies/{scope}")
}

fn shown(state: &Applied, scope: Scope) -> Tagged<PolicyOut> {
    Tagged::new(state, &row(scope), out(state, scope))
}

fn out(state: &Agreed, scope: Scope) -> PolicyOut {
    let set = |scope: &Scope| state.header_policies.get(scope).map(|policy| (*scope, policy));
    let own = set(&scope).map(|(_, policy)| preset(policy));
    let (own, headers) = own.unwrap_or((Preset::Inherit, BTreeMap::new()));
    let holds = widening(state, scope).iter().find_map(set);
    let effective = match holds {
        Some((at, policy)) => {
            let (preset, headers) = preset(policy);
            EffectivePolicy { scope: Some(name(state, at)), preset, headers }
        }
        None => EffectivePolicy { scope: None, preset: Preset::Off, headers: BTreeMap::new() },
    };
    PolicyOut { scope: name(state, scope), preset: own, headers, effective }
}

/// The scope of `cluster`, a project's name or id, or an environment's id.
fn find(state: &Agreed, text: &str) -> Result<Scope, ApiError> {
    if text == CLUSTER {
        return Ok(Scope::Cluster);
    }
    let environment = text.parse().ok().filter(|id| state.environments.contains_key(id));
    match environment {
        Some(id) => Ok(Scope::Environment(id)),
        None => ids::project(state, text).map(|project| Scope::Project(project.id)),
    }
}

/// Shows the security headers of the cluster, a project or an environment.
#[utoipa::path(
    get, path = "/api/header-policies/{scope}", tag = "header-policies",
    responses((status = 200, body = PolicyOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(scope): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<PolicyOut>, ApiError> {
    Ok(shown(&state, find(&state, &scope)?))
}

/// Sets the security headers of the cluster, which takes an admin, or of a project or an environment.
#[utoipa::path(
    put, path = "/api/header-policies/{scope}", tag = "header-policies",
    request_body = PolicyIn, responses((status = 200, body = PolicyOut))
)]
pub(crate) async fn replace(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(scope): Path<String>,
    if_match: IfMatch,
    Json(body): Json<PolicyIn>,
) -> Result<Tagged<PolicyOut>, ApiError> {
    let scope = find(&*context.cluster.read_latest().await?, &scope)?;
    set(&context, &caller, scope, if_match, body).await
}

/// Shows the security headers of an environment.
#[utoipa::path(
    get, path = "/api/header-policies/{p}/{e}", tag = "header-policies",
    responses((status = 200, body = PolicyOut))
)]
pub(crate) async fn show_of_environment(
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    Seen(state): Seen,
) -> Result<Tagged<PolicyOut>, ApiError> {
    Ok(shown(&state, Scope::Environment(ids::place(&state, &path)?.1.id)))
}

/// Sets the security headers of an environment.
#[utoipa::path(
    put, path = "/api/header-policies/{p}/{e}", tag = "header-policies",
    request_body = PolicyIn, responses((status = 200, body = PolicyOut))
)]
pub(crate) async fn replace_of_environment(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    if_match: IfMatch,
    Json(body): Json<PolicyIn>,
) -> Result<Tagged<PolicyOut>, ApiError> {
    let id = ids::place(&*context.cluster.read_latest().await?, &path)?.1.id;
    set(&context, &caller, Scope::Environment(id), if_match, body).await
}

async fn set(
    context: &Context,
    caller: &Caller,
    scope: Scope,
    if_match: IfMatch,
    body: PolicyIn,
) -> Result<Tagged<PolicyOut>, ApiError> {
    if scope == Scope::Cluster {
        caller.may(Permission::Admin)?;
    }
    let mut proposal = caller.asks(Command::SetHeaderPolicy { scope, policy: body.read()? });
    proposal.condition = if_match.on(row(scope));
    let (_, state) = context.change(proposal).await?;
    Ok(shown(&state, scope))
}
