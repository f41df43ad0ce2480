//! Streams carry bytes faithfully, both ways, many at once.
use std::time::Duration;

use temps_mesh::{
    Arrival, LINKS_FOR_STREAMS, MeshError, MeshStream, STALLED_STREAMS_MAX, STREAMS_MAX, Target,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use crate::common::{Cluster, echo_node, exchange, node, pattern, reaches, serve};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn either_node_reaches_the_other_and_knows_who_came_and_for_what() {
    let cluster = Cluster::new();
    let ((one, mut to_one), (two, mut to_two)) = (node(&cluster, 1), node(&cluster, 2));
    let replica = Target::Replica("rep_01".into());
    let (opened, arrived) = tokio::join!(one.open(2, replica.clone()), async {
        let Arrival { from, target, stream } = to_two.next().await.unwrap();
        assert_eq!((from, target), (1, replica.clone()));
        stream.accept().await.unwrap()
    });
    tokio::spawn(crate::common::echo(arrived));
    assert_eq!(exchange(opened.unwrap(), b"hello").await, b"hello");

    let (opened, arrived) = tokio::join!(two.open(1, Target::Api), async {
        let Arrival { from, target, stream } = to_one.next().await.unwrap();
        assert_eq!((from, target), (2, Target::Api));
        stream.accept().await.unwrap()
    });
    tokio::spawn(crate::common::echo(arrived));
    let stream = opened.unwrap();
    assert_eq!(stream.node(), 1);
    assert!(format!("{stream:?}").starts_with("MeshStream { node: 1"));
    assert_eq!(exchange(stream, b"hello back").await, b"hello back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_both_get_through() {
    let cluster = Cluster::new();
    let (one, two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
    for _ in 0..20 {
        assert_eq!(tokio::join!(reaches(&one, 2), reaches(&two, 1)), (true, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_at_once_do_not_mix() {
    let cluster = Cluster::new();
    let (one, _two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
    let mut streams = JoinSet::new();
    for seed in 0..100 {
        let mesh = one.clone();
        streams.spawn(async move {
            let body = pattern(seed, 100_000 + seed as usize);
            let stream = mesh.open(2, Target::Replica(format!("rep_{seed}"))).await.unwrap();
            assert!(exchange(stream, &body).await == body, "stream {seed} differs");
        });
    }
    while let Some(done) = streams.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn one_half_ends_and_the_other_goes_on() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, mut to_two) = node(&cluster, 2);
    let other_end = tokio::spawn(async move {
        let mut stream = to_two.next().await.unwrap().stream.accept().await.unwrap();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).await.unwrap();
        stream.write_all(format!("you said {asked}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.shutdown().await.expect("a second shutdown is harmless");
    });
    let mut stream = one.open(2, Target::Api).await.unwrap();
    stream.write_all(b"all of it").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "you said all of it");
    other_end.await.unwrap();
}

#[tokio::test]
async fn a_stream_dropped_before_its_end_is_an_error_for_the_peer() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, mut to_two) = node(&cluster, 2);
    let other_end = tokio::spawn(async move {
        let mut stream = to_two.next().await.unwrap().stream.accept().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap_err().kind()
    });
    let mut stream = one.open(2, Target::Api).await.unwrap();
    stream.write_all(b"half a sen").await.unwrap();
    drop(stream);
    assert_eq!(other_end.await.unwrap(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_both_ways_at_once() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let _two = echo_node(&cluster, 2);
    let body = pattern(7, 64 * MIB);
    let stream = one.open(2, Target::Api).await.unwrap();
    assert!(exchange(stream, &body).await == body);
}

#[tokio::test]
async fn a_refusal_tells_its_reason() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, mut to_two) = node(&cluster, 2);
    tokio::spawn(async move {
        to_two.next().await.unwrap().stream.refuse("no such replica").await;
        drop(to_two.next().await.unwrap());
        drop(to_two);
    });
    match one.open(2, Target::Replica("rep_gone".into())).await {
        Err(MeshError::Refused { node: 2, reason }) => assert_eq!(reason, "no such replica"),
        other => panic!("{other:?}"),
    }
    let dropped = one.open(2, Target::Api).await;
    assert!(matches!(dropped, Err(MeshError::Dropped { node: 2, .. })), "{dropped:?}");
    let nobody = one.open(2, Target::Api).await;
    assert!(matches!(nobody, Err(MeshError::Refused { node: 2, .. })), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stand_still_do_not_hold_up_others() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, incoming) = node(&cluster, 2);
    tokio::spawn(serve(incoming, never_read));
    let mut stalled = Vec::new();
    // More than one connection can hold what none of them reads.
    for _ in 0..2 * STALLED_STREAMS_MAX {
        let mut stream = one.open(2, Target::Api).await.unwrap();
        // As much as a stream takes of what nobody reads.
        let fill = stream.write_all(&[0; MIB / 4 - 1024]);
        timeout(Duration::from_secs(5), fill).await.unwrap().unwrap();
        stalled.push(stream);
    }
    // The node at the other end only answers streams, so answers come on the same connection.
    let mut stream = one.open(2, Target::Api).await.unwrap();
    stream.write_all(b"still here?").await.unwrap();
    let mut answer = [0; 3];
    timeout(Duration::from_secs(2), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"yes");
}

/// Says yes at once and then reads nothing.
async fn never_read(mut stream: MeshStream) {
    stream.write_all(b"yes").await.unwrap();
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_streams_than_allowed_are_open_and_ended_ones_make_room() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let _two = echo_node(&cluster, 2);
    let mut open = Vec::new();
    for _ in 0..LINKS_FOR_STREAMS * STREAMS_MAX as usize {
        open.push(one.open(2, Target::Api).await.unwrap());
    }
    let more = one.open(2, Target::Api).await;
    assert!(matches!(more, Err(MeshError::TooMany { what: "streams", node: 2 })), "{more:?}");
    for stream in open.split_off(open.len() * 3 / 4) {
        assert_eq!(exchange(stream, b"last").await, b"last");
    }
    assert!(reaches(&one, 2).await);
}

#[tokio::test]
async fn streams_that_nobody_takes_are_refused_once_too_many_wait() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, _untaken) = node(&cluster, 2);
    let mut waiting = JoinSet::new();
    for _ in 0..300 {
        let mesh = one.clone();
        waiting.spawn(async move { mesh.open(2, Target::Api).await });
    }
    for _ in 0..300 - 256 {
        let outcome = waiting.join_next().await.unwrap().unwrap();
        assert!(matches!(outcome, Err(MeshError::Refused { .. })), "{outcome:?}");
    }
    assert_eq!(waiting.len(), 256);
}
