//! Nodes die, come back, hang and stop.
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use temps_mesh::{Mesh, MeshConfig, MeshError, MeshTls, REACH_WITHIN, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    runtime::{Builder, Runtime},
    sync::watch,
    time::{Instant, timeout},
};

use crate::common::{
    ANY, Cluster, Identity, bind, echo, echo_node, node, reached_again, reaches, serve,
};

const SLACK: Duration = Duration::from_millis(500);

/// A node in a runtime of its own, so that it can die without a word.
struct Mortal {
    runtime: Runtime,
    mesh: Mesh,
}

impl Mortal {
    fn start(identity: &Arc<Identity>, listen: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mesh = runtime.block_on(async {
            let (mesh, incoming) = bind(identity.clone(), listen);
            tokio::spawn(serve(incoming, echo));
            mesh
        });
        Self { runtime, mesh }
    }

    fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.mesh);
    }
}

/// Node 2 of a cluster, in its place; who it is, and where.
fn mortal_two(cluster: &Arc<Cluster>) -> (Mortal, Arc<Identity>, SocketAddr) {
    let identity = cluster.identity(2, &[2]);
    let two = in_thread(|| Mortal::start(&identity, ANY));
    let address = two.mesh.local_addr();
    cluster.place(2, address);
    (two, identity, address)
}

fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_noticed_and_reached_again_on_the_same_port() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (two, identity, address) = mortal_two(&cluster);
    assert!(reaches(&one, 2).await);
    let mut stream = one.open(2, Target::Api).await.unwrap();

    in_thread(|| two.kill());
    for _ in 0..3 {
        let began = Instant::now();
        let outcome = one.open(2, Target::Api).await;
        assert!(outcome.is_err());
        assert!(began.elapsed() < REACH_WITHIN + SLACK, "{:?} for {outcome:?}", began.elapsed());
    }
    let ended = timeout(Duration::from_secs(6), stream.read_u8()).await.expect("it times out");
    assert!(ended.is_err());

    let two = in_thread(|| Mortal::start(&identity, &address.to_string()));
    let took = reached_again(&one, 2, Duration::from_secs(3)).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    in_thread(|| two.kill());
}

/// The first ends its streams as soon as it is known to be gone; the other may only be slow, or behind a broken link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_is_given_up_at_once_only_if_nobody_listens_there() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (killed, ..) = mortal_two(&cluster);
    let three = echo_node(&cluster, 3);
    let (pass, passing) = watch::channel(true);
    let place = relay(three.local_addr(), passing).await;
    // Each of the two suspects the other.
    let _three_listens = tokio::net::TcpListener::bind(place).await.unwrap();
    let _one_listens = tokio::net::TcpListener::bind(one.local_addr()).await.unwrap();
    cluster.place(3, place);
    let mut to_killed = one.open(2, Target::Api).await.unwrap();
    let mut to_cut_off = one.open(3, Target::Api).await.unwrap();

    in_thread(|| killed.kill());
    pass.send(false).unwrap();
    tokio::select! {
        ended = to_killed.read_u8() => assert!(ended.is_err()),
        ended = to_cut_off.read_u8() => panic!("given up although somebody listens there: {ended:?}"),
    }
    pass.send(true).unwrap();
    to_cut_off.write_all(b"x").await.unwrap();
    assert_eq!(to_cut_off.read_u8().await.unwrap(), b'x');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_that_comes_first_is_used_at_once() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (two, identity, address) = mortal_two(&cluster);
    assert!(reaches(&one, 2).await);
    in_thread(|| two.kill());

    let two = in_thread(|| Mortal::start(&identity, &address.to_string()));
    assert!(reaches(&two.mesh, 1).await);
    let began = Instant::now();
    assert!(reaches(&one, 2).await);
    assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
    in_thread(|| two.kill());
}

