//! What a dead leader costs: a cluster of three serves an app and takes changes while its leader is killed, again and
//! again. Prints a line for each kill, then the figures; fails when a request failed or an acknowledged change is gone.
//!
//!     failover [KILLS] [RATE]      with the binary in TEMPS_BIN
//!
//! KILLS (20) leaders die, one after the other, each when the cluster is whole again after the last. RATE (300) requests
//! a second go through the two edges that live on. Every second leader starts again at once, as a supervisor would have
//! it; the others when their replicas have been replaced.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use temps_chaos_tests::{
    App, Client, Ground, GroundError, Options, RECOVERY, Report, Traffic, Writes, Written, until,
};

const NODES: usize = 3;
const REPLICAS: usize = 3;
const KILLS: usize = 20;
const RATE: u32 = 300;
const APP: App = App::new("app");
/// How long nodes are left alone before their memory is read, so that what starting took is given back.
const IDLE: Duration = Duration::from_secs(15);
/// Changes that are acknowledged before a kill and after it.
const CHANGES: usize = 100;
/// The most that the write gap may be, in 99 of 100 kills.
const GAP_TARGET: Duration = Duration::from_secs(3);

/// One kill.
struct Kill {
    written: Written,
    /// Through the edges that lived on.
    report: Report,
}

/// All kills so far, on one cluster.
struct Failover {
    ground: Ground,
    client: Client,
    rate: u32,
    kills: Vec<Kill>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().ok());
    let kills = arguments.next().unwrap_or(Some(u32::try_from(KILLS).unwrap_or(u32::MAX)));
    let (Some(kills), Some(rate @ 2..)) = (kills, arguments.next().unwrap_or(Some(RATE))) else {
        eprintln!("usage: failover [KILLS] [RATE]");
        return ExitCode::from(2);
    };
    match measure(kills as usize, rate).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost.
async fn measure(kills: usize, rate: u32) -> Result<bool, GroundError> {
    let ground = Ground::up(NODES, Options::default()).await?;
    APP.deploy(&ground, REPLICAS).await?;
    print_memory(&ground).await?;
    let client = ground.client()?;
    let mut failover = Failover { ground, client, rate, kills: Vec::new() };
    for number in 1..=kills {
        failover.kill_leader(number).await?;
    }
    failover.conclude().await
}

async fn print_memory(ground: &Ground) -> Result<(), GroundError> {
    tokio::time::sleep(IDLE).await;
    for node in ground.nodes() {
        let memory = node.memory().await?;
        let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
        println!(
            "{} idle: {:.1} MB resident, {:.1} MB proportional (target: 80 MB)",
            node.name(),
            mb(memory.resident),
            mb(memory.proportional)
        );
    }
    Ok(())
}

impl Failover {
    async fn kill_leader(&mut self, number: usize) -> Result<(), GroundError> {
        let victim = self.whole().await?;
        let others: Vec<usize> = (1..=NODES).filter(|&node| node != victim).collect();
        let (began, living) = (Instant::now(), self.traffic(&others));
        // A client follows its name to another edge when this one is dead; what was under way there is not counted.
        let dying = self.traffic(&[victim]);
        let writes = Writes::start(self.client.clone(), &others, &format!("w{number}"));
        acknowledged(&writes, CHANGES).await?;

        let (killed, at) = (Instant::now(), clock());
        self.ground.node(victim).kill9().await?;
        drop(dying);
        acknowledged(&writes, CHANGES).await?;
        if number.is_multiple_of(2) {
            self.replaced(others[0]).await?;
        }
        self.ground.node(victim).start().await?;
        self.whole().await?;
        let (whole_after, killed_at) = (killed.elapsed(), killed - began);
        let kill = Kill { report: living.stop().await, written: writes.stop().await };
        println!(
            "{at} kill {number}: n{victim} led; write gap {:.3?}, {} writes; {} requests, {} failed, {} late, \
             slowest {:.3?}; whole again after {whole_after:.1?}",
            kill.written.longest_gap,
            kill.written.acknowledged.len(),
            kill.report.ok(),
            kill.report.failed(),
            kill.report.late(),
            kill.report.slowest(),
        );
        if kill.report.failed() + kill.report.late() > 0 {
            println!("killed {killed_at:.3?} after the traffic began\n{}", kill.report);
        }
        if kill.report.failed() > 0 {
            self.keep_logs(number);
        }
        self.kills.push(kill);
        Ok(())
    }

