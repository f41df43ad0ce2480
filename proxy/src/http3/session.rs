//! One request over HTTP/3, as Pingora asks for it: the same phases take it as any other.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, Method, Response, StatusCode};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use temps_http3::{Exchange, Reason, RequestError};
use tokio::time::timeout;

use crate::headers::text;
use crate::http3::head::{Head, OF_CONNECTIONS};
use crate::limits::RETRY_BYTES_MAX;

/// A request and its answer.
pub(crate) struct Http3Session {
    header: RequestHeader,
    exchange: Exchange,
    digest: Digest,
    body: Body,
    answer: Option<Box<ResponseHeader>>,
    /// Whether the answer is over, whole or not.
    ended: bool,
    sent: usize,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    drain_timeout: Option<Duration>,
    /// Becomes true when the client gives the request up before its answer is over.
    given_up: Arc<AtomicBool>,
}

/// How far a request's body was read.
#[derive(Default)]
struct Body {
    /// Octets that it is to have, where that was told.
    length: Option<u64>,
    read: u64,
    over: bool,
    /// What was read before it was asked for.
    ahead: Option<Bytes>,
    /// What was read, to be read again; nothing once it is too much.
    kept: Option<Kept>,
}

#[derive(Default)]
struct Kept {
    octets: BytesMut,
    truncated: bool,
}

impl Http3Session {
    /// Of a request whose head was read.
    pub(crate) fn new(head: Head, exchange: Exchange, digest: Digest) -> Self {
        Self {
            header: head.header,
            exchange,
            digest,
            body: Body { length: head.length, ..Body::default() },
            answer: None,
            ended: false,
            sent: 0,
            read_timeout: None,
            write_timeout: None,
            drain_timeout: None,
            given_up: Arc::default(),
        }
    }

    /// Looks whether there is a body, and waits for the first of it where none is to be expected: that a request has none
    /// is told by its end only.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        let reads = matches!(self.header.method, Method::GET | Method::HEAD);
        let waits = reads && self.body.length.is_none();
        let first = poll_fn(|cx| match self.poll_arrival(cx) {
            Poll::Pending if !waits => Poll::Ready(Ok(None)),
            arrived => arrived,
        });
        let first = first.await;
        if first.is_err() {
            self.exchange.abort(Reason::Malformed);
        }
        self.body.ahead = first?;
        Ok(())
    }

    /// Becomes true when the client gives the request up.
    pub(crate) fn given_up(&self) -> Arc<AtomicBool> {
        self.given_up.clone()
    }

    /// What arrives next of the body, which must be as long as was told.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if self.body.over || self.ended {
            return Poll::Ready(Ok(None));
        }
        let piece = ready!(self.exchange.poll_body(cx));
        let piece = piece.map_err(|error| self.failed(ErrorType::ReadError, error))?;
        let body = &mut self.body;
        body.read += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        body.over = piece.is_none();
        let fits = body.length.is_none_or(|length| match body.over {
            true => body.read == length,
            false => body.read <= length,
        });
        Poll::Ready(if fits { Ok(piece) } else { Err(malformed()) })
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let piece = match self.body.ahead.take() {
            Some(piece) => Some(piece),
            None => ready!(self.poll_arrival(cx))?,
        };
        if let (Some(kept), Some(piece)) = (&mut self.body.kept, &piece) {
            kept.push(piece);
        }
        Poll::Ready(Ok(piece))
    }

    /// The next piece, unless the client gives the request up before it comes.
    fn poll_piece_or_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        match self.poll_given_up(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_piece(cx),
        }
    }

    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        ready!(self.exchange.poll_given_up(cx));
        Poll::Ready(self.failed(ErrorType::ConnectionClosed, RequestError::GivenUp))
    }

    /// Notes why nothing more can be read or written.
    fn failed(&mut self, etype: ErrorType, error: RequestError) -> Box<Error> {
        if matches!(error, RequestError::GivenUp) {
            self.given_up.store(true, Ordering::Relaxed);
        }
        let error = match error {
            error @ (RequestError::Malformed(_) | RequestError::Disordered) => invalid(error),
            error => std::io::Error::other(error),
        };
        Error::because(etype, "over HTTP/3", error).into_down()
    }

    /// Whether the answer has no body, whatever its head says.
    fn is_bodiless(&self, header: &ResponseHeader) -> bool {
        self.header.method == Method::HEAD
            || matches!(header.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || text(&header.headers, CONTENT_LENGTH) == "0"
    }

    async fn send_head(&mut self, mut header: Box<ResponseHeader>, end: bool) -> Result<()> {
        if self.ended || self.answer.is_some() || header.status.is_informational() {
            return Ok(());
        }
        header.insert_header(DATE, get_cached_date())?;
        for name in OF_CONNECTIONS {
            header.remove_header(&name);
        }
        let head = Response::from_parts(header.as_owned_parts(), ());
        let sent = within(self.write_timeout, self.exchange.send_head(head)).await;
        self.note(sent)?;
        let end = end || self.is_bodiless(&header);
        self.answer = Some(header);
        if end { self.end().await } else { Ok(()) }
    }

    async fn send_piece(&mut self, piece: Bytes, end: bool) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if !piece.is_empty() {
            let length = piece.len();
            let sent = within(self.write_timeout, self.exchange.send_piece(piece)).await;
            self.note(sent)?;
            self.sent += length;
        }
        if end { self.end().await } else { Ok(()) }
    }

    async fn end(&mut self) -> Result<()> {
        if self.ended || self.answer.is_none() {
            return Ok(());
        }
        self.ended = true;
        let finished = within(self.write_timeout, self.exchange.finish()).await;
        self.note(finished)
    }

    /// Takes note of what came of sending something; nothing more is sent where it failed.
    fn note(&mut self, sent: Option<Result<(), RequestError>>) -> Result<()> {
        let error = match sent {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => self.failed(ErrorType::WriteError, error),
            None => Error::explain(ErrorType::WriteTimedout, "over HTTP/3").into_down(),
        };
        self.give_up();
        Err(error)
    }

    fn give_up(&mut self) {
        if !self.ended {
            self.ended = true;
            self.exchange.abort(Reason::InternalError);
        }
    }
}

