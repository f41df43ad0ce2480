//! `/api/webhook/git/{server}/{p}`: what Git servers send when somebody pushes.

mod gitea;
mod github;
mod gitlab;
mod payload;

use std::net::IpAddr;

use axum::Json as Out;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use temps_raft::Proposal;
use temps_state::{Actor, DeploymentId, Project, Revision, Source};
use utoipa::ToSchema;

use self::payload::Event;
use crate::ApiError;
use crate::body::BODY_TIMEOUT;
use crate::context::{Context, Shared};
use crate::idempotency::scoped;
use crate::push::{Decision, Pusher, decide, environment_name};
use crate::secrets::{hmac_sha256, same, sha256_hex};
use crate::session::ClientAddress;

/// The longest body of a webhook, in octets.
pub const WEBHOOK_BYTES_MAX: usize = 8 << 20;

/// Whose webhook it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Server {
    Github,
    Gitlab,
    Gitea,
}

/// What a webhook did.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookOutcome {
    /// `deployed`, `deleted` or `ignored`.
    pub outcome: &'static str,
    /// What was done, or why nothing was.
    pub detail: String,
    /// The deployment that was made.
    #[schema(value_type = Option<String>)]
    pub deployment: Option<DeploymentId>,
    /// Its number in the project.
    pub number: Option<u64>,
}

impl Server {
    fn is_authentic(self, headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
        match self {
            Self::Github => github::is_authentic(headers, body, secret),
            Self::Gitlab => gitlab::is_authentic(headers, secret),
            Self::Gitea => gitea::is_authentic(headers, body, secret),
        }
    }

    fn is_push(self, headers: &HeaderMap) -> bool {
        match self {
            Self::Github => github::is_push(headers),
            Self::Gitlab => gitlab::is_push(headers),
            Self::Gitea => gitea::is_push(headers),
        }
    }

    fn delivery(self, headers: &HeaderMap) -> Option<&str> {
        match self {
            Self::Github => github::delivery(headers),
            Self::Gitlab => gitlab::delivery(headers),
            Self::Gitea => gitea::delivery(headers),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether `hex` is the HMAC-SHA256 of the body.
fn hmac_matches(hex: &str, body: &[u8], secret: &str) -> bool {
    let wanted = hmac_sha256(secret.as_bytes(), body);
    hex::decode(hex).is_ok_and(|given| same(&given, &wanted))
}

/// Deploys what a Git server says was pushed. Only a body with the project's secret or signature is believed.
#[utoipa::path(
    post, path = "/api/webhook/git/{server}/{p}", tag = "webhooks", security(()),
    request_body(content = Object, description = "The push event of GitHub, GitLab or Gitea"),
    responses((status = 200, body = WebhookOutcome), (status = 202, body = WebhookOutcome))
)]
pub(crate) async fn receive(
    State(context): State<Shared>,
    Path((server, p)): Path<(Server, String)>,
    ClientAddress(from): ClientAddress,
    request: Request,
) -> Result<(StatusCode, Out<WebhookOutcome>), ApiError> {
    let state = context.cluster.state();
    // A project that is not there is not told from a wrong secret.
    let project = crate::ids::project(&state, &p).map_err(|_| ApiError::WrongSignature)?;
    let (parts, body) = request.into_parts();
    let _slot = context.webhook_slot().await?;
    let reading = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, WEBHOOK_BYTES_MAX)).await;
    let body = reading.map_err(|_| ApiError::BodyInterrupted)?;
    let body = body.map_err(|_| ApiError::BodyTooLarge { max: WEBHOOK_BYTES_MAX as u64 })?;
    let place = Project::webhook_secret_place(project.id);
    let secret = context.cluster.open(&place, &project.webhook_secret)?;
    if !server.is_authentic(&parts.headers, &body, &secret) {
        return Err(ApiError::WrongSignature);
    }
    if !server.is_push(&parts.headers) {
        return Ok(ignored("only pushes are deployed".into()));
    }
    let delivery = server.delivery(&parts.headers);
    let delivery = delivery.map_or_else(|| sha256_hex(&body), ToString::to_string);
    let pusher = pusher(project, from, &delivery);
    match payload::read(&parts.headers, &body)? {
        Event::Other(why) => Ok(ignored(why)),
        Event::Push(push) => {
            let decision = decide(&context.cluster.state(), project, push);
            carry_out(&context, project, &pusher, decision).await
        }
    }
}

/// The project itself as who asks, once for every delivery.
fn pusher(project: &Project, from: Option<IpAddr>, delivery: &str) -> Pusher {
    let actor = Actor::Webhook { project: project.id };
    let request = scoped(&["webhook", &project.id.to_string(), delivery]);
    let asks = move |command| Proposal { from, ..Proposal::new(actor.clone(), command) };
    Pusher { asks: Box::new(asks), request: Some(request) }
}

async fn carry_out(
    context: &Context,
    project: &Project,
    pusher: &Pusher,
    decision: Decision,
) -> Result<(StatusCode, Out<WebhookOutcome>), ApiError> {
    let (revision, target) = match decision {
        Decision::Ignore(why) => return Ok(ignored(why)),
        Decision::Delete(id) => {
            pusher.delete(context, id).await?;
            let detail = "the branch's preview environment is deleted".into();
            return Ok(outcome(StatusCode::OK, "deleted", detail, None));
        }
        Decision::Deploy { revision, target } => (revision, target),
    };
    let source = source(project, &revision)?;
    let (id, number) = pusher.deploy(context, project.id, target, source, revision).await?;
    let environment = environment_name(&context.cluster.state(), id);
    let detail = format!("deployment #{number} of {environment}");
    Ok(outcome(StatusCode::ACCEPTED, "deployed", detail, Some((id, number))))
}

/// The pushed commit, from the project's own repository: the body's URLs are not used.
fn source(project: &Project, revision: &Revision) -> Result<Source, ApiError> {
    let repository = project.repository.clone().ok_or(ApiError::Conflict {
        code: "no_repository",
        why: format!("project {} has no repository to fetch from", project.name),
        hint: "set one: PATCH /api/projects/{p} with {\"repository\": {\"url\": …}}",
    })?;
    Ok(Source::Git {
        url: repository.url,
        branch: revision.branch.clone(),
        commit: Some(revision.commit.clone()),
        directory: repository.directory,
    })
}

fn ignored(why: String) -> (StatusCode, Out<WebhookOutcome>) {
    outcome(StatusCode::OK, "ignored", why, None)
}

fn outcome(
    status: StatusCode,
    outcome: &'static str,
    detail: String,
    deployment: Option<(DeploymentId, u64)>,
) -> (StatusCode, Out<WebhookOutcome>) {
    let (deployment, number) = deployment.unzip();
    (status, Out(WebhookOutcome { outcome, detail, deployment, number }))
}
