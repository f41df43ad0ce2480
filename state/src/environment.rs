//! Environments: where a project's deployments run, each under its own host name with its own variables.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::table::retain;
use crate::{
    Artifact, DeploymentId, EnvironmentId, Name, Project, ProjectId, Rejected, Reply, Sealed,
    State, VariableName,
};

/// The name of the environment every project starts with.
pub const PRODUCTION: &str = "production";
/// The domain of the names by which apps reach each other on every node: `<project>-<environment>.temps.internal`.
pub const INTERNAL_DOMAIN: &str = "temps.internal";
/// The most environments a project has.
pub const ENVIRONMENTS_MAX: usize = 100;
/// The most replicas an environment asks for.
pub const REPLICAS_MAX: u32 = 100;
/// The most variables an environment has.
pub const VARIABLES_MAX: usize = 500;

/// A place where one deployment of a project is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The environment's id.
    pub id: EnvironmentId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its name, unique in the project and part of its host name.
    pub name: Name,
    /// What it is for.
    pub kind: EnvironmentKind,
    /// How many replicas its deployment runs.
    pub replicas: u32,
    /// The deployment that its route points at.
    pub current: Option<DeploymentId>,
    /// The previous good deployment, kept ready for a rollback.
    pub kept: Option<DeploymentId>,
}

/// What an environment is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EnvironmentKind {
    /// The one that users see.
    Production,
    /// The state of a branch other than production's.
    Preview {
        /// The branch it follows.
        branch: String,
    },
}

/// A variable of an environment, given to its builds and replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The value; sealed at [`Variable::place`].
    pub value: Sealed,
    /// A secret's value is never shown again.
    pub secret: bool,
    /// When it was last set.
    pub updated_at: Timestamp,
}

impl Variable {
    /// Where the value of a variable is sealed.
    pub fn place(environment: EnvironmentId, name: &VariableName) -> String {
        format!("variable/{environment}/{name}")
    }
}

impl Environment {
    /// A fresh environment of a project, with one replica.
    pub fn new(id: EnvironmentId, project: &Project, kind: EnvironmentKind) -> Self {
        let name = match &kind {
            EnvironmentKind::Production => None,
            EnvironmentKind::Preview { branch } => Name::slug(branch),
        };
        let name = name.unwrap_or_else(|| PRODUCTION.parse().expect("`production` is a name"));
        Self { id, project: project.id, name, kind, replicas: 1, current: None, kept: None }
    }
}

/// The first label of an environment's host name: `<project>-<environment>`.
pub fn host_label(project: &Name, environment: &Name) -> String {
    format!("{project}-{environment}")
}

impl State {
    /// The environments of a project, oldest first.
    pub fn environments_of(&self, project: ProjectId) -> impl Iterator<Item = &Environment> {
        self.environments.values().filter(move |e| e.project == project)
    }

    /// The environment of that name in a project.
    pub fn environment_named(&self, project: ProjectId, name: &Name) -> Option<&Environment> {
        self.environments_of(project).find(|e| e.name == *name)
    }

    /// The host name that serves an environment on the preview domain.
    pub fn host_of(&self, environment: &Environment) -> Option<String> {
        let project = self.projects.get(&environment.project)?;
        let label = host_label(&project.name, &environment.name);
        Some(format!("{label}.{}", self.settings().preview_domain))
    }

    /// How many replicas should serve an environment: none for a static site, which the edge serves itself.
    pub fn replicas_wanted(&self, environment: &Environment) -> u32 {
        let current = environment.current.and_then(|id| self.deployments.get(&id));
        match current.and_then(|deployment| deployment.artifact.as_ref()) {
            Some(Artifact::Static { .. }) => 0,
            _ => environment.replicas,
        }
    }

    /// The variables of an environment by name.
    pub fn variables_of(
        &self,
        environment: EnvironmentId,
    ) -> impl Iterator<Item = (&VariableName, &Variable)> {
        self.variables
            .iter()
            .filter(move |((of, _), _)| *of == environment)
            .map(|((_, name), variable)| (name, variable))
    }

