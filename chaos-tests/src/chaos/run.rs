//! A run: a cluster, clients, faults, and everything healed and read again at the end.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::periods::Periods;
use super::workload::{Workload, WorkloadKind};
use super::{ChaosError, Field, Plan, converge, files, lacks, progress};
use crate::check::Finding;
use crate::history::{Ending, FaultKind, History, Need, Place, Recorder, Recording, Setup, What};
use crate::{Ground, Options, Start, script};

/// How long workers may take to end once they are told to.
const END_MAX: Duration = Duration::from_secs(120);
/// How long clients go on once the last fault is gone.
const AFTER: Duration = Duration::from_secs(5);

/// What a run needs beside its plan.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is done.
    pub plan: Plan,
    /// The binary under test; the one built beside this program when missing.
    pub binary: Option<PathBuf>,
    /// The binary that nodes begin with, which an upgrade leads from; the one under test when missing.
    pub from: Option<PathBuf>,
    /// Where its files are left.
    pub folder: PathBuf,
    /// Says a line to whoever watches.
    pub say: fn(&str),
}

/// Makes a run, and judges it. When `stop` comes true, everything is healed and judged as it is then.
///
/// ```no_run
/// # async fn story() -> Result<(), temps_chaos_tests::chaos::ChaosError> {
/// use std::time::Duration;
/// use temps_chaos_tests::chaos::{Plan, Run, run};
///
/// let length = Duration::from_secs(90);
/// let plan = Plan { seed: 7, nodes: 3, length, ..Plan::default() };
/// let planned = Run { plan, binary: None, from: None, folder: "chaos".into(), say: |line| println!("{line}") };
/// let (_never, stop) = tokio::sync::watch::channel(false);
/// let (_history, findings) = run(&planned, stop).await?;
/// assert!(findings.iter().all(|finding| finding.holds()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the cluster does not come up, or the run's files cannot be written. A violation is none: it is a finding.
pub async fn run(
    run: &Run,
    stop: watch::Receiver<bool>,
) -> Result<(History, Vec<Finding>), ChaosError> {
    let Run { plan, binary, from, folder, say } = run;
    refuse_too_short(plan)?;
    lacks::refuse(&plan.planned())?;
    let binary = script::chosen(binary.as_deref())?;
    let first = from.as_ref().unwrap_or(&binary).clone();
    let file = |source| ChaosError::File { path: folder.clone(), source };
    fs::create_dir_all(folder).map_err(file)?;
    say(&format!("seed {}: {} nodes come up", plan.seed, plan.nodes));
    let options = Options {
        binary: Some(first),
        disks: disks(plan)?,
        clocks: plan.planned().iter().any(|kind| kind.need() == Some(Need::Clocks)),
        ..Options::without_images(Start::Joined)
    };
    let ground = Arc::new(Ground::up(plan.nodes, options).await?);
    let client = ground.client()?;
    let (recorder, recording) = Recorder::start(&folder.join("history.jsonl")).map_err(file)?;
    recorder.note(What::Begin(setup(plan, &binary))).await;
    let (over, stopped) = watch::channel(false);
    let field = Field::new(ground.clone(), binary, client, recorder, plan.seed, stopped);
    let ending = act(run, &field, &over, stop).await?;
    field.recorder.note(What::End(ending)).await;
    finish(field, recording).await.map_err(file)?;
    if let Some(ground) = Arc::into_inner(ground) {
        ground.down().await?;
    }
    files::conclude(folder)
}

/// This program, if disks are to fail.
fn disks(plan: &Plan) -> Result<Option<PathBuf>, ChaosError> {
    let path = PathBuf::from("/proc/self/exe");
    let program = std::env::current_exe().map_err(|source| ChaosError::File { path, source });
    let fail = plan.planned().iter().any(|kind| kind.need() == Some(Need::Disks));
    if fail { program.map(Some) } else { Ok(None) }
}

/// Returns when all is written.
async fn finish(field: Field, recording: Recording) -> std::io::Result<()> {
    drop(field);
    recording.finish().await
}