impl Kept {
    fn push(&mut self, piece: &[u8]) {
        self.truncated |= self.octets.len() + piece.len() > RETRY_BYTES_MAX;
        match self.truncated {
            true => self.octets = BytesMut::new(),
            false => self.octets.extend_from_slice(piece),
        }
    }
}

/// What comes of something in time; nothing where it takes longer.
async fn within<T>(time: Option<Duration>, doing: impl Future<Output = T>) -> Option<T> {
    match time {
        Some(time) => timeout(time, doing).await.ok(),
        None => Some(doing.await),
    }
}

fn malformed() -> Box<Error> {
    let error = invalid("the body is not as long as was told");
    Error::because(ErrorType::ReadError, "over HTTP/3", error).into_down()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error)
}

fn slow() -> Box<Error> {
    Error::explain(ErrorType::ReadTimedout, "over HTTP/3").into_down()
}

type Messages = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

#[async_trait]
impl Session for Http3Session {
    fn req_header(&self) -> &RequestHeader {
        &self.header
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.header
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let time = self.read_timeout;
        within(time, poll_fn(|cx| self.poll_piece(cx))).await.unwrap_or_else(|| Err(slow()))
    }

    /// The end of the answer tells the client to send no more of it.
    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(
        &mut self,
        header: Box<ResponseHeader>,
        end: bool,
    ) -> Result<()> {
        self.send_head(header, end).await
    }

    async fn write_response_header_ref(
        &mut self,
        header: &ResponseHeader,
        end: bool,
    ) -> Result<()> {
        self.send_head(Box::new(header.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.send_piece(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let sent = within(self.write_timeout, self.exchange.send_trailers(trailers)).await;
        self.note(sent)?;
        self.end().await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut over = false;
        for task in tasks {
            over |= match task {
                HttpTask::Header(header, end) => {
                    self.send_head(header, end).await?;
                    end
                }
                HttpTask::Body(data, end) => {
                    self.send_piece(data.unwrap_or_default(), end).await?;
                    end
                }
                HttpTask::Trailer(trailers) => {
                    if let Some(trailers) = trailers {
                        self.write_trailers(*trailers).await?;
                    }
                    true
                }
                HttpTask::Done => true,
                HttpTask::UpgradedBody(..) => {
                    return Error::e_explain(ErrorType::InternalError, "HTTP/3 knows no upgrade");
                }
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if over {
            self.end().await?;
        }
        Ok(over)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.drain_timeout = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.drain_timeout
    }

    fn request_summary(&self) -> String {
        let host = text(&self.header.headers, http::header::HOST);
        format!("{} {}, Host: {host}", self.header.method, self.header.uri)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.answer.as_deref()
    }

    async fn shutdown(&mut self, _code: u32, _why: &str) {
        self.give_up();
    }

    fn is_body_done(&mut self) -> bool {
        let read = self.body.over && self.body.ahead.is_none();
        read || self.ended || self.is_body_empty()
    }

    async fn finish(&mut self) -> Result<()> {
        self.end().await
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.read == 0 && (self.body.over || self.body.length == Some(0))
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            return Err(poll_fn(|cx| self.poll_given_up(cx)).await);
        }
        let time = self.read_timeout;
        let piece = within(time, poll_fn(|cx| self.poll_piece_or_end(cx))).await;
        piece.unwrap_or_else(|| Err(slow()))
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        usize::try_from(self.body.read).unwrap_or(usize::MAX)
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    /// Pingora asks for it to make further requests of one, which the edge does not.
    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.body.kept.get_or_insert_default();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.body.kept.as_ref().is_some_and(|kept| kept.truncated)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let kept = self.body.kept.as_ref().filter(|kept| !kept.octets.is_empty())?;
        Some(kept.octets.clone().freeze())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Messages> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: Messages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(
        &mut self,
        _writer: Box<dyn CustomMessageWrite>,
    ) -> Result<()> {
        Ok(())
    }
}
