//! `/api/projects/{p}/environments`: where a project's deployments run.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_raft::{Applied, fresh_id};
use temps_scheduler::rollout::shortage;
use temps_state::{
    Artifact, Command, Deployment, DeploymentId, Environment, EnvironmentId, EnvironmentKind,
    Failure, Name, Project, Reply, State as Agreed, host_label, is_server_label,
};
use utoipa::ToSchema;

use crate::auth::{MayRead, MayWrite};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::deployments::checked_branch;
use crate::links::Links;
use crate::pages::{Order, Page, Paging};
use crate::{ApiError, ids};

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Environment)]
pub struct EnvironmentOut {
    /// The environment's id.
    #[schema(value_type = String)]
    pub id: EnvironmentId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    pub kind: KindOut,
    /// Where it is served.
    pub url: String,
    /// How many replicas its deployment runs.
    pub replicas: u32,
    /// How many of them take traffic.
    pub healthy_replicas: usize,
    /// Why it has fewer replicas than it should, where no node has room for more.
    pub lacking: Option<LackingOut>,
    /// The deployment that is live.
    pub current: Option<BriefOut>,
    /// The deployment kept ready for a rollback.
    pub kept: Option<BriefOut>,
    /// The newest deployment, however far it came.
    pub latest: Option<BriefOut>,
}

/// Why replicas have no place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lacking)]
pub struct LackingOut {
    /// What is lacking, and on how many nodes.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl From<Failure> for LackingOut {
    fn from(Failure { message, hint, .. }: Failure) -> Self {
        Self { message, hint }
    }
}

/// What an environment is for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = EnvironmentKind)]
pub enum KindOut {
    /// The one that users see.
    Production,
    /// The state of another branch.
    Preview {
        /// The branch.
        branch: String,
    },
}

/// A deployment in brief.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeploymentBrief)]
pub struct BriefOut {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeploymentId,
    /// Its number in the project.
    pub number: u64,
    /// Where it stands.
    pub phase: &'static str,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl From<&Deployment> for BriefOut {
    fn from(Deployment { id, number, phase, created_at, .. }: &Deployment) -> Self {
        Self { id: *id, number: *number, phase: phase.name(), created_at: *created_at }
    }
}

/// A preview environment to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnvironment)]
pub struct EnvironmentIn {
    /// The branch it follows; its name is made of that.
    pub branch: String,
}

/// How many replicas an environment shall run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How many; 0 stops it.
    pub replicas: u32,
}

impl EnvironmentOut {
    pub(crate) fn of(state: &Agreed, links: &Links, environment: &Environment) -> Self {
        let serving = |id| state.replicas_of(id).filter(|r| r.serving_endpoint().is_some()).count();
        let brief = |id: DeploymentId| state.deployments.get(&id).map(BriefOut::from);
        Self {
            id: environment.id,
            name: environment.name.clone(),
            kind: match environment.kind.clone() {
                EnvironmentKind::Production => KindOut::Production,
                EnvironmentKind::Preview { branch } => KindOut::Preview { branch },
            },
            url: links.app(state, environment),
            replicas: state.replicas_wanted(environment),
            healthy_replicas: environment.current.map(serving).unwrap_or_default(),
            lacking: shortage(state, environment).map(LackingOut::from),
            current: environment.current.and_then(brief),
            kept: environment.kept.and_then(brief),
            latest: state.deployments_of(environment.id).next_back().map(BriefOut::from),
        }
    }
}

fn row(id: EnvironmentId) -> String {
    format!("environments/{id}")
}

fn shown(
    state: &Applied,
    links: &Links,
    id: EnvironmentId,
) -> Result<Tagged<EnvironmentOut>, ApiError> {
    let environment =
        state.environments.get(&id).ok_or_else(|| ApiError::not_found("environment", id))?;
    Ok(Tagged::new(state, &row(id), EnvironmentOut::of(state, links, environment)))
}

