//! Starting with a folder that is not as it should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use temps_raft::{Cluster, Config, RaftError};

use crate::common::{churn, numbers, put, start, stop, until};

async fn refusal(dir: &Path) -> RaftError {
    match Cluster::start(Config { data_dir: dir.into(), peer: None }).await {
        Ok(_) => panic!("the node started"),
        Err(error) => error,
    }
}

/// A folder with ten writes in it.
async fn written(dir: &Path) {
    let cluster = start(dir).await;
    for number in 0..10 {
        put(&cluster, number).await.unwrap();
    }
    stop(cluster).await;
}

fn entries(dir: &Path, with: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|p| p.to_string_lossy().contains(with)).collect();
    found.sort();
    found
}

/// Damages the state's folder, then sees that all writes are there again and can be added to.
async fn survives(damage: impl FnOnce(&Path)) -> Vec<PathBuf> {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    damage(&dir.path().join("raft/state"));
    let cluster = start(dir.path()).await;
    assert_eq!(numbers(&cluster.state()).len(), 10);
    put(&cluster, 10).await.unwrap();
    stop(cluster).await;
    let cluster = start(dir.path()).await;
    assert_eq!(numbers(&cluster.state()).len(), 11);
    entries(&dir.path().join("raft"), "state.corrupt-")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_overwritten_is_rebuilt() {
    survives(|state| {
        let db = state.join("db");
        let mut bytes = fs::read(&db).unwrap();
        let end = bytes.len().min(64 * 1024);
        bytes[64..end].iter_mut().for_each(|byte| *byte = byte.wrapping_add(0x5a));
        fs::write(&db, bytes).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_with_a_wrong_byte_is_noticed_set_aside_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let puts = (0..1500).map(|number| put(&cluster, number));
    futures::future::join_all(puts).await.into_iter().for_each(|done| assert!(done.is_ok()));
    let before = cluster.state().state.clone();
    stop(cluster).await;
    let raft = dir.path().join("raft");
    let db = raft.join("state/db");
    for number in (0..1500).step_by(200) {
        // The file has old copies of rows, too: the byte is turned in all of them, so also in the one that counts.
        let (mut bytes, row) = (fs::read(&db).unwrap(), crate::common::email(number));
        let copies: Vec<usize> = (0..bytes.len() - row.len())
            .filter(|at| bytes[*at..].starts_with(row.as_bytes()))
            .collect();
        copies.into_iter().for_each(|at| bytes[at] ^= 0x40);
        fs::write(&db, bytes).unwrap();
        let cluster = start(dir.path()).await;
        assert!(cluster.state().state == before, "row {row}");
        stop(cluster).await;
    }
    let aside = entries(&raft, "state.corrupt-").len();
    assert!((1..=3).contains(&aside), "set aside: {aside}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_cut_off_is_rebuilt() {
    survives(|state| {
        let db = fs::OpenOptions::new().write(true).open(state.join("db")).unwrap();
        db.set_len(1500).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_its_files_is_rebuilt() {
    for name in ["db", "conf", "snap"] {
        survives(|state| {
            entries(state, &format!("state/{name}"))
                .iter()
                .for_each(|p| fs::remove_file(p).unwrap());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_whose_files_are_nonsense_is_rebuilt() {
    for name in ["db", "conf", "snap"] {
        survives(|state| {
            let files = entries(state, &format!("state/{name}"));
            files.iter().for_each(|p| fs::write(p, b"nonsense nonsense nonsense").unwrap());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_from_a_longer_history_is_set_aside() {
    let other = tempfile::tempdir().unwrap();
    let cluster = start(other.path()).await;
    for number in 100..150 {
        put(&cluster, number).await.unwrap();
    }
    stop(cluster).await;
    let aside = survives(|state| {
        // The log's last entry is of a later term than the longer history's.
        let dir = state.ancestors().nth(2).unwrap().to_path_buf();
        let again = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async { stop(start(&dir).await).await });
        });
        again.join().unwrap();
        fs::remove_dir_all(state).unwrap();
        fs::rename(other.path().join("raft/state"), state).unwrap();
    })
    .await;
    assert_eq!(aside.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_older_than_the_log_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (state, old) = (dir.path().join("raft/state"), dir.path().join("old"));
    fs::rename(&state, &old).unwrap();
    let cluster = start(dir.path()).await;
    put(&cluster, 10).await.unwrap();
    stop(cluster).await;
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&old, &state).unwrap();
    let cluster = start(dir.path()).await;
    assert_eq!(numbers(&cluster.state()).len(), 11);
    assert!(entries(&dir.path().join("raft"), "corrupt").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_torn_snapshot_and_no_state_the_older_snapshot_and_the_log_are_enough() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    put(&cluster, 1).await.unwrap();
    churn(&cluster, 9000).await;
    let snapshots = dir.path().join("raft/snapshots");
    until("two snapshots", || entries(&snapshots, ".snapshot").len() == 2).await;
    let before = cluster.state();
    stop(cluster).await;
    let newest = entries(&snapshots, ".snapshot").pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    fs::remove_dir_all(dir.path().join("raft/state")).unwrap();
    let cluster = start(dir.path()).await;
    assert_eq!(cluster.state().state, before.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_snapshot_and_no_state_a_purged_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    churn(&cluster, 10_500).await;
    until("a snapshot", || cluster.status().snapshot.is_some_and(|index| index > 8000)).await;
    put(&cluster, 1).await.unwrap();
    stop(cluster).await;
    fs::remove_dir_all(dir.path().join("raft/snapshots")).unwrap();
    let cluster = start(dir.path()).await;
    stop(cluster).await;
    assert!(!entries(&dir.path().join("raft/snapshots"), ".snapshot").is_empty());
    fs::remove_dir_all(dir.path().join("raft/snapshots")).unwrap();
    fs::remove_dir_all(dir.path().join("raft/state")).unwrap();
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, RaftError::Gap { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_its_key_is_refused_and_never_gets_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let key = dir.path().join("cluster.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let good = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, RaftError::KeyMissing { .. }), "{refused}");
    assert!(refused.to_string().contains("from your backup"), "{refused}");
    assert!(!key.exists());

    fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(refusal(dir.path()).await, RaftError::KeyWrong { .. }));
    fs::write(&key, "not a key").unwrap();
    assert!(matches!(refusal(dir.path()).await, RaftError::KeyDamaged { .. }));
    fs::write(&key, good).unwrap();
    assert_eq!(numbers(&start(dir.path()).await.state()).len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_owns_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    fs::remove_file(dir.path().join("raft/node.json")).unwrap();
    assert!(matches!(refusal(dir.path()).await, RaftError::IdentityMissing { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_without_log_and_state_does_not_found_its_cluster_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    for gone in ["log", "state", "snapshots"] {
        fs::remove_dir_all(dir.path().join("raft").join(gone)).unwrap();
    }
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, RaftError::LogLost { .. }), "{refused}");
}

/// What `raft-log` writes before the payload of an entry: what the record is, who led when, the index, the kind, the length.
const HEAD_BYTES: usize = 4 + 8 + 8 + 8 + 1 + 4;
const CHECKSUM_BYTES: usize = 8;

/// The newest segment of a log, and where its entries begin.
fn newest_segment(dir: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let segment = entries(&dir.join("raft/log"), ".wal").pop().unwrap();
    let bytes = fs::read(&segment).unwrap();
    // A number of the term and one of the node, both small: enough to tell an entry from what is in one.
    let is_entry = |at: &usize| {
        bytes[*at..].starts_with(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            && bytes[at + 12..].starts_with(&[0; 6])
            && bytes[at + 28] == 1
    };
    let begins = (0..bytes.len().saturating_sub(HEAD_BYTES)).filter(is_entry).collect();
    (segment, bytes, begins)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_damaged_in_the_middle_is_refused_wherever_that_is() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (segment, good, begins) = newest_segment(dir.path());
    let (entry, next) = (begins[begins.len() / 2], begins[begins.len() / 2 + 1]);
    // In turn: what it is, the term, the index, a length that leads beyond the end of the file, what it says, its checksum.
    for at in [entry + 3, entry + 11, entry + 27, entry + 30, entry + 40, next - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&segment, &bad).unwrap();
        let refused = refusal(dir.path()).await;
        assert!(matches!(refused, RaftError::LogDamaged { .. }), "octet {}: {refused}", at - entry);
        assert!(refused.to_string().contains("join again with an empty data folder"), "{refused}");
        assert_eq!(fs::read(&segment).unwrap(), bad, "what is damaged is left as it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_entry_that_is_all_there_and_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (segment, good, begins) = newest_segment(dir.path());
    // What it says, and its length, which leads beyond the end of the file then.
    for at in [HEAD_BYTES + 5, HEAD_BYTES - 1, HEAD_BYTES - 2, HEAD_BYTES - 3, HEAD_BYTES - 4] {
        let mut bad = good.clone();
        bad[begins.last().unwrap() + at] ^= 0x10;
        fs::write(&segment, &bad).unwrap();
        let refused = refusal(dir.path()).await;
        assert!(matches!(refused, RaftError::LogDamaged { .. }), "octet {at}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_log_is_cut() {
    for part in [1, 6, HEAD_BYTES, 2 * HEAD_BYTES] {
        survives_torn(|good, entry| [good, &entry[..part]].concat()).await;
    }
    survives_torn(|good, entry| [good, &entry[..entry.len() - 1]].concat()).await;
}

/// Disks write whole sectors: where something was not written, zeros begin where a sector does.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_log_before_zeros_is_cut() {
    for sectors in 1..=3 {
        survives_torn(|good, entry| {
            let mut torn = [good, &entry[..entry.len() / 2]].concat();
            torn.resize((torn.len() / 512 + sectors) * 512 + 100, 0);
            torn
        })
        .await;
    }
    survives_torn(|good, _| [good, &[0; 700]].concat()).await;
}

/// Makes of a log, and of an entry that might have been written to it next, what a loss of power left.
async fn survives_torn(tear: impl Fn(&[u8], &[u8]) -> Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (segment, good, begins) = newest_segment(dir.path());
    let begin = begins[begins.len() / 2];
    let length = u32::from_be_bytes(good[begin + HEAD_BYTES - 4..][..4].try_into().unwrap());
    let entry = &good[begin..][..HEAD_BYTES + length as usize + CHECKSUM_BYTES];
    fs::write(&segment, tear(&good, entry)).unwrap();
    for count in 10..12 {
        let cluster = start(dir.path()).await;
        assert_eq!(numbers(&cluster.state()).len(), count);
        put(&cluster, count as u64).await.unwrap();
        stop(cluster).await;
    }
}
