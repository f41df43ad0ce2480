//! What a push to a branch does, whether it came to this node or a webhook told of it.

use temps_raft::{Proposal, fresh_id};
use temps_state::{
    Command, DeploymentId, Environment, EnvironmentId, EnvironmentKind, NewDeployment, PRODUCTION,
    Project, ProjectId, Rejected, Reply, Revision, Source, State,
};

use crate::ApiError;
use crate::context::Context;
use crate::environments::refuse_server_label;

/// The branches that production follows in a project without repository.
const PRODUCTION_BRANCHES: [&str; 2] = ["main", "master"];

/// A branch that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// The branch.
    pub branch: String,
    /// Where it is now; `None` when it was deleted.
    pub tip: Option<Revision>,
}

/// What a push calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing, for this reason.
    Ignore(String),
    /// A deployment.
    Deploy {
        /// Of this.
        revision: Revision,
        /// There.
        target: Target,
    },
    /// The end of a preview environment.
    Delete(EnvironmentId),
}

/// Where a push is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An environment that is there.
    Here(EnvironmentId),
    /// A new preview environment of that branch.
    Preview(String),
}

/// What a push calls for. Pure.
pub(crate) fn decide(state: &State, project: &Project, push: Push) -> Decision {
    let Push { branch, tip } = push;
    let of_branch = environment_of(state, project, &branch);
    match (tip, of_branch) {
        (Some(revision), Some(environment)) => {
            Decision::Deploy { revision, target: Target::Here(environment.id) }
        }
        (Some(revision), None) if project.previews => {
            Decision::Deploy { revision, target: Target::Preview(branch) }
        }
        (Some(_), None) => Decision::Ignore(format!(
            "branch `{branch}` is not production's, and the project makes no preview environments"
        )),
        (None, Some(Environment { id, kind: EnvironmentKind::Preview { .. }, .. })) => {
            Decision::Delete(*id)
        }
        (None, Some(_)) => Decision::Ignore("production stays without its branch".into()),
        (None, None) => Decision::Ignore(format!("branch `{branch}` has no environment")),
    }
}

/// The environment that follows a branch.
fn environment_of<'a>(
    state: &'a State,
    project: &Project,
    branch: &str,
) -> Option<&'a Environment> {
    let is_productions = match &project.repository {
        Some(repository) => repository.branch == branch,
        None => PRODUCTION_BRANCHES.contains(&branch),
    };
    state.environments_of(project.id).find(|environment| match &environment.kind {
        EnvironmentKind::Production => is_productions,
        EnvironmentKind::Preview { branch: followed } => followed == branch && !is_productions,
    })
}

/// Who asks for what a push calls for, and under which idempotency key.
pub(crate) struct Pusher {
    /// A proposal in their name, for any command.
    pub asks: Box<dyn Fn(Command) -> Proposal + Send + Sync>,
    /// What tells this push from others; a second one with the same changes nothing.
    pub request: Option<String>,
}

impl Pusher {
    fn proposal(&self, step: &str, command: Command) -> Proposal {
        let mut proposal = (self.asks)(command);
        proposal.request = self.request.as_ref().map(|request| format!("{request}/{step}"));
        proposal
    }

    /// Creates a deployment where the push wants it, with its preview environment if that is missing.
    pub async fn deploy(
        &self,
        context: &Context,
        project: ProjectId,
        target: Target,
        source: Source,
        revision: Revision,
    ) -> Result<(DeploymentId, u64), ApiError> {
        let environment = match target {
            Target::Here(id) => id,
            Target::Preview(branch) => self.preview(context, project, branch).await?,
        };
        let revision = Some(revision);
        let deployment = NewDeployment { id: fresh_id(), environment, source, revision };
        let command = Command::CreateDeployment { deployment };
        match context.change(self.proposal("deployment", command)).await? {
            (Reply::Deployment { id, number }, _) => Ok((id, number)),
            _ => Err(ApiError::UnexpectedReply),
        }
    }

    async fn preview(
        &self,
        context: &Context,
        project: ProjectId,
        branch: String,
    ) -> Result<EnvironmentId, ApiError> {
        if let Some(project) = context.cluster.state().projects.get(&project) {
            refuse_server_label(project, &branch)?;
        }
        let command =
            Command::CreateEnvironment { id: fresh_id(), project, branch: branch.clone() };
        match context.change(self.proposal("environment", command)).await {
            Ok((Reply::Environment { id }, _)) => Ok(id),
            Ok(_) => Err(ApiError::UnexpectedReply),
            Err(error) => {
                let state = context.cluster.state();
                let there =
                    state.projects.get(&project).and_then(|p| environment_of(&state, p, &branch));
                there.map(|environment| environment.id).ok_or_else(|| name_taken(error, &branch))
            }
        }
    }

