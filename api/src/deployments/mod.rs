//! `/api/projects/{p}/deployments`: asking for versions to run, watching them, calling them off, going back.

mod filter;
mod shown;
mod source;

use axum::Json as Out;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use temps_builder::BuildError;
use temps_raft::{Applied, Proposal, fresh_id};
use temps_state::{
    Command, Deployment, DeploymentId, NewDeployment, PRODUCTION, Phase, Reply, Source,
    State as Agreed,
};
use utoipa::ToSchema;

use filter::{Filter, Wanted};
pub use shown::DeploymentOut;
pub(crate) use shown::FailureOut;
pub use source::{RevisionBody, SourceIn};
pub(crate) use source::{checked_branch, checked_commit, checked_url, revision};

use crate::auth::{MayDeploy, MayRead};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::links::Links;
use crate::pages::{Order, Page, Paging};
use crate::registry::own_image;
use crate::{ApiError, ids, source_copy};

/// A deployment to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDeployment)]
pub struct DeploymentIn {
    /// Where it shall run, by name or id; production when missing.
    pub environment: Option<String>,
    /// What to deploy.
    pub source: SourceIn,
    /// The commit, when the client knows it.
    pub revision: Option<RevisionBody>,
}

/// A new deployment's answer: where it is, and what it is.
type Accepted = (StatusCode, Tagged<DeploymentOut>);

fn row(id: DeploymentId) -> String {
    format!("deployments/{id}")
}

/// Lists the deployments of a project, newest first.
#[utoipa::path(
    get, path = "/api/projects/{p}/deployments", tag = "deployments", params(Filter),
    responses((status = 200, body = Page<DeploymentOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    Path(p): Path<String>,
    Query(Filter { environment, search }): Query<Filter>,
    links: Links,
    paging: Paging,
    Seen(state): Seen,
) -> Result<Out<Page<DeploymentOut>>, ApiError> {
    let project = ids::project(&state, &p)?;
    let environment = match environment {
        Some(environment) => Some(ids::environment(&state, project, &environment)?.id),
        None => None,
    };
    let wanted = Wanted::read(environment, search)?;
    let newest_first = state.deployments.values().rev();
    let newest_first = newest_first.filter(|d| d.project == project.id && wanted.has(&state, d));
    let show = |deployment: &Deployment| DeploymentOut::of(&state, &links, deployment);
    Ok(Out(paging.page(newest_first, Order::Falling, |d| d.id.to_string(), show)))
}

/// Shows a deployment.
#[utoipa::path(
    get, path = "/api/projects/{p}/deployments/{d}", tag = "deployments",
    responses((status = 200, body = DeploymentOut))
)]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    links: Links,
    Seen(state): Seen,
) -> Result<Tagged<DeploymentOut>, ApiError> {
    let deployment = ids::deployment(&state, &path)?;
    Ok(Tagged::new(&state, &row(deployment.id), DeploymentOut::of(&state, &links, deployment)))
}

/// Asks for a deployment. It calls off what the environment still has under way.
#[utoipa::path(
    post, path = "/api/projects/{p}/deployments", tag = "deployments",
    request_body = DeploymentIn, responses((status = 201, body = DeploymentOut))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayDeploy(caller): MayDeploy,
    Path(p): Path<String>,
    links: Links,
    headers: HeaderMap,
    Json(DeploymentIn { environment, source, revision }): Json<DeploymentIn>,
) -> Result<Accepted, ApiError> {
    let state = context.cluster.read_latest().await?;
    let project = ids::project(&state, &p)?;
    let environment =
        ids::environment(&state, project, environment.as_deref().unwrap_or(PRODUCTION))?;
    let find = |d: &str| Ok(ids::deployment(&state, &(p.clone(), d.into()))?.id);
    let source = match source.read(Some(project), find)? {
        // What was answered before is the answer, wherever the source is by now.
        source if caller.was_answered(&state) => source,
        Source::Image { reference } => {
            Source::Image { reference: own_image(&state, &headers, reference)? }
        }
        Source::Upload { digest } => {
            ensure_upload(&context, &state, &digest).await?;
            source_copy::keep(&context, &state, &digest).await;
            Source::Upload { digest }
        }
        other => other,
    };
    let revision = revision.map(RevisionBody::read).transpose()?;
    let new = NewDeployment { id: fresh_id(), environment: environment.id, source, revision };
    let proposal = caller.asks(Command::CreateDeployment { deployment: new });
    propose(&context, &links, proposal, StatusCode::CREATED).await
}

