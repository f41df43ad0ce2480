//! Where the node keeps its data, and the timings of the group.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::SnapshotPolicy;

/// What a node needs to be told to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's data folder; made if missing.
    pub data_dir: PathBuf,
    /// How it meets other nodes; `None` for a node that stays alone.
    pub peer: Option<PeerConfig>,
}

/// How a node meets other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Where it listens for them.
    pub listen: SocketAddr,
    /// Where they reach it, when that is another address.
    pub advertise: Option<SocketAddr>,
}

/// How often a leader tells that it is there.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(200);
/// How long Raft waits for the answer to a heartbeat, before it sends the next one.
const HEARTBEAT_ANSWER_MS: u64 = 600;
/// After the longest of these times without a leader, nodes wait once more, each for a time of its own in between, and
/// vote. So a lost leader is replaced 1.5 to 2 seconds after it was heard last, or, when votes are split, after 2.2 to 3.
/// The shortest is also what the answer to a vote may take. Both are as short as the longest round trip allows.
const ELECTION_MIN_MS: u64 = 620;
const ELECTION_MAX_MS: u64 = 930;
/// The longest round trip between nodes that the timings above allow for.
const ROUND_TRIP_MS: u64 = 500;
/// How long sending a snapshot to a node, and its installing there, may take.
const SNAPSHOT_TRANSFER_MS: u64 = 10 * 60 * 1000;
/// After how many entries a snapshot is written.
const SNAPSHOT_EVERY: u64 = 4000;
/// How many entries behind a snapshot stay in the log.
const LOG_KEPT: u64 = 5000;
/// The fewest entries that are purged at once.
const PURGE_BATCH: u64 = 500;
/// The most entries in one message to a node.
const MESSAGE_ENTRIES_MAX: u64 = 64;
/// How many requests, and how many notices, may wait inside Raft.
const QUEUE: u64 = 1024;

/// The longest log entry. Everything large is stored elsewhere and named by its digest.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// How many proposals may be under way on this node.
pub const PROPOSALS_MAX: usize = 256;
/// How long a proposal may take before its outcome counts as unknown.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a proposal waits for a leader before it gives up, having changed nothing.
pub const LEADER_WAIT: Duration = Duration::from_millis(1850);
/// How long the newest state may take.
pub const READ_TIMEOUT: Duration = Duration::from_millis(1850);
/// How long a leader may hear of no quorum, and a follower of no leader, before they count as without one.
pub const QUORUM_SILENCE: Duration = Duration::from_millis(1700);
/// How long whoever found no leader waits before the next try.
pub const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a node that is alone may take to lead itself and to apply its log.
pub const LEAD_ALONE_TIMEOUT: Duration = Duration::from_secs(30);

// A few lost heartbeats are no reason to vote.
const _: () = assert!(ELECTION_MAX_MS + ELECTION_MIN_MS >= 6 * HEARTBEAT_EVERY.as_millis() as u64);
// Over a slow link heartbeats and votes are answered in time, and a lost one is no reason to vote.
const _: () = assert!(HEARTBEAT_ANSWER_MS >= ROUND_TRIP_MS + 100);
const _: () = assert!(ELECTION_MIN_MS >= ROUND_TRIP_MS + 100);
// openraft insists.
const _: () = assert!(ELECTION_MIN_MS > HEARTBEAT_ANSWER_MS);
const _: () = assert!(ELECTION_MAX_MS + ELECTION_MIN_MS > 2 * HEARTBEAT_ANSWER_MS);
// Nodes that begin to vote at the same time must soon draw apart.
const _: () = assert!(ELECTION_MAX_MS >= ELECTION_MIN_MS + ELECTION_MIN_MS / 2);
// Nor are they a reason to refuse changes: an answer comes a round trip after its call, the next one as much later.
const _: () = assert!(QUORUM_SILENCE.as_millis() as u64 >= 3 * ROUND_TRIP_MS);
// Whoever is told that there is no quorum is told within two seconds.
const _: () = assert!(LEADER_WAIT.as_millis() < 2000 && READ_TIMEOUT.as_millis() < 2000);
const _: () = assert!(PROPOSE_TIMEOUT.as_millis() > LEADER_WAIT.as_millis());
// When the newest snapshot is damaged, the log must reach back to the one before it.
const _: () = assert!(LOG_KEPT > SNAPSHOT_EVERY);
// What waits to be applied stays small in memory.
const _: () = assert!(PROPOSALS_MAX * ENTRY_BYTES_MAX <= 64 * 1024 * 1024);
const _: () = assert!(PROPOSALS_MAX as u64 <= QUEUE);

/// How long the log becomes.
#[derive(Debug, Clone, Copy)]
pub struct LogLength {
    /// After how many entries a snapshot is written.
    pub snapshot_every: u64,
    /// How many entries behind a snapshot stay.
    pub kept: u64,
    /// The fewest entries that are purged at once.
    pub purge_batch: u64,
}

impl Default for LogLength {
    fn default() -> Self {
        Self { snapshot_every: SNAPSHOT_EVERY, kept: LOG_KEPT, purge_batch: PURGE_BATCH }
    }
}

/// The settings of openraft.
pub fn raft_config(log: LogLength) -> Arc<openraft::Config> {
    let config = openraft::Config {
        cluster_name: "temps".into(),
        heartbeat_interval: HEARTBEAT_ANSWER_MS,
        election_timeout_min: ELECTION_MIN_MS,
        election_timeout_max: ELECTION_MAX_MS,
        install_snapshot_timeout: SNAPSHOT_TRANSFER_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(log.snapshot_every),
        max_in_snapshot_log_to_keep: log.kept,
        purge_batch_size: log.purge_batch,
        max_payload_entries: MESSAGE_ENTRIES_MAX,
        api_channel_size: Some(QUEUE),
        notification_channel_size: Some(QUEUE),
        state_machine_channel_size: Some(QUEUE),
        enable_pre_vote: Some(true),
        // A restarted leader is elected anew: the end of its log and its state may be older than what it once told.
        enable_leader_restore: Some(false),
        // A node that comes back with an older disk is fed again. Else the leader would end for another's loss.
        allow_log_reversion: Some(true),
        ..openraft::Config::default()
    };
    Arc::new(config.validate().expect("the relations of the timings are asserted above"))
}
