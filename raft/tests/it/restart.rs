//! Starting, stopping and starting again, with a folder that is as it should be.

use std::time::{Duration, Instant};

use temps_raft::{Cluster, Config, ProposeError, RaftError, ReadError};
use temps_state::{Command, NodeId, Rejected, Settings};

use crate::common::{churn, email, numbers, put, start, stop, until, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_folder_becomes_a_cluster_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    assert!(cluster.founded());
    assert_eq!(cluster.node_id(), NodeId(1));
    assert!(*cluster.leading().borrow());
    let committed = put(&cluster, 1).await.unwrap();
    assert!(cluster.state().index >= committed.index);
    assert_eq!(cluster.state().user_by_email(&email(1)).map(|u| u.email.clone()), Some(email(1)));
    let status = cluster.status();
    assert_eq!((status.leader, status.members.len()), (Some(NodeId(1)), 1));
    assert!(status.members[0].voter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_and_takes_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let id = cluster.status().cluster_id;
    for number in 0..20 {
        put(&cluster, number).await.unwrap();
    }
    let before = cluster.state();
    stop(cluster).await;
    let began = Instant::now();
    let cluster = start(dir.path()).await;
    println!("restarted in {:?}", began.elapsed());
    assert!(!cluster.founded());
    assert_eq!(cluster.status().cluster_id, id);
    assert_eq!(cluster.state().state, before.state);
    assert!(*cluster.leading().borrow());
    put(&cluster, 20).await.unwrap();
    assert_eq!(numbers(&cluster.state()).len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_changes_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    put(&cluster, 1).await.unwrap();
    let before = cluster.state();
    let refused = put(&cluster, 1).await;
    assert!(matches!(refused, Err(ProposeError::Rejected(Rejected::Taken { .. }))));
    assert_eq!(cluster.state().state, before.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_the_same_key_gets_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let mut proposal = write(1);
    proposal.request = Some("req-1".into());
    let first = cluster.propose(proposal.clone()).await.unwrap();
    stop(cluster).await;
    let cluster = start(dir.path()).await;
    let second = cluster.propose(proposal).await.unwrap();
    assert_eq!(first.reply, second.reply);
    assert_eq!(numbers(&cluster.state()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_too_long_is_refused_before_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let before = cluster.status().last_log;
    let settings = Settings { preview_domain: "x".repeat(300_000), ..Settings::default() };
    let mut proposal = write(1);
    proposal.command = Command::ChangeSettings { settings };
    let refused = cluster.propose(proposal).await;
    assert!(matches!(refused, Err(ProposeError::TooLarge { .. })), "{refused:?}");
    assert_eq!(cluster.status().last_log, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_watchers_see_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let mut watching = cluster.watch();
    let committed = put(&cluster, 1).await.unwrap();
    watching.wait_for(|applied| applied.index >= committed.index).await.unwrap();
    let reads = (0..500).map(|_| cluster.read_latest());
    for latest in futures::future::join_all(reads).await {
        assert!(latest.unwrap().index >= committed.index);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_purge_the_snapshot_and_the_rest_of_the_log_give_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    put(&cluster, 1).await.unwrap();
    churn(&cluster, 10_500).await;
    until("a snapshot", || cluster.status().snapshot.is_some_and(|index| index > 8000)).await;
    put(&cluster, 2).await.unwrap();
    let before = cluster.state();
    stop(cluster).await;
    let began = Instant::now();
    let cluster = start(dir.path()).await;
    println!("restarted after {} entries in {:?}", before.index, began.elapsed());
    assert_eq!(cluster.state().state, before.state);
    stop(cluster).await;
    std::fs::remove_dir_all(dir.path().join("raft/state")).unwrap();
    let cluster = start(dir.path()).await;
    assert_eq!(cluster.state().state, before.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_refused_with_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let _cluster = start(dir.path()).await;
    let Err(refused) = Cluster::start(Config { data_dir: dir.path().into(), peer: None }).await
    else {
        panic!("two nodes opened one folder");
    };
    assert!(matches!(refused, RaftError::Locked { by: Some(_), .. }));
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_values_open_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let sealed = cluster.seal("here", "s3cret").unwrap();
    assert_ne!(sealed, cluster.seal("here", "s3cret").unwrap());
    stop(cluster).await;
    let cluster = start(dir.path()).await;
    assert_eq!(cluster.open("here", &sealed).as_deref(), Ok("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_says_so_and_has_not_failed() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let mut leading = cluster.leading();
    cluster.stop().await.unwrap();
    assert!(matches!(put(&cluster, 1).await, Err(ProposeError::Stopped { .. })));
    assert!(matches!(cluster.read_latest().await, Err(ReadError::Stopped { .. })));
    leading.wait_for(|leading| !leading).await.unwrap();
    let failed = tokio::time::timeout(Duration::from_millis(100), cluster.failed()).await;
    assert!(failed.is_err(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_start_is_a_new_term() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..5 {
        let cluster = start(dir.path()).await;
        assert!(cluster.status().term > last);
        last = cluster.status().term;
        stop(cluster).await;
    }
}