fn refuse_too_short(plan: &Plan) -> Result<(), ChaosError> {
    if plan.faults.is_empty() {
        return Ok(());
    }
    if let Some(kind) = plan.faults.iter().find(|kind| !plan.possible().contains(kind)) {
        return Err(match kind.place() {
            Place::Authority => ChaosError::NoAuthority(*kind),
            _ => ChaosError::TooFewNodes(*kind),
        });
    }
    let planned = plan.planned();
    let missing: Vec<FaultKind> =
        plan.possible().into_iter().filter(|kind| !planned.contains(kind)).collect();
    if missing.is_empty() { Ok(()) } else { Err(ChaosError::TooShort(missing)) }
}

fn chosen(plan: &Plan) -> &[WorkloadKind] {
    if plan.workloads.is_empty() { &WorkloadKind::ALL } else { &plan.workloads }
}

fn setup(plan: &Plan, binary: &PathBuf) -> Setup {
    let asked = Command::new(binary).args(["version", "--json"]).output();
    let facts: serde_json::Value =
        asked.ok().and_then(|said| serde_json::from_slice(&said.stdout).ok()).unwrap_or_default();
    let digest = Command::new("sha256sum").arg(binary).output();
    let digest = digest.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    Setup {
        seed: plan.seed,
        nodes: plan.nodes,
        seconds: plan.length.as_secs(),
        faults: plan.planned(),
        choice: plan.possible(),
        acknowledged: plan.acknowledged,
        workloads: chosen(plan).iter().map(WorkloadKind::to_string).collect(),
        version: facts["version"].as_str().unwrap_or("unknown").into(),
        binary: digest.unwrap_or_default().split(' ').next().unwrap_or_default().into(),
        began: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
    }
}

/// All that happens on the ground.
async fn act(
    run: &Run,
    field: &Field,
    over: &watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ending, ChaosError> {
    let (plan, say) = (&run.plan, run.say);
    let mut workloads = Vec::new();
    for kind in chosen(plan) {
        say(&format!("the {kind} workload gets ready"));
        workloads.push(Workload::prepare(*kind, field).await?);
    }
    let mut workers = JoinSet::new();
    let with_app = chosen(plan).contains(&WorkloadKind::Apps);
    let known = super::watch::begin(field, with_app, &mut workers);
    for workload in &workloads {
        workload.begin(field, &mut workers);
    }
    let (now, faults) = watch::channel(Vec::new());
    let lines = progress::tell(field.clone(), plan.length, known.clone(), faults, say);
    let lines = tokio::spawn(lines);
    let chance = field.chance("faults");
    let plans = plan.periods();
    let missing = plan.planned().into_iter().collect();
    let mut periods = Periods { field, known, chance, now, made: Vec::new(), count: 0, missing };
    let all = async {
        periods.go(&plans, plan.length).await;
        periods.go_on().await;
    };
    let interrupted = tokio::select! {
        () = all => false,
        _ = stop.wait_for(|stop| *stop) => true,
    };
    say("all faults are undone");
    mend(&mut periods).await;
    field.pause(AFTER).await;
    over.send_replace(true);
    if timeout(END_MAX, async { while workers.join_next().await.is_some() {} }).await.is_err() {
        workers.abort_all();
        let err = format!("clients did not end within {END_MAX:?}");
        field.recorder.note(What::Broken { err }).await;
    }
    lines.abort();
    // What it shares goes with it.
    let _ = lines.await;
    let converged = converge::wait(field).await;
    for workload in &workloads {
        workload.read_all(field).await;
    }
    let panics = files::keep_logs(field, &run.folder);
    let converged_ms = converged.and_then(|time| u64::try_from(time.as_millis()).ok());
    Ok(Ending { converged_ms, panics, interrupted })
}

/// Undoes all, also what an interruption left half done.
async fn mend(periods: &mut Periods<'_>) {
    periods.undo_all().await;
    let field = periods.field;
    if let Err(error) = field.ground.heal().await {
        let err = format!("links could not be mended: {error}");
        field.recorder.note(What::Broken { err }).await;
    }
}
