//! A node whose disk is full refuses changes and still answers, and goes on once there is space. Needs root, for a small file system.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{numbers, put, start, stop};
use tempfile::TempDir;
use temps_raft::{Cluster, ProposeError};

/// A file system in memory, of a few megabytes.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], dir.path());
        assert!(made, "this test mounts a tmpfs and needs root for it");
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=256m"], self.dir.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    Command::new("mount").args(arguments).arg(dir).status().is_ok_and(|ended| ended.success())
}

/// Writes until the disk is full; the number of the write that was refused.
async fn fill(cluster: &Cluster) -> u64 {
    for number in 0.. {
        match put(cluster, number).await {
            Ok(_) => common::churn_quietly(cluster, 200).await,
            Err(ProposeError::DiskFull { .. }) => return number,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the disk is finite")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_space_brings_them_back() {
    let disk = SmallDisk::new();
    let cluster = start(&disk.path()).await;
    let filled = tokio::time::timeout(Duration::from_secs(60), fill(&cluster)).await;
    let filled = filled.expect("the disk is full in time");
    assert_eq!(numbers(&cluster.read_latest().await.unwrap()).len() as u64, filled);
    let again = put(&cluster, filled).await;
    assert!(matches!(again, Err(ProposeError::DiskFull { .. })), "{again:?}");
    drop(cluster);
    disk.grow();
    let cluster = start(&disk.path()).await;
    let there = numbers(&cluster.state());
    assert!((0..filled).all(|number| there.contains(&number)), "lost something acknowledged");
    put(&cluster, filled + 1).await.unwrap();
    stop(cluster).await;
}
