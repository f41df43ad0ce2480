//! A client's connection: reads one head at a time, and hands exactly one request on to Pingora.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

use crate::connection_count::Admission;
use crate::error_page::Fault;
use crate::head::{Body, Extent, extent, judge};
use crate::limits::{LINGER_BYTES_MAX, LINGER_MAX, Limits};

/// How much is read at once while a head is awaited.
const HEAD_PIECE: usize = 4 << 10;
/// How long a client may take to take the end of an answer.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// What carries the octets.
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection.
///
/// Pingora reads from it as from a socket, but sees no more than the request whose head was judged last: what a client
/// sends ahead waits for the next [`next_head`](Self::next_head), where it is judged too.
pub(crate) struct Connection {
    /// Only `None` once it is being dropped.
    transport: Option<Transport>,
    /// What has arrived and was not handed on yet.
    ahead: BytesMut,
    /// How much of what arrives may be handed on; all of it when `None`.
    allowance: Option<u64>,
    h2: bool,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
    admission: Option<Admission>,
}

/// What a client wants next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A request, ready to be read.
    Request,
    /// To speak HTTP/2.
    H2,
    /// Nothing; the connection is over.
    Nothing,
    /// Something that must be refused.
    Refuse(Fault),
}

impl Connection {
    /// A connection in the clear.
    pub(crate) fn plain(stream: TcpStream, client: SocketAddr, admission: Admission) -> Self {
        let socket = socket_digest(&stream, client);
        Self::new(Transport::Plain(stream), socket, None, false, admission)
    }

    /// A connection over TLS, after the handshake.
    pub(crate) fn tls(
        stream: TlsStream<TcpStream>,
        client: SocketAddr,
        admission: Admission,
    ) -> Self {
        let (tcp, session) = stream.get_ref();
        let socket = socket_digest(tcp, client);
        let h2 = session.alpn_protocol() == Some(b"h2");
        let cipher = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
        let version = session.protocol_version().and_then(|v| v.as_str());
        let (cipher, version) = (cipher.unwrap_or_default(), version.unwrap_or_default());
        let tls = Arc::new(SslDigest::new(cipher, version, None, None, Vec::new()));
        Self::new(Transport::Tls(Box::new(stream)), socket, Some(tls), h2, admission)
    }

    fn new(
        transport: Transport,
        socket: SocketDigest,
        tls: Option<Arc<SslDigest>>,
        h2: bool,
        admission: Admission,
    ) -> Self {
        Self {
            transport: Some(transport),
            ahead: BytesMut::new(),
            allowance: if h2 { None } else { Some(0) },
            h2,
            socket: Arc::new(socket),
            tls,
            admission: Some(admission),
        }
    }