/// Passes packets between one client and a server while it is told to.
async fn relay(server: SocketAddr, passing: watch::Receiver<bool>) -> SocketAddr {
    let (front, back) = (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
    back.connect(server).await.unwrap();
    let address = front.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut there, mut here) = (vec![0; 65536], vec![0; 65536]);
        let mut client = None;
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut there) => {
                    client = Some(from);
                    if *passing.borrow() {
                        let _ = back.send(&there[..length]).await;
                    }
                }
                Ok(length) = back.recv(&mut here) => {
                    if let Some(client) = client.filter(|_| *passing.borrow()) {
                        let _ = front.send_to(&here[..length], client).await;
                    }
                }
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_is_given_up_quickly_and_reached_when_the_way_is_free() {
    let cluster = Cluster::new();
    let (one, two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
    let (pass, passing) = watch::channel(true);
    cluster.place(2, relay(two.local_addr(), passing).await);
    assert!(reaches(&one, 2).await);

    pass.send(false).unwrap();
    let mut longest = Duration::ZERO;
    let mut immediate = 0;
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let began = Instant::now();
        match one.open(2, Target::Api).await {
            Err(MeshError::Unreachable { retry_in, .. }) => {
                immediate += 1;
                assert!(retry_in <= Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => assert!(matches!(other, Err(MeshError::Silent { .. })), "{other:?}"),
        }
        longest = longest.max(began.elapsed());
    }
    assert!(longest < REACH_WITHIN + SLACK, "{longest:?}");
    assert!(immediate > 0, "not every attempt has to wait");

    pass.send(true).unwrap();
    let took = reached_again(&one, 2, Duration::from_secs(3)).await;
    assert!(took < Duration::from_millis(2500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_want_a_dead_node_all_hear_it_in_time() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let silent = UdpSocket::bind(ANY).await.unwrap();
    cluster.place(2, silent.local_addr().unwrap());
    let began = Instant::now();
    let attempts = (0..50).map(|_| one.open(2, Target::Api));
    for outcome in futures::future::join_all(attempts).await {
        assert!(outcome.is_err());
    }
    assert!(began.elapsed() < REACH_WITHIN + SLACK, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_node_that_does_not_decide_is_not_waited_for_for_ever() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let (_two, _undecided) = node(&cluster, 2);
    let began = Instant::now();
    let outcome = one.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::Silent { node: 2 })), "{outcome:?}");
    assert!(began.elapsed() < temps_mesh::ANSWER_WITHIN + SLACK);
}

#[tokio::test]
async fn stopping_ends_everything_and_tells_the_peers() {
    let cluster = Cluster::new();
    let one = echo_node(&cluster, 1);
    let (two, mut to_two) = node(&cluster, 2);
    let (stream, other_end) = tokio::join!(one.open(2, Target::Api), async {
        to_two.next().await.unwrap().stream.accept().await.unwrap()
    });
    two.stop().await;
    assert!(to_two.next().await.is_none());
    for mut half in [stream.unwrap(), other_end] {
        let ended = timeout(SLACK, half.read_u8()).await.expect("it is told at once");
        assert!(ended.is_err());
    }
    assert!(two.open(1, Target::Api).await.is_err());
    let address = two.local_addr();
    drop((two, to_two));
    let deadline = Instant::now() + Duration::from_secs(2);
    while let Err(error) = UdpSocket::bind(address).await {
        assert!(Instant::now() < deadline, "the port is not free again: {error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Gives settings without TLS 1.3 while it is told to, at which quinn itself would panic.
struct Flawed {
    identity: Arc<Identity>,
    flawed: AtomicBool,
}

impl MeshTls for Flawed {
    fn server(&self) -> Arc<rustls::ServerConfig> {
        self.identity.server()
    }

    fn client(&self, node: u64) -> Arc<rustls::ClientConfig> {
        if self.flawed.load(Ordering::Relaxed) {
            return Arc::new(crate::common::tls12_client());
        }
        self.identity.client(node)
    }

    fn node_of(&self, certs: &[CertificateDer<'static>]) -> Option<u64> {
        self.identity.node_of(certs)
    }

    fn address(&self, node: u64) -> Option<SocketAddr> {
        self.identity.address(node)
    }
}

#[tokio::test]
async fn tls_settings_unfit_for_quic_are_an_error_and_no_more() {
    let cluster = Cluster::new();
    let _three = echo_node(&cluster, 3);
    let tls = Arc::new(Flawed { identity: cluster.identity(2, &[2]), flawed: true.into() });
    let config = MeshConfig { listen: ANY.parse().unwrap(), tls: tls.clone() };
    let (two, _incoming) = Mesh::bind(config).unwrap();
    let outcome = two.open(3, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::Tls(_))), "{outcome:?}");
    tls.flawed.store(false, Ordering::Relaxed);
    reached_again(&two, 3, Duration::from_secs(2)).await;
}
