//! `/api/projects`: what teams deploy.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use temps_raft::{Applied, Cluster, fresh_id};
use temps_state::{
    Command, Name, Project, ProjectChange, ProjectId, Reply, Repository, State as Agreed,
};
use utoipa::ToSchema;

use crate::auth::{MayRead, MayWrite};
use crate::body::Json;
use crate::callers::callers_of;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::deployments::{checked_branch, checked_url};
use crate::environments::EnvironmentOut;
use crate::links::Links;
use crate::pages::{Order, Page, Paging};
use crate::{ApiError, ids, secrets};

/// The longest folder inside a repository, in octets.
pub const DIRECTORY_BYTES_MAX: usize = 512;
/// The longest deploy key, in octets.
pub const DEPLOY_KEY_BYTES_MAX: usize = 16 << 10;

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectOut {
    /// The project's id.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
    /// A disabled project answers 403 and deploys nothing.
    pub disabled: bool,
    /// Where its source is.
    pub repository: Option<RepositoryOut>,
    /// Whether a push to another branch than production's makes a preview environment.
    pub previews: bool,
    /// Where to `git push` its source.
    pub git_url: String,
    /// Where Git servers send its pushes.
    pub webhooks: WebhookUrls,
    /// Other projects, whose apps may call this one's by their internal names.
    #[schema(value_type = Vec<String>)]
    pub callers: Vec<Name>,
    /// Where it runs.
    pub environments: Vec<EnvironmentOut>,
}

/// A Git repository to deploy from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repository)]
pub struct RepositoryOut {
    /// Its URL, without credentials.
    pub url: String,
    /// The branch that production follows.
    pub branch: String,
    /// The folder of the app inside it; empty for its root.
    pub directory: String,
    /// Whether there is a private key that may read it.
    pub has_deploy_key: bool,
}

/// Where Git servers send a project's pushes.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookUrls {
    /// For GitHub.
    pub github: String,
    /// For GitLab.
    pub gitlab: String,
    /// For Gitea and Forgejo.
    pub gitea: String,
}

/// A project to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProject)]
pub struct ProjectIn {
    /// Its name: 1 to 31 lower-case letters, digits and inner hyphens.
    #[schema(value_type = String)]
    pub name: Name,
    /// Where its source is, when it comes from a Git server.
    pub repository: Option<RepositoryIn>,
    /// Whether pushes make preview environments.
    #[serde(default)]
    pub previews: bool,
}

/// A Git repository to deploy from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRepository)]
pub struct RepositoryIn {
    /// Any URL Git can clone: https, ssh or file.
    pub url: String,
    /// The branch that production follows; `main` when missing.
    pub branch: Option<String>,
    /// The folder of the app inside it.
    pub directory: Option<String>,
    /// The private SSH key that may read it. When missing, the one there is stays as long as the URL does; empty removes it.
    pub deploy_key: Option<String>,
}

/// What to change of a project.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProjectChange)]
pub struct ChangeIn {
    /// Whether it answers 403 and deploys nothing.
    pub disabled: Option<bool>,
    /// Where its source is; `null` takes the repository away, and left out it stays as it is.
    #[serde(default, deserialize_with = "some")]
    pub repository: Option<Option<RepositoryIn>>,
    /// Whether pushes make preview environments.
    pub previews: Option<bool>,
}

/// Tells `null` from what is left out.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A fresh webhook secret.
#[derive(Serialize, ToSchema)]
pub struct WebhookSecret {
    /// What the Git server must sign with, or send. Shown only here.
    pub secret: String,
}

impl ProjectOut {
    pub(crate) fn of(state: &Agreed, links: &Links, project: &Project) -> Self {
        let environments = state.environments_of(project.id);
        Self {
            id: project.id,
            name: project.name.clone(),
            created_at: project.created_at,
            disabled: project.disabled,
            repository: project.repository.as_ref().map(Into::into),
            previews: project.previews,
            git_url: links.git(project),
            webhooks: WebhookUrls {
                github: links.webhook("github", project),
                gitlab: links.webhook("gitlab", project),
                gitea: links.webhook("gitea", project),
            },
            callers: callers_of(state, project).map(|caller| caller.name.clone()).collect(),
            environments: environments.map(|e| EnvironmentOut::of(state, links, e)).collect(),
        }
    }
}

