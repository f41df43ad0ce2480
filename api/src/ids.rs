//! What the path's `{p}`, `{e}`, `{d}` and `{r}` name: ids, or what people call things.

use temps_state::{
    Deployment, DeploymentId, Environment, EnvironmentId, Project, ProjectId, Replica, ReplicaId,
    State,
};

use crate::ApiError;

/// The project of that name or id.
pub(crate) fn project<'a>(state: &'a State, text: &str) -> Result<&'a Project, ApiError> {
    let by_id = text.parse::<ProjectId>().ok().and_then(|id| state.projects.get(&id));
    let by_name = || text.parse().ok().and_then(|name| state.project_named(&name));
    by_id.or_else(by_name).ok_or_else(|| ApiError::not_found("project", text))
}

/// The environment of that name or id in a project.
pub(crate) fn environment<'a>(
    state: &'a State,
    project: &Project,
    text: &str,
) -> Result<&'a Environment, ApiError> {
    let by_id = text.parse::<EnvironmentId>().ok().and_then(|id| state.environments.get(&id));
    let by_name = || text.parse().ok().and_then(|name| state.environment_named(project.id, &name));
    by_id
        .filter(|environment| environment.project == project.id)
        .or_else(by_name)
        .ok_or_else(|| ApiError::not_found("environment", text))
}

/// The environment that both segments of a path name.
pub(crate) fn place<'a>(
    state: &'a State,
    (p, e): &(String, String),
) -> Result<(&'a Project, &'a Environment), ApiError> {
    let project = project(state, p)?;
    Ok((project, environment(state, project, e)?))
}

/// The deployment of that number or id in a project.
pub(crate) fn deployment<'a>(
    state: &'a State,
    (p, d): &(String, String),
) -> Result<&'a Deployment, ApiError> {
    let project = project(state, p)?;
    let by_id = d.parse::<DeploymentId>().ok().and_then(|id| state.deployments.get(&id));
    let by_number = || {
        let number: u64 = d.trim_start_matches('#').parse().ok()?;
        state.deployments.values().find(|d| d.project == project.id && d.number == number)
    };
    by_id
        .filter(|deployment| deployment.project == project.id)
        .or_else(by_number)
        .ok_or_else(|| ApiError::not_found("deployment", d))
}

/// The replica of that id in an environment.
pub(crate) fn replica<'a>(
    state: &'a State,
    environment: &Environment,
    text: &str,
) -> Result<&'a Replica, ApiError> {
    text.parse::<ReplicaId>()
        .ok()
        .and_then(|id| state.replicas.get(&id))
        .filter(|replica| replica.environment == environment.id)
        .ok_or_else(|| ApiError::not_found("replica", text))
}