    /// Sends through these edges, each its part of the rate that two of them have together.
    fn traffic(&self, nodes: &[usize]) -> Traffic {
        Traffic::start(&self.ground.edges(nodes), &APP.host(), self.rate / 2)
    }

    /// Returns when all nodes keep up and all replicas are healthy, with the number of the leader.
    async fn whole(&self) -> Result<usize, GroundError> {
        let mut leader = None;
        until("the cluster is whole", RECOVERY, async || {
            leader = self.client.leader(1).await;
            leader.is_some() && self.client.is_whole(1, NODES).await
        })
        .await?;
        Ok(leader.unwrap_or_default())
    }

    /// Returns when this node sees as many healthy replicas as are wanted, on the nodes that live.
    async fn replaced(&self, node: usize) -> Result<(), GroundError> {
        until("the replicas have been replaced", RECOVERY, async || {
            let Ok(nodes) = self.client.get(node, "/status").await else { return false };
            let lost = nodes.body["nodes"].as_array().into_iter().flatten();
            lost.filter(|node| node["reachable"] == false).count() == 1
                && APP.healthy(&self.client, node).await.len() == REPLICAS
        })
        .await
        .map(drop)
    }

    /// Keeps what the nodes have logged, for the ground goes with this process.
    fn keep_logs(&self, number: usize) {
        for node in self.ground.nodes() {
            let kept = std::env::temp_dir().join(format!("failover-{number}-{}.log", node.name()));
            match std::fs::copy(node.folder().join("node.log"), &kept) {
                Ok(_) => println!("  {}", kept.display()),
                Err(error) => println!("  {}: {error}", kept.display()),
            }
        }
    }

    /// Prints the figures; whether nothing was lost.
    async fn conclude(self) -> Result<bool, GroundError> {
        let missing = self.missing().await?;
        let mut gaps: Vec<Duration> =
            self.kills.iter().map(|kill| kill.written.longest_gap).collect();
        gaps.sort_unstable();
        let sum = |of: fn(&Kill) -> u64| self.kills.iter().map(of).sum::<u64>();
        let failed = sum(|kill| kill.report.failed());
        let written = sum(|kill| kill.written.acknowledged.len() as u64);
        println!("write gaps: {gaps:.3?}");
        println!(
            "write gap: p50 {:.3?}, p99 {:.3?} (target: {GAP_TARGET:?}), max {:.3?}",
            percentile(&gaps, 50),
            percentile(&gaps, 99),
            percentile(&gaps, 100)
        );
        println!("acknowledged writes: {written}, missing: {missing:?}");
        println!(
            "requests: {} ok, {failed} failed (target: 0), {} took over a second",
            sum(|kill| kill.report.ok()),
            sum(|kill| kill.report.late())
        );
        self.ground.down().await?;
        Ok(failed == 0 && missing.values().all(|&missing| missing == 0))
    }

    /// How many acknowledged projects each node does not know, once the cluster is whole.
    async fn missing(&self) -> Result<BTreeMap<String, usize>, GroundError> {
        self.whole().await?;
        let mut missing = BTreeMap::new();
        for node in self.ground.nodes() {
            let known = self.client.projects(node.number).await;
            let acknowledged = self.kills.iter().flat_map(|kill| &kill.written.acknowledged);
            let unknown = acknowledged.filter(|name| !known.contains(*name)).count();
            missing.insert(node.name(), unknown);
        }
        Ok(missing)
    }
}

/// Returns when so many more changes are acknowledged.
async fn acknowledged(writes: &Writes, more: usize) -> Result<(), GroundError> {
    let before = writes.acknowledged();
    let enough = async || writes.acknowledged() >= before + more;
    until("changes go on", RECOVERY, enough).await.map(drop)
}

/// The value that so many of a hundred do not exceed, by nearest rank; sorted, they are.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The time of day in UTC, as nodes log it.
fn clock() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = now.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, now.subsec_millis())
}
