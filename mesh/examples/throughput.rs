//! How fast bytes and requests pass between two nodes on loopback, beside plain TCP on the same machine.
//!
//! The two take turns, so that whatever else the machine does hits both; medians are printed, and their ratio. TCP on
//! loopback neither encrypts nor cuts its data into packets, so it bounds what is possible rather than what is usual.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on should stop there")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{ANY, Cluster, node};
use futures::future::join_all;
use temps_mesh::{Incoming, Mesh, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ROUNDS: usize = 7;
const MIB: usize = 1024 * 1024;
const BODY: usize = 128 * MIB;
const REQUESTS: usize = 500;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

#[tokio::main]
async fn main() {
    let cluster = Cluster::new();
    let (mesh, _incoming) = node(&cluster, 1);
    let (_other, incoming) = node(&cluster, 2);
    tokio::spawn(serve_mesh(incoming));
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_tcp(listener));

    for streams in [1, 8] {
        let what = format!("{streams} streams, MB/s");
        let (mut tcp, mut quic) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            tcp.push(rate(tcp_downloads(address, streams).await));
            quic.push(rate(mesh_downloads(&mesh, streams).await));
        }
        report(&what, tcp, quic);
    }
    let (mut tcp, mut quic) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        tcp.push(tcp_request(address).await.as_secs_f64() * 1e6);
        quic.push(mesh_request(&mesh).await.as_secs_f64() * 1e6);
    }
    report("open and one round trip, microseconds", tcp, quic);
}

async fn serve_mesh(mut incoming: Incoming) {
    while let Some(arrival) = incoming.next().await {
        tokio::spawn(async move { answer(arrival.stream.accept().await.unwrap()).await });
    }
}

async fn serve_tcp(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        tokio::spawn(answer(stream));
    }
}

/// Reads how many bytes are wanted and sends them.
async fn answer(mut stream: impl Stream) {
    let mut left = stream.read_u64().await.unwrap() as usize;
    let chunk = vec![7; 64 * 1024];
    while left > 0 {
        let length = left.min(chunk.len());
        stream.write_all(&chunk[..length]).await.unwrap();
        left -= length;
    }
    stream.shutdown().await.unwrap();
}

async fn fetch(mut stream: impl Stream, bytes: usize) {
    stream.write_u64(bytes as u64).await.unwrap();
    let mut chunk = vec![0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        left -= stream.read(&mut chunk).await.unwrap();
    }
}

async fn tcp_downloads(address: SocketAddr, streams: usize) -> Duration {
    let began = Instant::now();
    join_all(
        (0..streams)
            .map(|_| tokio::spawn(async move { fetch(dial(address).await, BODY / streams).await })),
    )
    .await;
    began.elapsed()
}

async fn mesh_downloads(mesh: &Mesh, streams: usize) -> Duration {
    let began = Instant::now();
    join_all((0..streams).map(|_| {
        let mesh = mesh.clone();
        tokio::spawn(async move {
            fetch(mesh.open(2, Target::Api).await.unwrap(), BODY / streams).await;
        })
    }))
    .await;
    began.elapsed()
}

async fn tcp_request(address: SocketAddr) -> Duration {
    let began = Instant::now();
    fetch(dial(address).await, 100).await;
    began.elapsed()
}

async fn mesh_request(mesh: &Mesh) -> Duration {
    let began = Instant::now();
    fetch(mesh.open(2, Target::Api).await.unwrap(), 100).await;
    began.elapsed()
}

async fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn rate(took: Duration) -> f64 {
    BODY as f64 / 1e6 / took.as_secs_f64()
}

fn report(what: &str, tcp: Vec<f64>, mesh: Vec<f64>) {
    let (tcp, mesh) = (median(tcp), median(mesh));
    println!("{what}: tcp {tcp:.0}, mesh {mesh:.0}, mesh/tcp {:.2}", mesh / tcp);
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
