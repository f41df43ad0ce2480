//! Where the node keeps its data, and the timings of the group.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::SnapshotPolicy;

/// What a node needs to be told to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's data folder; made if missing.
    pub data_dir: PathBuf,
}

/// How often a leader tells that it is there.
const HEARTBEAT_MS: u64 = 200;
/// How long nodes wait for it before they vote; each draws its own time in between.
const ELECTION_MIN_MS: u64 = 1000;
const ELECTION_MAX_MS: u64 = 2000;
/// How long sending a snapshot to a node may take.
const SNAPSHOT_TRANSFER_MS: u64 = 10_000;
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
pub const LEADER_WAIT: Duration = Duration::from_secs(5);
/// How long the newest state may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node that is alone may take to lead itself and to apply its log.
pub const LEAD_ALONE_TIMEOUT: Duration = Duration::from_secs(30);

// A few lost heartbeats are no reason to vote.
const _: () = assert!(ELECTION_MIN_MS >= 4 * HEARTBEAT_MS);
// Nodes that begin to vote at the same time must soon draw apart.
const _: () = assert!(ELECTION_MAX_MS >= ELECTION_MIN_MS + ELECTION_MIN_MS / 2);
// An election that fails once must fit.
const _: () = assert!(LEADER_WAIT.as_millis() as u64 > 2 * ELECTION_MAX_MS);
const _: () = assert!(PROPOSE_TIMEOUT.as_millis() > LEADER_WAIT.as_millis());
// When the newest snapshot is damaged, the log must reach back to the one before it.
const _: () = assert!(LOG_KEPT > SNAPSHOT_EVERY);
// What waits to be applied stays small in memory.
const _: () = assert!(PROPOSALS_MAX * ENTRY_BYTES_MAX <= 64 * 1024 * 1024);
const _: () = assert!(PROPOSALS_MAX as u64 <= QUEUE);

/// The settings of openraft.
pub fn raft_config() -> Arc<openraft::Config> {
    let config = openraft::Config {
        cluster_name: "temps".into(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MIN_MS,
        election_timeout_max: ELECTION_MAX_MS,
        install_snapshot_timeout: SNAPSHOT_TRANSFER_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
        max_in_snapshot_log_to_keep: LOG_KEPT,
        purge_batch_size: PURGE_BATCH,
        max_payload_entries: MESSAGE_ENTRIES_MAX,
        api_channel_size: Some(QUEUE),
        notification_channel_size: Some(QUEUE),
        state_machine_channel_size: Some(QUEUE),
        enable_pre_vote: Some(true),
        // A restarted leader is elected anew: the end of its log and its state may be older than what it once told.
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    };
    Arc::new(config.validate().expect("the relations of the timings are asserted above"))
}
