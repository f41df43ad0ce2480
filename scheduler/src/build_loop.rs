//! Builds the deployments that the leader gave to this node.

use std::collections::BTreeMap;

use temps_builder::{BuildRequest, Builder, LogLine, copies};
use temps_raft::Cluster;
use temps_state::{
    Command, Deployment, DeploymentId, Failure, FailureCode, Phase, Project, SealError, State,
    Variable, admits,
};
use tokio_util::sync::CancellationToken;

use crate::faults::is_node_fault;
use crate::proposer::insist;
use crate::runtime::LOG_TAIL_LINES;
use crate::work::{follow, is_mine};

/// Runs until cancelled. A build that a restart cut off begins again.
pub async fn run(cluster: Cluster, builder: Builder, cancel: CancellationToken) {
    let phase = Phase::Building { on: cluster.node_id() };
    let work = |id, cancel| build(cluster.clone(), builder.clone(), id, cancel);
    follow(cluster.clone(), cancel, phase, work).await;
}

async fn build(cluster: Cluster, builder: Builder, id: DeploymentId, cancel: CancellationToken) {
    let command = match request(&cluster, &cluster.state(), id) {
        None => return,
        Some(Ok(request)) => match builder.build(request, cancel.clone()).await {
            Ok(built) => Command::FinishBuild { id, built },
            Err(error) => failed(&cluster, id, error.failure(tail(&builder, id))),
        },
        Some(Err(error)) => Command::FailDeployment { id, failure: sealed(error) },
    };
    if let Command::ReturnBuild { by, failure, .. } = &command {
        let text = format!(
            "node {by} could not build: {}; another one is asked, if there is one",
            failure.message
        );
        builder.logs().append(id, LogLine::new("", text));
    }
    let phase = Phase::Building { on: cluster.node_id() };
    let proposal = insist(&cluster, command, id, &phase);
    cancel.run_until_cancelled(proposal).await;
    let preparing = Phase::Preparing { on: cluster.node_id() };
    if !is_mine(&cluster.state(), id, &preparing) {
        builder.logs().finish(id);
    }
}

/// What a node could not build through its own fault goes to another one; the leader says when there is none left.
fn failed(cluster: &Cluster, id: DeploymentId, failure: Failure) -> Command {
    let returned = Command::ReturnBuild { id, by: cluster.node_id(), failure: failure.clone() };
    let known = admits(cluster.state().nodes.values(), returned.format()).is_ok();
    match is_node_fault(failure.code) && known {
        true => returned,
        false => Command::FailDeployment { id, failure },
    }
}

fn tail(builder: &Builder, id: DeploymentId) -> Vec<String> {
    builder.logs().last(id, LOG_TAIL_LINES).into_iter().map(|line| line.text).collect()
}

fn sealed(error: SealError) -> Failure {
    Failure {
        code: FailureCode::Internal,
        message: format!("a secret of the project cannot be opened: {error}"),
        hint: "set the project's variables and deploy key again, then deploy again".into(),
        log_tail: vec![],
    }
}

/// What the builder needs to know; `None` when the deployment is gone.
fn request(
    cluster: &Cluster,
    state: &State,
    id: DeploymentId,
) -> Option<Result<BuildRequest, SealError>> {
    let deployment = state.deployments.get(&id)?;
    let project = state.projects.get(&deployment.project)?;
    let environment = state.environments.get(&deployment.environment)?;
    let fill = |deploy_key, variables| BuildRequest {
        deployment: id,
        project: project.name.clone(),
        environment: environment.name.clone(),
        source: deployment.source.clone(),
        revision: deployment.revision.clone(),
        deploy_key,
        variables,
        nodes: copies::candidates(state, cluster.node_id(), &deployment.holders),
        limits: state.settings().build,
    };
    let secrets = || Ok((deploy_key(cluster, project)?, variables(cluster, state, deployment)?));
    Some(secrets().map(|(deploy_key, variables)| fill(deploy_key, variables)))
}

fn deploy_key(cluster: &Cluster, project: &Project) -> Result<Option<String>, SealError> {
    let sealed = project.repository.as_ref().and_then(|repository| repository.deploy_key.as_ref());
    sealed.map(|sealed| cluster.open(&Project::deploy_key_place(project.id), sealed)).transpose()
}

fn variables(
    cluster: &Cluster,
    state: &State,
    deployment: &Deployment,
) -> Result<BTreeMap<temps_state::VariableName, String>, SealError> {
    let environment = deployment.environment;
    let open = |(name, variable): (&temps_state::VariableName, &Variable)| {
        let value = cluster.open(&Variable::place(environment, name), &variable.value)?;
        Ok((name.clone(), value))
    };
    state.variables_of(environment).map(open).collect()
}
