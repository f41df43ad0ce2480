//! A link between nodes that takes its time: everything sent to an address goes through here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How much may be under way in one direction of a connection.
const PIECES: usize = 1024;

/// A way to an address, with a delay in each direction. Ends with its runtime.
#[derive(Clone)]
pub struct Link {
    pub address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
}

impl Link {
    /// A way to `to`, without delay as yet.
    pub async fn open(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let link = Self { address, delay_ms: Arc::default() };
        tokio::spawn(link.clone().serve(listener, to));
        link
    }

    /// How long everything takes from now on, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    async fn serve(self, listener: TcpListener, to: SocketAddr) {
        while let Ok((near, _)) = listener.accept().await {
            let link = self.clone();
            tokio::spawn(async move {
                let Ok(far) = TcpStream::connect(to).await else { return };
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(link.clone().carry(near_in, far_out));
                link.carry(far_in, near_out).await;
            });
        }
    }

    async fn carry(
        self,
        mut from: impl AsyncRead + Unpin + Send + 'static,
        mut to: impl AsyncWrite + Unpin + Send + 'static,
    ) {
        let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
        let reading = async move {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from.read(&mut piece).await {
                let delay = Duration::from_millis(self.delay_ms.load(Ordering::Relaxed));
                let arrival = (Instant::now() + delay, piece[..length].to_vec());
                if sender.send(arrival).await.is_err() {
                    break;
                }
            }
        };
        let writing = async move {
            while let Some((at, piece)) = pieces.recv().await {
                sleep_until(at).await;
                if to.write_all(&piece).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = async { reading.await; std::future::pending().await } => {}
        }
    }
}
