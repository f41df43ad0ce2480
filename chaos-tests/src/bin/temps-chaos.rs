//! Breaks a real cluster on purpose while clients use it, writes down what they saw, and judges it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};
use temps_chaos_tests::chaos::{ChaosError, Plan, Run, WorkloadKind, conclude, conclusion, run};
use temps_chaos_tests::history::{FaultKind, read_file};
use temps_chaos_tests::page::Outcome;
use tokio::sync::watch;

/// Breaks a real cluster on purpose while clients use it, and judges what they saw.
///
/// It ends with 0 when every promise was kept, 1 when one was not, 2 when no run could be made, and 3 when nobody can say.
#[derive(Debug, Parser)]
#[command(name = "temps-chaos", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a run: nodes in namespaces of this machine, faults, clients; as root
    Run(RunArguments),
    /// Judges a history again
    Check {
        /// A run's history.jsonl, or its folder
        history: PathBuf,
    },
    /// Writes the page of a history again, and prints where it is
    Report {
        /// A run's folder
        history: PathBuf,
    },
    /// Serves a disk that fails on command, for as long as it is mounted
    #[command(hide = true)]
    Disk {
        /// Where its files are kept
        kept: PathBuf,
        /// Where it is mounted
        at: PathBuf,
        /// Where it is told how to fail
        socket: PathBuf,
    },
    /// Makes a run again, with the same faults and operations
    Replay {
        /// The folder of the run; or give its --seed, --nodes and --minutes
        #[arg(required_unless_present = "seed")]
        history: Option<PathBuf>,
        #[command(flatten)]
        arguments: RunArguments,
    },
}

#[derive(Debug, Args)]
struct RunArguments {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// For how long faults are made
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What everything that is drawn by lot follows from; drawn itself when missing, and printed
    #[arg(long)]
    seed: Option<u64>,
    /// The faults to choose from, with commas between them; all when missing
    #[arg(long, value_delimiter = ',')]
    nemesis: Vec<FaultKind>,
    /// Faults to leave out, with commas between them
    #[arg(long, value_delimiter = ',')]
    without: Vec<FaultKind>,
    /// How many operations have to be acknowledged; as many as the time is for when missing
    #[arg(long)]
    acknowledged: Option<u64>,
    /// The workloads, with commas between them; all when missing
    #[arg(long, value_delimiter = ',')]
    workload: Vec<WorkloadKind>,
    /// The binary under test; TEMPS_BIN, or the one that was built beside this program, when missing
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The binary that the nodes begin with, as a release before; the `upgrade` fault leads from it to the one under test
    #[arg(long)]
    from_binary: Option<PathBuf>,
    /// Where the history and the page are left; temps-chaos-SEED when missing
    #[arg(long)]
    out: Option<PathBuf>,
}

/// How this ends when it cannot be said whether every promise was kept; 1 says that one was not, and 2 that no run could be
/// made.
const UNSAID: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(arguments) => make(plan(&arguments), arguments).await,
        Command::Check { history } => check(&history),
        Command::Disk { kept, at, socket } => return serve_disk(&kept, &at, &socket),
        Command::Report { history } => report(&history),
        Command::Replay { history: None, arguments } => make(plan(&arguments), arguments).await,
        Command::Replay { history: Some(history), arguments } => match read_file(&history) {
            Ok(history) => make(Plan::again(&history.setup), arguments).await,
            Err(error) => Err(error.into()),
        },
    };
    match done {
        Ok(Outcome::Kept) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::FAILURE,
        Ok(Outcome::Open) => ExitCode::from(UNSAID),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn plan(arguments: &RunArguments) -> Plan {
    let drawn = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    };
    Plan {
        seed: arguments.seed.unwrap_or_else(drawn),
        nodes: usize::from(arguments.nodes),
        length: Duration::try_from_secs_f64(arguments.minutes * 60.0).unwrap_or_default(),
        faults: arguments.nemesis.clone(),
        without: arguments.without.clone(),
        workloads: arguments.workload.clone(),
        acknowledged: arguments.acknowledged,
    }
}

async fn make(plan: Plan, arguments: RunArguments) -> Result<Outcome, ChaosError> {
    let folder =
        arguments.out.unwrap_or_else(|| PathBuf::from(format!("temps-chaos-{}", plan.seed)));
    let say = |line: &str| println!("{line}");
    let planned = Run { plan, binary: arguments.binary, from: arguments.from_binary, folder, say };
    let (history, findings) = run(&planned, interruption()).await?;
    let (text, outcome) = conclusion(&findings);
    println!("\n{text}");
    println!("{}", planned.folder.join("report.html").display());
    if outcome != Outcome::Kept {
        println!("the same again: temps-chaos replay {}", planned.folder.display());
    }
    debug_assert_eq!(history.setup.seed, planned.plan.seed);
    Ok(outcome)
}

/// Comes true at the first Ctrl-C; the second one ends this process, and the ground with it.
fn interruption() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.send_replace(true) {
                std::process::exit(130);
            }
            eprintln!("everything is healed and judged as it is now; once more ends it at once");
        }
        // Nobody interrupts what cannot be interrupted.
        std::future::pending::<()>().await;
    });
    stopped
}

fn serve_disk(kept: &Path, at: &Path, socket: &Path) -> ExitCode {
    match temps_chaos_tests::disk::mount(kept, at, socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: no disk at {}: {error}", at.display());
            ExitCode::from(2)
        }
    }
}

fn check(path: &Path) -> Result<Outcome, ChaosError> {
    let history = read_file(path)?;
    let demands = temps_chaos_tests::check::Demands::of(&history);
    let (text, outcome) = conclusion(&temps_chaos_tests::check::judge(&history, &demands));
    println!("{text}");
    Ok(outcome)
}

fn report(path: &Path) -> Result<Outcome, ChaosError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let (_, findings) = conclude(folder)?;
    println!("{}", folder.join("report.html").display());
    Ok(Outcome::of(&findings))
}