    /// Deletes a preview environment.
    pub async fn delete(&self, context: &Context, id: EnvironmentId) -> Result<(), ApiError> {
        context.change(self.proposal("delete", Command::DeleteEnvironment { id })).await?;
        Ok(())
    }
}

/// Says which branch is in the way of another.
fn name_taken(error: ApiError, branch: &str) -> ApiError {
    use temps_raft::ProposeError::Rejected as Refused;
    match error {
        ApiError::Propose(Refused(Rejected::Taken { noun, name })) => ApiError::Conflict {
            code: "taken",
            why: format!("branch `{branch}` would get the {noun} {name}, which another one has"),
            hint: "rename the branch, or delete the other environment",
        },
        other => other,
    }
}

/// What to call an environment in a sentence.
pub(crate) fn environment_name(state: &State, id: DeploymentId) -> String {
    let environment = state.deployments.get(&id).map(|deployment| deployment.environment);
    let environment = environment.and_then(|id| state.environments.get(&id));
    environment.map_or_else(|| PRODUCTION.to_string(), |environment| environment.name.to_string())
}

#[cfg(test)]
mod tests {
    use temps_state::{Actor, ClusterKey, Entry, Id, NodeId, ProjectChange, Repository};

    use super::*;

    fn apply(state: &mut State, index: u64, command: Command) {
        let actor = Actor::Node { id: NodeId(1) };
        let at = jiff::Timestamp::UNIX_EPOCH;
        let entry = Entry { at, actor, from: None, request: None, condition: None, command };
        state.apply(index, entry).unwrap();
    }

    fn project() -> (State, ProjectId) {
        let id = ProjectId::from_parts(1, 1);
        let webhook_secret = ClusterKey::new([0; 32]).seal([0; 12], "p", "s").unwrap();
        let project = Project {
            id,
            name: "shop".parse().unwrap(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            disabled: false,
            repository: None,
            webhook_secret,
            previews: false,
            deployments_made: 0,
            callers: Default::default(),
        };
        let mut state = State::default();
        let production = EnvironmentId::from_parts(1, 1);
        apply(&mut state, 1, Command::CreateProject { project, production });
        (state, id)
    }

    fn revision() -> Revision {
        Revision { branch: None, commit: "a".repeat(40), message: "m".into(), author: "me".into() }
    }

    fn decision(state: &State, branch: &str, moved: bool) -> Decision {
        let project = state.projects.values().next().unwrap();
        decide(state, project, Push { branch: branch.into(), tip: moved.then(revision) })
    }

    #[test]
    fn production_follows_its_branch_only() {
        let (mut state, id) = project();
        let production = Target::Here(EnvironmentId::from_parts(1, 1));
        let deploy = Decision::Deploy { revision: revision(), target: production };
        for branch in PRODUCTION_BRANCHES {
            assert_eq!(decision(&state, branch, true), deploy);
        }
        assert!(matches!(decision(&state, "feature", true), Decision::Ignore(_)));
        assert!(matches!(decision(&state, "main", false), Decision::Ignore(_)));
        let repository = Repository {
            url: "https://host/a".into(),
            branch: "release".into(),
            directory: String::new(),
            deploy_key: None,
        };
        let change = ProjectChange { repository: Some(repository), ..ProjectChange::default() };
        apply(&mut state, 2, Command::ChangeProject { id, change });
        assert_eq!(decision(&state, "release", true), deploy);
        assert!(matches!(decision(&state, "main", true), Decision::Ignore(_)));
    }

    #[test]
    fn branches_have_previews_where_the_project_wants_them() {
        let (mut state, id) = project();
        let change = ProjectChange { previews: Some(true), ..ProjectChange::default() };
        apply(&mut state, 2, Command::ChangeProject { id, change });
        let new = Target::Preview("feature/x".into());
        let deploy = Decision::Deploy { revision: revision(), target: new };
        assert_eq!(decision(&state, "feature/x", true), deploy);
        assert!(matches!(decision(&state, "feature/x", false), Decision::Ignore(_)));
        let preview = EnvironmentId::from_parts(2, 2);
        let branch = "feature/x".to_string();
        apply(&mut state, 3, Command::CreateEnvironment { id: preview, project: id, branch });
        let deploy = Decision::Deploy { revision: revision(), target: Target::Here(preview) };
        assert_eq!(decision(&state, "feature/x", true), deploy);
        assert_eq!(decision(&state, "feature/x", false), Decision::Delete(preview));
    }
}
