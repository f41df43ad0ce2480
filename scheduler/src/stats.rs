//! What a replica uses.

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt;
use serde::Serialize;
use temps_state::ReplicaId;

use crate::SchedulerError;
use crate::container::Status;
use crate::runtime::Runtime;

/// What a replica uses at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stats {
    /// Percent of one processor, over the last second.
    pub cpu_percent: f64,
    /// Octets of memory, without what the kernel may take back at once.
    pub memory_bytes: u64,
    /// Octets of memory it may use.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// Asks the engine; takes about a second.
pub async fn read(runtime: &Runtime, replica: ReplicaId) -> Result<Stats, SchedulerError> {
    let container = runtime.container_of(replica).await?;
    if container.status != Status::Running {
        return Err(SchedulerError::NotRunning { replica });
    }
    let options = StatsOptionsBuilder::new().stream(false).one_shot(false).build();
    let docker = runtime.docker().await?;
    let mut answers = docker.stats(&container.id, Some(options));
    let answer = answers.next().await.ok_or(SchedulerError::NotRunning { replica })?;
    let doing = SchedulerError::container("read what it uses of replica", replica.to_string());
    Ok(stats(&answer.map_err(doing)?))
}

fn stats(of: &ContainerStatsResponse) -> Stats {
    let memory = of.memory_stats.clone().unwrap_or_default();
    // Files it read: version 1 of control groups names them otherwise than version 2.
    let details = memory.stats.unwrap_or_default();
    let cached = details.get("total_inactive_file").or_else(|| details.get("inactive_file"));
    Stats {
        cpu_percent: cpu_percent(of).unwrap_or(0.0),
        memory_bytes: memory.usage.unwrap_or(0).saturating_sub(cached.copied().unwrap_or(0)),
        memory_limit_bytes: memory.limit.unwrap_or(0),
        pids: of.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
    }
}

/// The share of all processors' time between the engine's two samples, times their number.
fn cpu_percent(of: &ContainerStatsResponse) -> Option<f64> {
    let (now, before) = (of.cpu_stats.as_ref()?, of.precpu_stats.as_ref()?);
    let used = now
        .cpu_usage
        .as_ref()?
        .total_usage?
        .checked_sub(before.cpu_usage.as_ref()?.total_usage?)?;
    let all = now.system_cpu_usage?.checked_sub(before.system_cpu_usage?).filter(|all| *all > 0)?;
    let processors = f64::from(now.online_cpus.unwrap_or(1).max(1));
    Some(used as f64 / all as f64 * processors * 100.0)
}
