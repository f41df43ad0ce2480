//! Answers the world for the cluster's zones, on a thread of its own: whoever asks too much keeps nothing else waiting.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use temps_raft::Applied;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use crate::crowd::Whose;
use crate::limits::{CONNECTION_LIFE_MAX, PAYLOAD_MAX, QUERY_BYTES_MAX, RECEIVE_PAUSE};
use crate::question::Question;
use crate::rate::{Admission, Rate, network, site};
use crate::tcp::{self, Clerk};
use crate::zone::{Sight, encode};
use crate::zones::Zones;

/// What the thread is called.
const THREAD: &str = "temps-dns";

/// The sockets of an authority, at one address.
#[derive(Debug)]
pub struct AuthoritySockets {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
}

impl AuthoritySockets {
    /// Takes both ports.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address)?;
        let udp = UdpSocket::bind(tcp.local_addr()?)?;
        Ok(Self { udp, tcp })
    }

    /// A second handle on the same sockets.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { udp: self.udp.try_clone()?, tcp: self.tcp.try_clone()? })
    }
}

/// A running authority. Dropped, it takes no more queries but those of connections that are open, for a moment.
pub struct Authority {
    _running: DropGuard,
}

impl Authority {
    /// Answers from now on, from the state as it is at each query.
    pub fn start(
        sockets: AuthoritySockets,
        applied: watch::Receiver<Arc<Applied>>,
    ) -> io::Result<Self> {
        let AuthoritySockets { udp, tcp } = sockets;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        info!(address = %udp.local_addr()?, "the world finds the cluster's zones");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = async move {
            let udp = tokio::net::UdpSocket::from_std(udp)?;
            let tcp = tokio::net::TcpListener::from_std(tcp)?;
            serve(udp, tcp, applied, &stopped).await;
            io::Result::Ok(())
        };
        let run = move || drop(runtime.block_on(serving));
        thread::Builder::new().name(THREAD.into()).spawn(run)?;
        Ok(Self { _running: stop.drop_guard() })
    }
}

async fn serve(
    udp: tokio::net::UdpSocket,
    tcp: tokio::net::TcpListener,
    applied: watch::Receiver<Arc<Applied>>,
    stopped: &CancellationToken,
) {
    let zones = ArcSwap::from_pointee(Zones::of(&applied.borrow()));
    let [datagrams, streams] = [Rate::new(), Rate::new()].map(Mutex::new);
    let window = Arc::new(Window { applied, zones, datagrams, streams, began: Instant::now() });
    let datagrams = stopped.run_until_cancelled(serve_datagrams(&udp, &window));
    tokio::join!(datagrams, tcp::serve(tcp, window.clone(), stopped.cancelled()));
}

/// Each is answered before the next is looked at: nothing is waited for meanwhile.
async fn serve_datagrams(socket: &tokio::net::UdpSocket, window: &Window) {
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => {
                if let Some(answer) = window.reply_to_datagram(&buffer[..length], client.ip()) {
                    // Whoever does not get it asks again.
                    let _ = socket.try_send_to(&answer, client);
                }
            }
            Err(error) => {
                debug!(%error, "cannot receive a query");
                sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// Where the world asks.
struct Window {
    applied: watch::Receiver<Arc<Applied>>,
    zones: ArcSwap<Zones>,
    datagrams: Mutex<Rate>,
    /// Of its own: over TCP nobody can ask in another's name, so nobody uses up what others are allowed.
    streams: Mutex<Rate>,
    began: Instant,
}

impl Window {
    fn reply_to_datagram(&self, query: &[u8], client: IpAddr) -> Option<Vec<u8>> {
        match self.admit(&self.datagrams, client) {
            Admission::Answer => {
                self.reply(query, |question| question.datagram_max().min(usize::from(PAYLOAD_MAX)))
            }
            Admission::Cut => Question::read(query).ok()?.over_tcp(),
            Admission::Drop => None,
        }
    }

    fn admit(&self, rate: &Mutex<Rate>, client: IpAddr) -> Admission {
        let now = self.began.elapsed();
        rate.lock().unwrap_or_else(PoisonError::into_inner).admit(client, now)
    }

    fn reply(&self, query: &[u8], octets_max: impl Fn(&Question) -> usize) -> Option<Vec<u8>> {
        let question = match Question::read(query) {
            Ok(question) => question,
            Err(refusal) => return refusal,
        };
        let applied = self.applied.borrow().clone();
        let zones = self.zones_of(&applied);
        // The serial of a zone wraps around (RFC 1982).
        let sight = Sight { state: &applied, zones: &zones, serial: applied.index as u32 };
        encode(&sight.answer(&question), octets_max(&question))
    }

    fn zones_of(&self, applied: &Applied) -> Arc<Zones> {
        let known = self.zones.load_full();
        if known.are_of(applied) {
            return known;
        }
        let found = Arc::new(Zones::of(applied));
        self.zones.store(found.clone());
        found
    }
}

impl Clerk for Window {
    const LIFE_MAX: Duration = CONNECTION_LIFE_MAX;

    fn crowd_of(&self, client: IpAddr) -> Whose {
        Whose { client: network(client), site: site(client) }
    }

    async fn answer(&self, query: &[u8], client: IpAddr) -> Option<Vec<u8>> {
        let admitted = self.admit(&self.streams, client) == Admission::Answer;
        admitted.then(|| self.reply(query, |_| usize::from(u16::MAX))).flatten()
    }
}
