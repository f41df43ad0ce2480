//! A node leaves its port to a successor with the same certificate, under traffic.
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use temps_mesh::{Mesh, MeshStream, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::common::{
    ANY, Cluster, Identity, bind, echo, echo_node, exchange, node, pattern, reached_again, reaches,
    serve,
};

const LONG: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_millis(500);
const EXCHANGES_AT_ONCE: usize = 4;

fn echoing(identity: &Arc<Identity>, listen: &str) -> Mesh {
    let (mesh, incoming) = bind(identity.clone(), listen);
    tokio::spawn(serve(incoming, echo));
    mesh
}

/// An echoing node whose identity others may take on.
fn placed(cluster: &Arc<Cluster>, id: u64) -> (Mesh, Arc<Identity>) {
    let identity = cluster.identity(id, &[id]);
    let mesh = echoing(&identity, ANY);
    cluster.place(id, mesh.local_addr());
    (mesh, identity)
}

/// A hundred exchanges a second, each on a stream of its own; fewer on a machine that is too busy for so many.
struct Traffic {
    stopping: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Traffic {
    fn begin(mesh: &Mesh, to: u64) -> Self {
        let (stopping, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(drive(mesh.clone(), to, stopping.clone(), done.clone()));
        Self { stopping, done, task }
    }

    /// Waits until `more` further exchanges have ended, well or not.
    async fn goes_on(&self, more: usize) {
        let (target, deadline) = (self.done.load(Ordering::SeqCst) + more, Instant::now() + LONG);
        while self.done.load(Ordering::SeqCst) < target {
            assert!(Instant::now() < deadline, "the traffic stands still");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What went wrong.
    async fn end(self) -> Vec<String> {
        self.stopping.store(true, Ordering::SeqCst);
        timeout(LONG, self.task).await.expect("every exchange ends").unwrap()
    }
}

async fn drive(
    mesh: Mesh,
    to: u64,
    stopping: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let at_once = Arc::new(Semaphore::new(EXCHANGES_AT_ONCE));
    let mut exchanges = JoinSet::new();
    while !stopping.load(Ordering::SeqCst) {
        ticks.tick().await;
        let permit = at_once.clone().acquire_owned().await.unwrap();
        let (mesh, done) = (mesh.clone(), done.clone());
        exchanges.spawn(async move {
            let outcome = try_exchange(&mesh, to).await;
            done.fetch_add(1, Ordering::SeqCst);
            drop(permit);
            outcome
        });
    }
    let outcomes = exchanges.join_all().await;
    outcomes.into_iter().filter_map(Result::err).collect()
}

async fn try_exchange(mesh: &Mesh, to: u64) -> Result<(), String> {
    let body = pattern(to, 3000);
    let mut stream =
        mesh.open(to, Target::Api).await.map_err(|error| format!("open to {to}: {error:?}"))?;
    let mut back = Vec::new();
    let carried = async {
        stream.write_all(&body).await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut back).await
    };
    carried.await.map_err(|error| format!("exchange with {to}: {error:?}"))?;
    if back == body { Ok(()) } else { Err(format!("exchange with {to}: it differs")) }
}

/// Sends a little at a time and gets it back, for about `lasting`.
async fn long_exchange(mut stream: MeshStream, lasting: Duration) {
    let (began, mut ticks) = (Instant::now(), interval(Duration::from_millis(20)));
    let mut chunk = [0; 100];
    while began.elapsed() < lasting {
        ticks.tick().await;
        stream.write_all(&[7; 100]).await.unwrap();
        stream.read_exact(&mut chunk).await.unwrap();
    }
    assert_eq!(exchange(stream, b"the end").await, b"the end");
}

async fn begin_long(from: &Mesh, to: u64) -> JoinHandle<()> {
    let stream = from.open(to, Target::Api).await.unwrap();
    tokio::spawn(long_exchange(stream, Duration::from_millis(700)))
}

fn is_free(mesh: &Mesh) -> bool {
    UdpSocket::bind(mesh.local_addr()).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_fails_while_a_node_hands_over_to_a_successor() {
    let cluster = Cluster::new();
    let (two, identity) = placed(&cluster, 2);
    let (one, three) = (echo_node(&cluster, 1), echo_node(&cluster, 3));
    let peers = [&one, &three];
    for peer in peers {
        reached_again(peer, 2, LONG).await;
    }
    let to_two = peers.map(|peer| Traffic::begin(peer, 2));
    let from_two = [1, 3].map(|peer| Traffic::begin(&two, peer));
    let long = [begin_long(&one, 2).await, begin_long(&two, 3).await];
    to_two[0].goes_on(20).await;

    let began = Instant::now();
    two.step_aside(LONG).await.unwrap();
    assert!(began.elapsed() < LONG / 2, "it does not wait longer than there are streams");
    for long in long {
        timeout(Duration::ZERO, long).await.expect("it has ended").unwrap();
    }
    assert!(is_free(&two));
    to_two[0].goes_on(20).await;

    let successor = echoing(&identity, &two.local_addr().to_string());
    for peer in [1, 3] {
        reached_again(&successor, peer, LONG).await;
    }
    let from_successor = [1, 3].map(|peer| Traffic::begin(&successor, peer));
    to_two[0].goes_on(20).await;
    for traffic in from_two {
        traffic.goes_on(20).await;
        assert_eq!(traffic.end().await, [""; 0], "from the node itself");
    }
    two.drain(LONG).await;
    two.stop().await;
    for traffic in to_two.into_iter().chain(from_successor) {
        traffic.goes_on(20).await;
        assert_eq!(traffic.end().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_open_fails_when_the_old_process_stops_without_a_word() {
    let cluster = Cluster::new();
    let (two, identity) = placed(&cluster, 2);
    let (one, three) = (echo_node(&cluster, 1), echo_node(&cluster, 3));
    reached_again(&one, 2, LONG).await;
    reached_again(&two, 3, LONG).await;
    two.step_aside(LONG).await.unwrap();
    let successor = echoing(&identity, &two.local_addr().to_string());
    // Node 3 is connected to the successor as well, node 1 only to the old process.
    reached_again(&successor, 3, LONG).await;

    let traffic = [&one, &three].map(|peer| Traffic::begin(peer, 2));
    traffic[0].goes_on(20).await;
    two.stop().await;
    for traffic in traffic {
        traffic.goes_on(50).await;
        let failures = traffic.end().await;
        let opens = failures.iter().filter(|failure| failure.starts_with("open"));
        assert_eq!(opens.count(), 0, "{failures:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_uses_the_successor_while_both_are_there() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let identity = cluster.identity(2, &[2]);
    let (two, mut to_two) = bind(identity.clone(), ANY);
    reached_again(&two, 1, LONG).await;
    two.step_aside(LONG).await.unwrap();
    let successor = echoing(&identity, &two.local_addr().to_string());
    cluster.place(2, successor.local_addr());
    reached_again(&successor, 1, LONG).await;
    for _ in 0..20 {
        assert!(reaches(&one, 2).await);
    }
    assert!(timeout(Duration::ZERO, to_two.next()).await.is_err(), "nothing came to the old one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_is_free_on_return_whoever_holds_streams() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (two, mut to_two) = node(&cluster, 2);
    let (held, other_end) = tokio::join!(one.open(2, Target::Api), async {
        to_two.next().await.unwrap().stream.accept().await.unwrap()
    });
    tokio::spawn(serve(to_two, echo));
    let mine = two.open(1, Target::Api).await.unwrap();

    let (began, within) = (Instant::now(), Duration::from_millis(300));
    assert!(!is_free(&two));
    two.step_aside(within).await.unwrap();
    assert!(is_free(&two));
    assert!(began.elapsed() >= within && began.elapsed() < within + Duration::from_secs(2));
    for mut stream in [held.unwrap(), other_end, mine] {
        let ended = timeout(SLACK, stream.read_u8()).await.expect("it was cut");
        assert!(ended.is_err());
    }
    assert!(reaches(&one, 2).await && reaches(&two, 1).await, "both ways go on");
    two.step_aside(LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_bytes_of_a_stream_arrive_before_its_connection_goes() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (two, mut to_two) = node(&cluster, 2);
    let (stream, other_end) = tokio::join!(one.open(2, Target::Api), async {
        to_two.next().await.unwrap().stream.accept().await.unwrap()
    });
    let (mut stream, mut other_end) = (stream.unwrap(), other_end);
    let body = pattern(1, 200_000);
    other_end.write_all(&body).await.unwrap();
    other_end.shutdown().await.unwrap();
    drop(other_end);
    two.step_aside(LONG).await.unwrap();
    two.stop().await;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert!(received == body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_while_a_node_leaves_is_moved_on_too() {
    let cluster = Cluster::new();
    let (two, _) = placed(&cluster, 2);
    let (one, three) = (echo_node(&cluster, 1), echo_node(&cluster, 3));
    reached_again(&one, 2, LONG).await;
    let holds_up = one.open(2, Target::Api).await.unwrap();
    let leaving = tokio::spawn({
        let two = two.clone();
        async move { two.step_aside(LONG).await }
    });
    reached_again(&three, 2, LONG / 4).await;
    assert!(!leaving.is_finished());
    let traffic = Traffic::begin(&three, 2);
    traffic.goes_on(10).await;
    drop(holds_up);
    timeout(LONG / 2, leaving).await.expect("the last stream has ended").unwrap().unwrap();
    assert!(is_free(&two));
    traffic.goes_on(10).await;
    assert_eq!(traffic.end().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_does_not_wait_for_a_node_that_steps_aside() {
    let cluster = Cluster::new();
    let (two, _) = placed(&cluster, 2);
    let one = echo_node(&cluster, 1);
    reached_again(&one, 2, LONG).await;
    let _held = one.open(2, Target::Api).await.unwrap();
    let leaving = tokio::spawn({
        let two = two.clone();
        async move { two.step_aside(LONG).await }
    });
    reached_again(&one, 2, LONG).await;
    assert!(!leaving.is_finished());
    let began = Instant::now();
    two.stop().await;
    assert!(is_free(&two));
    leaving.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_of_one_node_cut_no_stream_that_is_under_way() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let identity = cluster.identity(2, &[2]);
    let first = echoing(&identity, ANY);
    reached_again(&first, 1, LONG).await;
    let stream = first.open(1, Target::Api).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..12 {
        let other = echoing(&identity, ANY);
        reached_again(&other, 1, LONG).await;
        reached_again(&one, 2, LONG).await;
        others.push(other);
    }
    assert_eq!(exchange(stream, b"still here").await, b"still here");
}