impl From<&Repository> for RepositoryOut {
    fn from(repository: &Repository) -> Self {
        Self {
            url: redacted(&repository.url),
            branch: repository.branch.clone(),
            directory: repository.directory.clone(),
            has_deploy_key: repository.deploy_key.is_some(),
        }
    }
}

impl RepositoryIn {
    /// The repository the cluster keeps; `before` is the one it replaces.
    fn read(
        self,
        cluster: &Cluster,
        project: ProjectId,
        before: Option<&Repository>,
    ) -> Result<Repository, ApiError> {
        let Self { url, branch, directory, deploy_key } = self;
        let before = before.filter(|before| url == before.url || url == redacted(&before.url));
        let directory =
            directory.map(|d| tidy_directory("repository.directory", &d)).transpose()?;
        let deploy_key = match deploy_key {
            None => before.and_then(|before| before.deploy_key.clone()),
            Some(key) if key.trim().is_empty() => None,
            Some(key) if key.len() > DEPLOY_KEY_BYTES_MAX => {
                return Err(ApiError::invalid(
                    "repository.deploy_key",
                    "this is too long for a key",
                ));
            }
            Some(key) => Some(cluster.seal(&Project::deploy_key_place(project), &key)?),
        };
        Ok(Repository {
            // Who sends back what was shown means the URL with its credentials.
            url: match before {
                Some(before) => before.url.clone(),
                None => checked_url("repository.url", url)?,
            },
            branch: checked_branch("repository.branch", branch.unwrap_or_else(|| "main".into()))?,
            directory: directory.unwrap_or_default(),
            deploy_key,
        })
    }
}

/// A URL without the user and password that may stand in it.
pub(crate) fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, host)) if scheme != "ssh" || user.contains(':') => {
            format!("{scheme}://{host}{}", &rest[authority.len()..])
        }
        _ => url.into(),
    }
}

/// A folder inside a repository, without slashes at its ends and without ways out of it.
pub(crate) fn tidy_directory(field: &str, text: &str) -> Result<String, ApiError> {
    let steps: Vec<&str> = text.split('/').filter(|s| !s.is_empty() && *s != ".").collect();
    let bad = steps.contains(&"..") || text.contains(|c: char| c.is_control() || c == ':');
    match bad || text.len() > DIRECTORY_BYTES_MAX {
        true => Err(ApiError::invalid(field, "this is not a folder inside the repository")),
        false => Ok(steps.join("/")),
    }
}

fn row(id: ProjectId) -> String {
    format!("projects/{id}")
}

fn shown(state: &Applied, links: &Links, id: ProjectId) -> Result<Tagged<ProjectOut>, ApiError> {
    let project = state.projects.get(&id).ok_or_else(|| ApiError::not_found("project", id))?;
    Ok(Tagged::new(state, &row(id), ProjectOut::of(state, links, project)))
}

/// Lists the projects.
#[utoipa::path(get, path = "/api/projects", tag = "projects", responses((status = 200, body = Page<ProjectOut>)))]
pub(crate) async fn list(
    MayRead(_): MayRead,
    links: Links,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<ProjectOut>> {
    let show = |project: &Project| ProjectOut::of(&state, &links, project);
    Out(paging.page(state.projects.values(), Order::Rising, |p| p.id.to_string(), show))
}

/// Shows a project.
#[utoipa::path(get, path = "/api/projects/{p}", tag = "projects", responses((status = 200, body = ProjectOut)))]
pub(crate) async fn show(
    MayRead(_): MayRead,
    Path(p): Path<String>,
    links: Links,
    Seen(state): Seen,
) -> Result<Tagged<ProjectOut>, ApiError> {
    shown(&state, &links, ids::project(&state, &p)?.id)
}

/// Creates a project with its production environment.
#[utoipa::path(
    post, path = "/api/projects", tag = "projects",
    request_body = ProjectIn, responses((status = 201, body = ProjectOut))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    links: Links,
    Json(ProjectIn { name, repository, previews }): Json<ProjectIn>,
) -> Result<(StatusCode, Tagged<ProjectOut>), ApiError> {
    let id = fresh_id();
    let cluster = &context.cluster;
    let repository = repository.map(|repository| repository.read(cluster, id, None)).transpose()?;
    let webhook_secret = cluster.seal(&Project::webhook_secret_place(id), &secrets::fresh())?;
    let project = Project {
        id,
        name,
        created_at: Timestamp::now(),
        disabled: false,
        repository,
        webhook_secret,
        previews,
        deployments_made: 0,
        callers: Default::default(),
    };
    let proposal = caller.asks(Command::CreateProject { project, production: fresh_id() });
    let (Reply::Project { id, .. }, state) = context.change(proposal).await? else {
        return Err(ApiError::UnexpectedReply);
    };
    Ok((StatusCode::CREATED, shown(&state, &links, id)?))
}