    /// Waits for the next request and judges its head. Idle time and the time for the head are bounded separately, so
    /// that a client can neither hold the connection for nothing nor trickle a head in.
    pub(crate) async fn next_head(&mut self, limits: &Limits) -> Next {
        if self.h2 {
            return Next::H2;
        }
        self.allowance = Some(0);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
            match timeout(limits.idle_max, self.read_ahead()).await {
                Ok(Ok(read)) if read > 0 => {}
                _ => return Next::Nothing,
            }
        }
        let deadline = Instant::now() + limits.header_time_max;
        let mut seen = 0;
        loop {
            match extent(&self.ahead, seen, limits) {
                Ok(Extent::Head(length)) => return self.admit(length, limits),
                Ok(Extent::H2) => return self.admit_h2(),
                Err(fault) => return Next::Refuse(fault),
                Ok(Extent::Partial) => seen = self.ahead.len(),
            }
            match timeout_at(deadline, self.read_ahead()).await {
                Ok(Ok(read)) if read > 0 => {}
                _ => return Next::Nothing,
            }
        }
    }

    fn admit(&mut self, length: usize, limits: &Limits) -> Next {
        match judge(&self.ahead[..length], limits) {
            Ok(body) => {
                self.allowance = match body {
                    Body::Octets(octets) => Some(octets.saturating_add(length as u64)),
                    Body::Framed | Body::Upgrade => None,
                };
                Next::Request
            }
            Err(fault) => Next::Refuse(fault),
        }
    }

    /// HTTP/2 in the clear; over TLS the handshake must have said so.
    fn admit_h2(&mut self) -> Next {
        if self.tls.is_some() {
            return Next::Refuse(Fault::BadRequest("HTTP/2 was not agreed on"));
        }
        self.h2 = true;
        self.allowance = None;
        Next::H2
    }

    async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(HEAD_PIECE);
        match &mut self.transport {
            Some(Transport::Plain(stream)) => stream.read_buf(&mut self.ahead).await,
            Some(Transport::Tls(stream)) => stream.read_buf(&mut self.ahead).await,
            None => Ok(0),
        }
    }

    /// Sends a last answer. What the client still sends is read and thrown away for a while, see [`Drop`].
    pub(crate) async fn refuse(mut self, answer: &[u8]) {
        self.allowance = None;
        let _ = timeout(CLOSE_MAX, async {
            self.write_all(answer).await?;
            self.flush().await
        })
        .await;
    }

    /// Hands out what has arrived, up to the allowance.
    fn take_ahead(&mut self, buf: &mut ReadBuf<'_>, most: usize) {
        let taken = most.min(self.ahead.len());
        buf.put_slice(&self.ahead[..taken]);
        self.ahead.advance(taken);
    }

    /// Reads up to `most` octets from the transport.
    fn poll_most(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(self.poll_transport(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        Poll::Ready(Ok(()))
    }

    fn poll_transport(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Some(Transport::Plain(stream)) => Pin::new(stream).poll_read(cx, buf),
            Some(Transport::Tls(stream)) => Pin::new(stream).poll_read(cx, buf),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Nothing more belongs to this request: tells only of the end. What the client sends ahead is kept for the next
    /// head; from then on its end is no longer watched for, as nothing more is read until the answer is out.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut piece = [0; 512];
        let mut buf = ReadBuf::new(&mut piece);
        ready!(self.poll_transport(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.ahead.extend_from_slice(buf.filled());
        Poll::Pending
    }
}

fn socket_digest(stream: &TcpStream, client: SocketAddr) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    // Asking the descriptor later could ask another connection's.
    let known = |addr: SocketAddr| {
        PingoraAddr::Inet(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    };
    let _ = digest.peer_addr.set(Some(known(client)));
    let _ = digest.local_addr.set(stream.local_addr().ok().map(known));
    digest
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let allowed =
            self.allowance.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        if allowed == 0 {
            return self.poll_end(cx);
        }
        let most = allowed.min(buf.remaining());
        let before = buf.filled().len();
        if self.ahead.is_empty() {
            ready!(self.poll_most(cx, buf, most))?;
        } else {
            self.take_ahead(buf, most);
        }
        let read = (buf.filled().len() - before) as u64;
        self.allowance = self.allowance.map(|n| n - read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Some(Transport::Plain(stream)) => Pin::new(stream).poll_write(cx, buf),
            Some(Transport::Tls(stream)) => Pin::new(stream).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Some(Transport::Plain(stream)) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Some(Transport::Tls(stream)) => Pin::new(stream).poll_write_vectored(cx, bufs),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Some(Transport::Plain(stream)) => Pin::new(stream).poll_flush(cx),
            Some(Transport::Tls(stream)) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Some(Transport::Plain(stream)) => Pin::new(stream).poll_shutdown(cx),
            Some(Transport::Tls(stream)) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// A socket closed with octets unread sends a reset, and the client may lose the answer before it read it. So what is
/// left of a request is read and thrown away, within bounds, before the socket closes.
impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(transport), admission) = (self.transport.take(), self.admission.take()) else {
            return;
        };
        if self.allowance == Some(0) || self.h2 {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(LINGER_MAX, linger(transport)).await;
                drop(admission);
            });
        }
    }
}

async fn linger(transport: Transport) -> io::Result<()> {
    match transport {
        Transport::Plain(mut stream) => {
            stream.shutdown().await?;
            discard(&mut stream).await
        }
        Transport::Tls(mut stream) => {
            stream.shutdown().await?;
            discard(&mut *stream).await
        }
    }
}

async fn discard(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut piece = [0; 8 << 10];
    let mut left = LINGER_BYTES_MAX;
    while left > 0 {
        match stream.read(&mut piece).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection of {:?}", self.socket.peer_addr())
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        let _ = timeout(CLOSE_MAX, AsyncWriteExt::shutdown(self)).await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> i32 {
        match &self.transport {
            Some(Transport::Plain(stream)) => stream.as_raw_fd(),
            Some(Transport::Tls(stream)) => stream.get_ref().0.as_raw_fd(),
            None => -1,
        }
    }
}

impl Ssl for Connection {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    /// Pingora speaks HTTP/2 where this says so, with and without TLS.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.h2.then_some(ALPN::H2)
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket.clone())
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Peek for Connection {}
