//! A client's connection: reads one head at a time, and hands exactly one request on to Pingora.

mod alarm;
mod end;
mod octets;
mod pingora;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::protocols::SocketDigest;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::protocols::tls::SslDigest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

use self::alarm::Alarm;
use crate::chunks::Chunks;
use crate::connection_count::Admission;
use crate::error_page::Fault;
use crate::farewell::Farewell;
use crate::frame_budget::FrameBudget;
use crate::head::{Body, Extent, H2_PREFACE, extent, judge};
use crate::limits::{CLOSE_MAX, Limits};
use crate::transport::Transport;

/// How much is read at once while a head is awaited.
const HEAD_PIECE: usize = 4 << 10;
/// How much is read at once of a body in chunks.
const BODY_PIECE: usize = 16 << 10;

/// A client's connection.
///
/// Pingora reads from it as from a socket, but sees no more than the request whose head was judged last: what a client
/// sends ahead waits for the next [`next_head`](Self::next_head), where it is judged too.
pub(crate) struct Connection {
    /// Only `None` once it is being dropped.
    transport: Option<Transport>,
    /// What has arrived and was not handed on yet.
    ahead: BytesMut,
    /// How much of what arrives may be handed on.
    share: Share,
    /// Whether what is written next is the head of an answer to a request without a body.
    begins: bool,
    h2: Option<H2>,
    /// Becomes true when the edge stops.
    stop: watch::Receiver<bool>,
    /// What is told to the client when it does.
    farewell: Option<Farewell>,
    began: Instant,
    /// Goes off when the client has asked for nothing for too long.
    idle: Alarm,
    requests: u32,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
    admission: Option<Admission>,
}

/// How much of what arrives belongs to the request that was judged last.
enum Share {
    /// So many octets.
    Octets(u64),
    /// The rest of its head, of so many octets, and chunks.
    Chunks(u64, Chunks),
    /// All of it.
    All,
}

/// HTTP/2, and what its client may ask for at no gain.
struct H2 {
    budget: FrameBudget,
    /// Cancelled once the budget is spent.
    flooded: CancellationToken,
}

impl H2 {
    fn new() -> Self {
        Self { budget: FrameBudget::new(H2_PREFACE.len()), flooded: CancellationToken::new() }
    }
}

/// What a client wants next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A request, ready to be read.
    Request,
    /// To speak HTTP/2; the token is cancelled once it sends too much that asks for work and brings nothing.
    H2(CancellationToken),
    /// Nothing; the connection is over.
    Nothing,
    /// Something that must be refused.
    Refuse(Fault),
}

impl Connection {
    /// A connection in the clear, of an edge that may stop.
    pub(crate) fn plain(
        stream: TcpStream,
        client: SocketAddr,
        admission: Admission,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let socket = socket_digest(&stream, client);
        Self::new(Transport::plain(stream), socket, admission, stop)
    }

    /// A connection over TLS, after the handshake.
    pub(crate) fn tls(
        stream: TlsStream<TcpStream>,
        client: SocketAddr,
        admission: Admission,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (tcp, session) = stream.get_ref();
        let socket = socket_digest(tcp, client);
        let h2 = session.alpn_protocol() == Some(b"h2");
        let cipher = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
        let version = session.protocol_version().and_then(|v| v.as_str());
        let (cipher, version) = (cipher.unwrap_or_default(), version.unwrap_or_default());
        let tls = Arc::new(SslDigest::new(cipher, version, None, None, Vec::new()));
        let mut connection = Self::new(Transport::tls(stream), socket, admission, stop);
        connection.tls = Some(tls);
        connection.h2 = h2.then(H2::new);
        connection
    }