/// Lists the environments of a project.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments", tag = "environments",
    responses((status = 200, body = Page<EnvironmentOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    Path(p): Path<String>,
    links: Links,
    paging: Paging,
    Seen(state): Seen,
) -> Result<Out<Page<EnvironmentOut>>, ApiError> {
    let environments = state.environments_of(ids::project(&state, &p)?.id);
    let show = |environment: &Environment| EnvironmentOut::of(&state, &links, environment);
    Ok(Out(paging.page(environments, Order::Rising, |e| e.id.to_string(), show)))
}

/// Shows an environment.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}", tag = "environments",
    responses((status = 200, body = EnvironmentOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    links: Links,
    Seen(state): Seen,
) -> Result<Tagged<EnvironmentOut>, ApiError> {
    shown(&state, &links, ids::place(&state, &path)?.1.id)
}

/// Refuses a branch whose environment would have a name server's host name: below a zone, the DNS tells that one.
pub(crate) fn refuse_server_label(project: &Project, branch: &str) -> Result<(), ApiError> {
    let label = Name::slug(branch).map(|name| host_label(&project.name, &name));
    match label.filter(|label| is_server_label(label)) {
        None => Ok(()),
        Some(label) => {
            let why = format!(
                "its environment would be served at `{label}`, which is what a node is called that answers in the DNS for \
                 the cluster's zones: give the branch a name with a letter"
            );
            Err(ApiError::invalid("branch", why))
        }
    }
}

/// Creates a preview environment for a branch.
#[utoipa::path(
    post, path = "/api/projects/{p}/environments", tag = "environments",
    request_body = EnvironmentIn, responses((status = 201, body = EnvironmentOut))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
    links: Links,
    Json(EnvironmentIn { branch }): Json<EnvironmentIn>,
) -> Result<(StatusCode, Tagged<EnvironmentOut>), ApiError> {
    let state = context.cluster.read_latest().await?;
    let project = ids::project(&state, &p)?;
    let branch = checked_branch("branch", branch)?;
    refuse_server_label(project, &branch)?;
    let project = project.id;
    let proposal = caller.asks(Command::CreateEnvironment { id: fresh_id(), project, branch });
    let (Reply::Environment { id }, state) = context.change(proposal).await? else {
        return Err(ApiError::UnexpectedReply);
    };
    Ok((StatusCode::CREATED, shown(&state, &links, id)?))
}

/// Deletes a preview environment with everything in it.
#[utoipa::path(
    delete, path = "/api/projects/{p}/environments/{e}", tag = "environments",
    responses((status = 204))
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let id = ids::place(state, &path)?.1.id;
        Ok((row(id), Command::DeleteEnvironment { id }))
    };
    deletion.of(&context, &caller, found).await
}

/// Static files have no replicas.
fn refuse_static(
    state: &Agreed,
    project: &Project,
    environment: &Environment,
) -> Result<(), ApiError> {
    let current = environment.current.and_then(|id| state.deployments.get(&id));
    match current.and_then(|deployment| deployment.artifact.as_ref()) {
        Some(Artifact::Static { .. }) => Err(ApiError::Conflict {
            code: "static_site",
            why: format!(
                "{}/{} is a static site: every node's edge serves its files, and there are no replicas to scale",
                project.name, environment.name
            ),
            hint: "`temps status` shows the nodes whose edges serve it",
        }),
        _ => Ok(()),
    }
}

/// Sets how many replicas an environment runs. Refused where the live deployment is a static site.
#[utoipa::path(
    put, path = "/api/projects/{p}/environments/{e}/scale", tag = "environments",
    request_body = Scale, responses((status = 200, body = EnvironmentOut))
)]
pub(crate) async fn scale(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(path): Path<(String, String)>,
    links: Links,
    if_match: IfMatch,
    Json(Scale { replicas }): Json<Scale>,
) -> Result<Tagged<EnvironmentOut>, ApiError> {
    let state = context.cluster.read_latest().await?;
    let (project, environment) = ids::place(&state, &path)?;
    refuse_static(&state, project, environment)?;
    let id = environment.id;
    let mut proposal = caller.asks(Command::SetReplicas { id, replicas });
    proposal.condition = if_match.on(row(id));
    let (_, state) = context.change(proposal).await?;
    shown(&state, &links, id)
}
