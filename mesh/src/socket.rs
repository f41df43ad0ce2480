//! A UDP socket that can be given up while others still hold on to it.
//!
//! quinn keeps its socket for as long as anybody keeps a handle on a stream, however long the connection has been over.
//! The port must not depend on that: a successor waits for it.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwapOption;
use quinn::{
    AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{MeshError, limits::SOCKET_BUFFER};

/// Once given up, what is sent goes nowhere and nothing comes.
#[derive(Debug)]
pub(crate) struct Socket {
    held: ArcSwapOption<Held>,
    address: SocketAddr,
    freed: CancellationToken,
}

#[derive(Debug)]
struct Held {
    quic: Arc<dyn AsyncUdpSocket>,
    /// A second handle, for a new endpoint on the same port.
    spare: UdpSocket,
    /// Dropped last, it tells that the others are.
    _freed: DropGuard,
}

impl Socket {
    /// Takes the port, with buffers as large as the system allows. Needs a Tokio runtime.
    pub(crate) fn bind(address: SocketAddr) -> Result<Arc<Self>, MeshError> {
        let socket =
            UdpSocket::bind(address).map_err(|source| MeshError::Bind { address, source })?;
        enlarge(&socket);
        Self::hold(socket).map_err(MeshError::Setup)
    }

    /// Another on the same port, which has to be given up as well for the port to be free.
    pub(crate) fn again(&self) -> Result<Arc<Self>, MeshError> {
        let held = self.held.load_full();
        let copy = held.ok_or_else(given_up).and_then(|held| held.spare.try_clone());
        copy.and_then(Self::hold).map_err(MeshError::Setup)
    }

    /// Another on the same address and a port that the system chooses.
    pub(crate) fn beside(&self) -> Result<Arc<Self>, MeshError> {
        let mut address = self.address;
        address.set_port(0);
        Self::bind(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the port back as soon as no call on the socket is under way any more.
    pub(crate) fn give_up(&self) {
        self.held.store(None);
    }

    /// Returns when the system has taken the port back.
    pub(crate) async fn freed(&self) {
        self.freed.cancelled().await;
    }

    fn hold(spare: UdpSocket) -> io::Result<Arc<Self>> {
        let address = spare.local_addr()?;
        let freed = CancellationToken::new();
        let quic = TokioRuntime.wrap_udp_socket(spare.try_clone()?)?;
        let held = Arc::new(Held { quic, spare, _freed: freed.clone().drop_guard() });
        Ok(Arc::new(Self { held: ArcSwapOption::new(Some(held)), address, freed }))
    }
}

/// Best effort: small buffers cost speed, not correctness. Only a privileged process may exceed the system's limit.
fn enlarge(socket: &UdpSocket) {
    use rustix::net::sockopt;
    let received = sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER));
    let sent = sockopt::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER)
        .or_else(|_| sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER));
    if let Err(error) = received.and(sent) {
        tracing::debug!(%error, "the mesh's socket keeps the system's default buffers");
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the UDP port was given up")
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.held.load().as_ref().map_or(Ok(()), |held| held.quic.try_send(transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let held = self.held.load();
        held.as_ref().map_or(Poll::Pending, |held| held.quic.poll_recv(cx, bufs, meta))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn max_transmit_segments(&self) -> usize {
        self.held.load().as_ref().map_or(1, |held| held.quic.max_transmit_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.held.load().as_ref().map_or(1, |held| held.quic.max_receive_segments())
    }

    fn may_fragment(&self) -> bool {
        self.held.load().as_ref().is_none_or(|held| held.quic.may_fragment())
    }
}

/// Waits for room in the system's buffer. Holds the socket only meanwhile.
struct Poller {
    socket: Arc<Socket>,
    waiting: Option<Waiting>,
}

struct Waiting {
    poller: Pin<Box<dyn UdpPoller>>,
    _held: Arc<Held>,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut waiting) = self.waiting.take().or_else(|| self.socket.waiting()) else {
            return Poll::Ready(Ok(()));
        };
        let polled = waiting.poller.as_mut().poll_writable(cx);
        if polled.is_pending() {
            self.waiting = Some(waiting);
        }
        polled
    }
}

impl Socket {
    fn waiting(&self) -> Option<Waiting> {
        let held = self.held.load_full()?;
        Some(Waiting { poller: held.quic.clone().create_io_poller(), _held: held })
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn a_socket_given_up_frees_its_port_whoever_still_holds_it() {
        let socket = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (quinns, mut poller) = (socket.clone(), socket.clone().create_io_poller());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(UdpSocket::bind(socket.address()).is_err());

        socket.give_up();
        socket.freed().await;
        UdpSocket::bind(socket.address()).unwrap();
        assert!(socket.again().is_err());
        assert!(quinns.poll_recv(&mut cx, &mut [], &mut []).is_pending());
        assert!(poller.as_mut().poll_writable(&mut cx).is_ready());
    }

    #[tokio::test]
    async fn a_copy_keeps_the_port() {
        let socket = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let copy = socket.again().unwrap();
        socket.give_up();
        socket.freed().await;
        assert!(UdpSocket::bind(copy.address()).is_err());
    }
}
