//! Runs the `beforeDeploy` commands of deployments, once each, in a container like a replica's.

use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures::StreamExt;
use temps_builder::{BuildLogs, Builder, LogLine};
use temps_state::{Command, DeploymentId, Failure, FailureCode, Phase};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::SchedulerError;
use crate::proposer::insist;
use crate::rollout::PREPARE_MAX;
use crate::runtime::{LOG_TAIL_LINES, Runtime, text};
use crate::spec::Site;
use crate::work::follow;

/// The step that the commands' output has in the deployment's log.
pub const STEP: &str = "beforeDeploy";
/// Between two looks at a container whose log stream ended while it runs, as when the engine is restarted.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Runs until cancelled. The container of a deployment that leaves the phase is removed by the reconcile loop.
pub async fn run(site: Site, runtime: Runtime, builder: Builder, cancel: CancellationToken) {
    let (cluster, phase) = (site.cluster.clone(), Phase::Preparing { on: site.cluster.node_id() });
    let work = |id, cancel: CancellationToken| {
        let logs = builder.logs().clone();
        let work = prepare(site.clone(), runtime.clone(), logs.clone(), id);
        async move {
            cancel.run_until_cancelled(work).await;
            logs.finish(id);
        }
    };
    follow(cluster, cancel, phase, work).await;
}

async fn prepare(site: Site, runtime: Runtime, logs: BuildLogs, id: DeploymentId) {
    let command = match timeout(PREPARE_MAX, perform(&site, &runtime, &logs, id)).await {
        Ok(Ok(None)) => Command::FinishPreparing { id },
        Ok(Ok(Some(failure))) => Command::FailDeployment { id, failure },
        Ok(Err(error)) => Command::FailDeployment { id, failure: error.failure(vec![]) },
        Err(_) => Command::FailDeployment { id, failure: late() },
    };
    let phase = Phase::Preparing { on: site.cluster.node_id() };
    insist(&site.cluster, command, id, &phase).await;
}

/// Runs the commands; `None` when all went well. One that ran already, before a restart, is not run again.
async fn perform(
    site: &Site,
    runtime: &Runtime,
    logs: &BuildLogs,
    id: DeploymentId,
) -> Result<Option<Failure>, SchedulerError> {
    let state = site.cluster.state();
    let Some(deployment) = state.deployments.get(&id) else { return Ok(None) };
    let container = runtime.start_once(&site.prepare(&state, deployment)?).await?;
    let code = loop {
        copy_log(runtime, &container, logs, id).await?;
        let state = runtime.inspect(&container).await?.state.unwrap_or_default();
        if state.running != Some(true) {
            break state.exit_code.unwrap_or_default();
        }
        sleep(LOOK_PAUSE).await;
    };
    let tail = || runtime.log_tail(&container);
    Ok(if code == 0 { None } else { Some(failed(code, tail().await)) })
}

async fn copy_log(
    runtime: &Runtime,
    container: &str,
    logs: &BuildLogs,
    id: DeploymentId,
) -> Result<(), SchedulerError> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).follow(true).build();
    let mut lines = runtime.docker().await?.logs(container, Some(options));
    while let Some(Ok(line)) = lines.next().await {
        logs.append(id, LogLine::new(STEP, text(line)));
    }
    Ok(())
}

fn failed(code: i64, log_tail: Vec<String>) -> Failure {
    let said = log_tail.last().filter(|line| line.starts_with('`')).cloned();
    Failure {
        code: FailureCode::BeforeDeployFailed,
        message: format!(
            "beforeDeploy: {}",
            said.unwrap_or_else(|| format!("a command failed with code {code}"))
        ),
        hint: "read the log below; the running version is untouched".into(),
        log_tail: log_tail.into_iter().take(LOG_TAIL_LINES).collect(),
    }
}

fn late() -> Failure {
    Failure {
        code: FailureCode::BeforeDeployFailed,
        message: format!("beforeDeploy took longer than {} s", PREPARE_MAX.as_secs()),
        hint: "let it do less, or run the long part elsewhere".into(),
        log_tail: vec![],
    }
}
