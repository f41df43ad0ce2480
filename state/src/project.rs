//! Projects: what a team deploys.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::environment::{Environment, EnvironmentKind};
use crate::format::{FIRST, THIRD};
use crate::row::Value;
use crate::{EnvironmentId, Name, ProjectId, Rejected, Reply, Sealed, State};

/// The most projects a cluster holds.
pub const PROJECTS_MAX: usize = 10_000;

/// One app of a team: where its source comes from and how its pushes are handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The project's id.
    pub id: ProjectId,
    /// Its name, unique in the cluster and part of its host names.
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
    /// A disabled project answers 403 and deploys nothing.
    pub disabled: bool,
    /// Where its source is, when it comes from a Git server.
    pub repository: Option<Repository>,
    /// What a Git server signs its webhooks with; sealed at `project/<id>/webhook`.
    pub webhook_secret: Sealed,
    /// Whether a push to a branch other than production's makes a preview environment.
    pub previews: bool,
    /// How many deployments it has had; the next one's number is one more.
    pub deployments_made: u64,
    /// Other projects, whose apps may call this one's by their internal names. Known since the third format.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub callers: BTreeSet<ProjectId>,
}

/// A Git repository to deploy from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Any URL that Git can clone: https, ssh or file.
    pub url: String,
    /// The branch that production follows.
    pub branch: String,
    /// The folder of the app inside the repository; empty for its root.
    pub directory: String,
    /// The private SSH key that may read it; sealed at `project/<id>/deploy-key`.
    pub deploy_key: Option<Sealed>,
}

/// What may be changed of a project; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectChange {
    /// See [`Project::disabled`].
    pub disabled: Option<bool>,
    /// See [`Project::repository`].
    pub repository: Option<Repository>,
    /// Takes the repository away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_repository: bool,
    /// See [`Project::previews`].
    pub previews: Option<bool>,
    /// See [`Project::webhook_secret`].
    pub webhook_secret: Option<Sealed>,
}

impl ProjectChange {
    /// The names of what it changes, for the audit log.
    pub fn fields(&self) -> Vec<&'static str> {
        let named = [
            ("disabled", self.disabled.is_some()),
            ("repository", self.repository.is_some() || self.no_repository),
            ("previews", self.previews.is_some()),
            ("webhook secret", self.webhook_secret.is_some()),
        ];
        named.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }
}

impl Project {
    /// Where the webhook secret of a project is sealed.
    pub fn webhook_secret_place(id: ProjectId) -> String {
        format!("project/{id}/webhook")
    }

    /// Where the deploy key of a project is sealed.
    pub fn deploy_key_place(id: ProjectId) -> String {
        format!("project/{id}/deploy-key")
    }
}

impl Value for Project {
    fn since(&self) -> u8 {
        if self.callers.is_empty() { FIRST } else { THIRD }
    }
}

impl State {
    /// The project of that name.
    pub fn project_named(&self, name: &Name) -> Option<&Project> {
        self.project_names.get(name).and_then(|id| self.projects.get(id))
    }

    pub(crate) fn project(&self, id: ProjectId) -> Result<&Project, Rejected> {
        self.projects.get(&id).ok_or_else(|| Rejected::not_found("project", id))
    }

    /// Creates a project together with its production environment.
    pub(crate) fn create_project(
        &mut self,
        project: Project,
        production: EnvironmentId,
    ) -> Result<Reply, Rejected> {
        if self.projects.contains_key(&project.id) {
            return Err(Rejected::taken("project", project.id));
        }
        if self.project_names.contains_key(&project.name) {
            return Err(Rejected::taken("project", &project.name));
        }
        if self.projects.len() >= PROJECTS_MAX {
            return Err(Rejected::TooMany { noun: "projects".into(), max: PROJECTS_MAX });
        }
        let environment = Environment::new(production, &project, EnvironmentKind::Production);
        self.check_new_environment(&project, &environment)?;
        let id = project.id;
        self.project_names.insert(project.name.clone(), id);
        self.projects.insert(id, project);
        self.insert_environment(environment);
        Ok(Reply::Project { id, production })
    }

    pub(crate) fn change_project(
        &mut self,
        id: ProjectId,
        change: ProjectChange,
    ) -> Result<Reply, Rejected> {
        let mut project = self.project(id)?.clone();
        let ProjectChange { disabled, repository, no_repository, previews, webhook_secret } =
            change;
        project.disabled = disabled.unwrap_or(project.disabled);
        project.repository = repository.or(project.repository.filter(|_| !no_repository));
        project.previews = previews.unwrap_or(project.previews);
        project.webhook_secret = webhook_secret.unwrap_or(project.webhook_secret);
        self.projects.insert(id, project);
        Ok(Reply::Done)
    }

    pub(crate) fn delete_project(&mut self, id: ProjectId) -> Result<Reply, Rejected> {
        let name = self.project(id)?.name.clone();
        let environments: Vec<_> = self.environments_of(id).map(|e| e.id).collect();
        for environment in environments {
            self.remove_environment(environment);
        }
        self.project_names.remove(&name);
        self.projects.remove(&id);
        self.forget_caller(id);
        self.forget_policies();
        self.forget_guards();
        Ok(Reply::Done)
    }
}