    pub(crate) fn environment(&self, id: EnvironmentId) -> Result<&Environment, Rejected> {
        self.environments.get(&id).ok_or_else(|| Rejected::not_found("environment", id))
    }

    pub(crate) fn create_environment(
        &mut self,
        id: EnvironmentId,
        project: ProjectId,
        branch: String,
    ) -> Result<Reply, Rejected> {
        let project = self.project(project)?.clone();
        if Name::slug(&branch).is_none() {
            return Err(Rejected::Invalid {
                what: "branch".into(),
                why: "it has no letter".into(),
            });
        }
        let environment = Environment::new(id, &project, EnvironmentKind::Preview { branch });
        self.check_new_environment(&project, &environment)?;
        self.insert_environment(environment);
        Ok(Reply::Environment { id })
    }

    pub(crate) fn check_new_environment(
        &self,
        project: &Project,
        environment: &Environment,
    ) -> Result<(), Rejected> {
        let label = host_label(&project.name, &environment.name);
        if self.environments.contains_key(&environment.id) {
            return Err(Rejected::taken("environment", environment.id));
        }
        if self.environment_named(project.id, &environment.name).is_some() {
            return Err(Rejected::taken("environment", &environment.name));
        }
        if self.hosts.contains_key(&label) {
            return Err(Rejected::taken("host name", label));
        }
        if self.environments_of(project.id).count() >= ENVIRONMENTS_MAX {
            return Err(Rejected::TooMany { noun: "environments".into(), max: ENVIRONMENTS_MAX });
        }
        Ok(())
    }

    pub(crate) fn insert_environment(&mut self, environment: Environment) {
        if let Some(project) = self.projects.get(&environment.project) {
            self.hosts.insert(host_label(&project.name, &environment.name), environment.id);
        }
        self.environments.insert(environment.id, environment);
    }

    pub(crate) fn delete_environment(&mut self, id: EnvironmentId) -> Result<Reply, Rejected> {
        if self.environment(id)?.kind == EnvironmentKind::Production {
            return Err(Rejected::Invalid {
                what: "environment".into(),
                why: "production goes only with its project".into(),
            });
        }
        self.remove_environment(id);
        Ok(Reply::Done)
    }

    pub(crate) fn remove_environment(&mut self, id: EnvironmentId) {
        self.environments.remove(&id);
        self.forget_policies();
        self.forget_guards();
        self.forget_previews_of(id);
        retain(&mut self.hosts, |_, of| *of != id);
        self.forget_environment(id);
        retain(&mut self.variables, |(of, _), _| *of != id);
        retain(&mut self.deployments, |_, deployment| deployment.environment != id);
        retain(&mut self.replicas, |_, replica| replica.environment != id);
    }

    pub(crate) fn set_replicas(
        &mut self,
        id: EnvironmentId,
        replicas: u32,
    ) -> Result<Reply, Rejected> {
        if replicas > REPLICAS_MAX {
            return Err(Rejected::TooMany { noun: "replicas".into(), max: REPLICAS_MAX as usize });
        }
        let mut environment = self.environment(id)?.clone();
        environment.replicas = replicas;
        self.environments.insert(id, environment);
        Ok(Reply::Done)
    }

    pub(crate) fn set_variables(
        &mut self,
        id: EnvironmentId,
        variables: Vec<(VariableName, Variable)>,
    ) -> Result<Reply, Rejected> {
        self.environment(id)?;
        let there = self.variables_of(id).count();
        let is_new = |name: &VariableName| !self.variables.contains_key(&(id, name.clone()));
        let new = variables.iter().filter(|(name, _)| is_new(name)).count();
        if there + new > VARIABLES_MAX {
            return Err(Rejected::TooMany { noun: "variables".into(), max: VARIABLES_MAX });
        }
        for (name, variable) in variables {
            self.variables.insert((id, name), variable);
        }
        Ok(Reply::Done)
    }

    pub(crate) fn unset_variable(
        &mut self,
        id: EnvironmentId,
        name: VariableName,
    ) -> Result<Reply, Rejected> {
        let key = (id, name);
        match self.variables.remove(&key) {
            Some(_) => Ok(Reply::Done),
            None => Err(Rejected::not_found("variable", key.1)),
        }
    }
}