/// Changes a project.
#[utoipa::path(
    patch, path = "/api/projects/{p}", tag = "projects",
    request_body = ChangeIn, responses((status = 200, body = ProjectOut))
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
    links: Links,
    if_match: IfMatch,
    Json(ChangeIn { disabled, repository, previews }): Json<ChangeIn>,
) -> Result<Tagged<ProjectOut>, ApiError> {
    let state = context.cluster.read_latest().await?;
    let project = ids::project(&state, &p)?;
    let id = project.id;
    let read = |body: RepositoryIn| body.read(&context.cluster, id, project.repository.as_ref());
    let no_repository = matches!(repository, Some(None));
    let repository = repository.flatten().map(read).transpose()?;
    let change =
        ProjectChange { disabled, repository, no_repository, previews, webhook_secret: None };
    let mut proposal = caller.asks(Command::ChangeProject { id, change });
    proposal.condition = if_match.on(row(id));
    let (_, state) = context.change(proposal).await?;
    shown(&state, &links, id)
}

/// Deletes a project with everything in it.
#[utoipa::path(delete, path = "/api/projects/{p}", tag = "projects", responses((status = 204)))]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let mut gone = None;
    let found = |state: &Agreed| {
        let id = ids::project(state, &p)?.id;
        gone = Some(id);
        Ok((row(id), Command::DeleteProject { id }))
    };
    let answer = deletion.of(&context, &caller, found).await?;
    if let Some(id) = gone {
        context.repositories.remove(id).await;
    }
    Ok(answer)
}

/// Makes a new webhook secret; the one before stops working.
#[utoipa::path(
    post, path = "/api/projects/{p}/webhook-secret", tag = "projects",
    responses((status = 200, body = WebhookSecret))
)]
pub(crate) async fn rotate_webhook_secret(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(p): Path<String>,
) -> Result<Out<WebhookSecret>, ApiError> {
    let id = ids::project(&*context.cluster.read_latest().await?, &p)?.id;
    let request = caller.request();
    let secret = secrets::fresh_for(&context.cluster, request.as_deref(), "webhook");
    let sealed = context.cluster.seal(&Project::webhook_secret_place(id), &secret)?;
    let change = ProjectChange { webhook_secret: Some(sealed), ..ProjectChange::default() };
    let proposal = caller.asks(Command::ChangeProject { id, change });
    context.change(proposal).await?;
    Ok(Out(WebhookSecret { secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show() {
        for (url, shown) in [
            ("https://me:tok3n@host/a.git", "https://host/a.git"),
            ("https://tok3n@host", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("ssh://git@host/a", "ssh://git@host/a"),
            ("ssh://git:pw@host/a", "ssh://host/a"),
            ("git@host:a.git", "git@host:a.git"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn folders_stay_inside() {
        let tidy = |text| tidy_directory("d", text).ok();
        assert_eq!(tidy("/apps/web/"), Some("apps/web".into()));
        assert_eq!(tidy("./"), Some(String::new()));
        for bad in ["..", "a/../b", "a:b", "a\0"] {
            assert_eq!(tidy(bad), None, "{bad:?}");
        }
    }
}