    fn new(
        transport: Transport,
        socket: SocketDigest,
        admission: Admission,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            transport: Some(transport),
            ahead: BytesMut::new(),
            share: Share::Octets(0),
            begins: false,
            h2: None,
            stop,
            farewell: None,
            began: Instant::now(),
            idle: Alarm::default(),
            requests: 0,
            socket: Arc::new(socket),
            tls: None,
            admission: Some(admission),
        }
    }

    /// Waits for the next request and judges its head. Idle time and the time for the head are bounded separately, so
    /// that a client can neither hold the connection for nothing nor trickle a head in.
    pub(crate) async fn next_head(&mut self, limits: &Limits) -> Next {
        if self.h2.is_some() {
            return self.admit_h2();
        }
        self.share = Share::Octets(0);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
            let deadline = Instant::now() + self.patience(limits);
            if !poll_fn(|cx| self.poll_begin(cx, deadline)).await {
                return Next::Nothing;
            }
        }
        let deadline = Instant::now() + limits.header_time_max;
        let mut seen = 0;
        loop {
            match extent(&self.ahead, seen, limits) {
                Ok(Extent::Head(length)) => return self.admit(length, limits),
                Ok(Extent::H2) if self.tls.is_some() => {
                    return Next::Refuse(Fault::BadRequest("HTTP/2 was not agreed on"));
                }
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

    /// How long to wait for the begin of a head: who has not asked yet may not stay as long as who has.
    fn patience(&self, limits: &Limits) -> Duration {
        match self.requests {
            0 => limits.header_time_max.min(limits.idle_max),
            _ => limits.idle_max,
        }
    }

    fn admit(&mut self, length: usize, limits: &Limits) -> Next {
        let head = length as u64;
        self.farewell = None;
        self.begins = false;
        self.share = match judge(&self.ahead[..length], limits) {
            Ok(Body::Octets(octets)) => {
                self.begins = octets == 0;
                Share::Octets(octets.saturating_add(head))
            }
            Ok(Body::Chunks) => Share::Chunks(head, Chunks::default()),
            Ok(Body::Upgrade { websocket }) => {
                self.farewell = websocket.then(|| Farewell::new(self.stop.clone()));
                Share::All
            }
            Err(fault) => return Next::Refuse(fault),
        };
        self.requests = self.requests.saturating_add(1);
        Next::Request
    }

    /// HTTP/2, as the handshake of TLS or the client's preface said.
    fn admit_h2(&mut self) -> Next {
        self.share = Share::All;
        self.idle = Alarm::default();
        let flooded = self.h2.get_or_insert_with(H2::new).flooded.clone();
        Next::H2(flooded)
    }

    /// Whether the request that was admitted last must be the last one.
    pub(crate) fn is_spent(&self, limits: &Limits) -> bool {
        self.requests >= limits.connection_requests_max
            || self.began.elapsed() >= limits.connection_time_max
    }

    /// Whether the begin of a head arrives in time.
    fn poll_begin(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<bool> {
        self.ahead.reserve(HEAD_PIECE);
        let Some(transport) = &mut self.transport else { return Poll::Ready(false) };
        match poll_read_buf(Pin::new(transport), cx, &mut self.ahead) {
            Poll::Ready(read) => Poll::Ready(read.is_ok_and(|read| read > 0)),
            Poll::Pending => self.idle.poll_at(cx, deadline).map(|()| false),
        }
    }

    async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(HEAD_PIECE);
        match &mut self.transport {
            Some(transport) => transport.read_buf(&mut self.ahead).await,
            None => Ok(0),
        }
    }

    /// Sends a last answer. What the client still sends is read and thrown away for a while, see [`Drop`].
    pub(crate) async fn refuse(mut self, answer: &[u8]) {
        self.begins = false;
        self.share = Share::All;
        self.farewell = None;
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
            Some(transport) => Pin::new(transport).poll_read(cx, buf),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Hands out no more than `most` octets, first of those that arrived before.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let most = most.min(buf.remaining());
        if self.ahead.is_empty() {
            return self.poll_most(cx, buf, most);
        }
        self.take_ahead(buf, most);
        Poll::Ready(Ok(()))
    }

    /// Hands out chunks as far as they are followed, and none that is broken.
    fn poll_chunks(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            self.ahead.reserve(BODY_PIECE);
            let Some(transport) = &mut self.transport else { return Poll::Ready(Ok(())) };
            if ready!(poll_read_buf(Pin::new(transport), cx, &mut self.ahead))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let Share::Chunks(_, chunks) = &mut self.share else { return Poll::Ready(Ok(())) };
        let offered = self.ahead.len().min(buf.remaining());
        let broken = |_| io::Error::new(io::ErrorKind::InvalidData, "a chunk is malformed");
        let taken = chunks.follow(&self.ahead[..offered]).map_err(broken)?;
        if chunks.are_over() {
            self.share = Share::Octets(0);
        }
        self.take_ahead(buf, taken);
        Poll::Ready(Ok(()))
    }

    /// Hands out what a client of HTTP/2 sends, while it can pay for it. From then on nothing, until the connection's
    /// keeper closes it.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_some(cx, buf, usize::MAX))?;
        let age = self.began.elapsed();
        let Some(h2) = &mut self.h2 else { return Poll::Ready(Ok(())) };
        if h2.budget.pay(&buf.filled()[before..], age) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(before);
        h2.flooded.cancel();
        Poll::Pending
    }

    /// Tells a WebSocket's client that the edge stops, once it does and may.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (Some(farewell), Some(transport)) = (&mut self.farewell, &mut self.transport) else {
            return Ok(());
        };
        while let Poll::Ready(words) = farewell.poll_words(cx) {
            match Pin::new(&mut *transport).poll_write(cx, words)? {
                Poll::Ready(said) => farewell.said(said),
                Poll::Pending => return Ok(()),
            }
        }
        let _ = Pin::new(transport).poll_flush(cx)?;
        Ok(())
    }

    /// Notes what the client was sent.
    fn note_sent(&mut self, octets: &[u8]) {
        if let Some(h2) = &mut self.h2 {
            h2.budget.sent(octets.len());
        }
        if let Some(farewell) = &mut self.farewell {
            farewell.note(octets);
        }
    }

    /// Whether octets begin an answer to a request that brings no body. Such a head can wait for the answer's body: Pingora
    /// flushes where none follows at once, and reads from here before it waits for the app.
    fn may_wait(&mut self) -> bool {
        std::mem::take(&mut self.begins) && matches!(self.share, Share::Octets(0))
    }

    /// Sends the head of an answer that waited for the body in vain.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match &mut self.transport {
            Some(transport) if transport.is_holding() => {
                let _ = Pin::new(transport).poll_flush(cx)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether what an app sends goes nowhere, as its WebSocket was closed.
    fn is_closed(&self) -> bool {
        self.farewell.as_ref().is_some_and(Farewell::is_begun)
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection of {:?}", self.socket.peer_addr())
    }
}