/// The archive may have been sent to another node.
pub(crate) async fn ensure_upload(
    context: &Context,
    state: &Agreed,
    digest: &str,
) -> Result<(), ApiError> {
    match source_copy::obtain(context, state, digest).await {
        Err(BuildError::UploadMissing { .. }) => Err(ApiError::not_found("upload", digest)),
        obtained => Ok(obtained?),
    }
}

/// Proposes what answers with a deployment, and shows that.
async fn propose(
    context: &Context,
    links: &Links,
    proposal: Proposal,
    status: StatusCode,
) -> Result<Accepted, ApiError> {
    let (Reply::Deployment { id, .. }, state) = context.change(proposal).await? else {
        return Err(ApiError::UnexpectedReply);
    };
    Ok((status, shown(&state, links, id)?))
}

fn shown(
    state: &Applied,
    links: &Links,
    id: DeploymentId,
) -> Result<Tagged<DeploymentOut>, ApiError> {
    let deployment =
        state.deployments.get(&id).ok_or_else(|| ApiError::not_found("deployment", id))?;
    Ok(Tagged::new(state, &row(id), DeploymentOut::of(state, links, deployment)))
}

/// Calls a deployment off that is still under way.
#[utoipa::path(
    post, path = "/api/projects/{p}/deployments/{d}/cancel", tag = "deployments",
    responses((status = 200, body = DeploymentOut))
)]
pub(crate) async fn cancel(
    State(context): State<Shared>,
    MayDeploy(caller): MayDeploy,
    Path(path): Path<(String, String)>,
    links: Links,
    if_match: IfMatch,
) -> Result<Tagged<DeploymentOut>, ApiError> {
    let id = ids::deployment(&*context.cluster.read_latest().await?, &path)?.id;
    let reason = format!("cancelled by {}", caller.user.email);
    let mut proposal = caller.asks(Command::CancelDeployment { id, reason });
    proposal.condition = if_match.on(row(id));
    let (_, state) = context.change(proposal).await?;
    shown(&state, &links, id)
}

/// Goes back to a deployment: at once if it is kept ready, else by a new deployment of what it built.
#[utoipa::path(
    post, path = "/api/projects/{p}/deployments/{d}/rollback", tag = "deployments",
    responses((status = 202, body = DeploymentOut))
)]
pub(crate) async fn roll_back(
    State(context): State<Shared>,
    MayDeploy(caller): MayDeploy,
    Path(path): Path<(String, String)>,
    links: Links,
) -> Result<Accepted, ApiError> {
    let state = context.cluster.read_latest().await?;
    let to = ids::deployment(&state, &path)?;
    let command = match caller.was_answered(&state) {
        // It may be live by now, and what was answered before is the answer.
        true => Command::RollBack { environment: to.environment, to: to.id },
        false => way_back(to)?,
    };
    let proposal = caller.asks(command);
    propose(&context, &links, proposal, StatusCode::ACCEPTED).await
}

/// The command that makes a deployment live again.
fn way_back(to: &Deployment) -> Result<Command, ApiError> {
    let Deployment { id, environment, .. } = *to;
    match to.phase {
        Phase::Live => Err(ApiError::Conflict {
            code: "live_already",
            why: format!("deployment #{} is live already", to.number),
            hint: "name an earlier one: `temps deployments list` shows them",
        }),
        Phase::Kept => Ok(Command::RollBack { environment, to: id }),
        _ => {
            let source = Source::Artifact { of: id };
            let revision = to.revision.clone();
            let deployment = NewDeployment { id: fresh_id(), environment, source, revision };
            Ok(Command::CreateDeployment { deployment })
        }
    }
}
