//! quinn's connections and streams, as the h3 crate asks for them.
//!
//! Unlike h3-quinn it bounds what is gathered of frames, tells that a client stopped reading an answer before something
//! is written to it, and does not pass an answer off as whole that was only dropped.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, Dir, ReadError, VarInt, WriteError};

use crate::Reason;
use crate::frames::Frames;

/// Resolves once a client wants no answer any more, or has all of it.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

type Both = (quinn::SendStream, quinn::RecvStream);

/// A connection.
pub(crate) struct Link {
    connection: quinn::Connection,
    requests: BoxStream<'static, Result<Both, ConnectionError>>,
    others: BoxStream<'static, Result<quinn::RecvStream, ConnectionError>>,
    opening: BoxStream<'static, Result<quinn::SendStream, ConnectionError>>,
    frame_bytes_max: u64,
    /// Of the stream that was accepted last, until it is taken.
    pub(crate) stopped: Option<Stopped>,
}

impl Link {
    pub(crate) fn new(connection: quinn::Connection, frame_bytes_max: u64) -> Self {
        Self {
            requests: unfold(connection.clone(), async |c| Some((c.accept_bi().await, c))).boxed(),
            others: unfold(connection.clone(), async |c| Some((c.accept_uni().await, c))).boxed(),
            opening: unfold(connection.clone(), async |c| Some((c.open_uni().await, c))).boxed(),
            connection,
            frame_bytes_max,
            stopped: None,
        }
    }
}

impl<B: Buf> quic::Connection<B> for Link {
    type RecvStream = Receiver;
    type OpenStreams = Self;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receiver, ConnectionErrorIncoming>> {
        let stream = ready!(self.others.poll_next_unpin(cx)).ok_or_else(never)?.map_err(lost)?;
        Poll::Ready(Ok(Receiver { stream, frames: Frames::other(self.frame_bytes_max) }))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bidi<B>, ConnectionErrorIncoming>> {
        let accepted = ready!(self.requests.poll_next_unpin(cx)).ok_or_else(never)?;
        let (send, stream) = accepted.map_err(lost)?;
        let stopped = send.stopped();
        self.stopped = Some(Box::pin(async move { drop(stopped.await) }));
        let receiver = Receiver { stream, frames: Frames::request(self.frame_bytes_max) };
        Poll::Ready(Ok(Bidi { sender: Sender::new(send), receiver }))
    }

    fn opener(&self) -> Self {
        Self::new(self.connection.clone(), self.frame_bytes_max)
    }
}

impl<B: Buf> quic::OpenStreams<B> for Link {
    type BidiStream = Bidi<B>;
    type SendStream = Sender<B>;

    /// Servers open none (RFC 9114 §6.1).
    fn poll_open_bidi(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<Bidi<B>, StreamErrorIncoming>> {
        Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming { connection_error: never() }))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sender<B>, StreamErrorIncoming>> {
        let opened = ready!(self.opening.poll_next_unpin(cx)).ok_or_else(never);
        let stream = opened.and_then(|opened| opened.map_err(lost)).map_err(of_connection)?;
        Poll::Ready(Ok(Sender::new(stream)))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.connection.close(number(code.value()), reason);
    }
}

/// A request's stream.
pub(crate) struct Bidi<B: Buf> {
    sender: Sender<B>,
    receiver: Receiver,
}

impl<B: Buf> quic::BidiStream<B> for Bidi<B> {
    type SendStream = Sender<B>;
    type RecvStream = Receiver;

    fn split(self) -> (Sender<B>, Receiver) {
        (self.sender, self.receiver)
    }
}

impl<B: Buf> quic::RecvStream for Bidi<B> {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.receiver.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receiver.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.receiver.recv_id()
    }
}

impl<B: Buf> quic::SendStream<B> for Bidi<B> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.sender.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.sender.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.sender.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.sender.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.sender.send_id()
    }
}

/// What a client sends.
pub(crate) struct Receiver {
    stream: quinn::RecvStream,
    frames: Frames,
}

impl quic::RecvStream for Receiver {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let is_request = self.stream.id().dir() == Dir::Bi;
        // It holds nothing, so it may be made anew each time.
        let read = pin!(self.stream.read_chunk(usize::MAX, true));
        let Some(chunk) = ready!(read.poll(cx)).map_err(unread)? else {
            return Poll::Ready(Ok(None));
        };
        match self.frames.follow(&chunk.bytes) {
            Ok(()) => Poll::Ready(Ok(Some(chunk.bytes))),
            Err(excess) if is_request => {
                Poll::Ready(Err(StreamErrorIncoming::Unknown(Box::new(excess))))
            }
            // Without its control stream a connection is of no use.
            Err(excess) => Poll::Ready(Err(of_connection(ConnectionErrorIncoming::InternalError(
                excess.to_string(),
            )))),
        }
    }

    fn stop_sending(&mut self, code: u64) {
        // It may be over.
        let _ = self.stream.stop(number(code));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// What a client is sent.
pub(crate) struct Sender<B: Buf> {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<B>>,
    finished: bool,
}

impl<B: Buf> Sender<B> {
    fn new(stream: quinn::SendStream) -> Self {
        Self { stream, writing: None, finished: false }
    }
}

impl<B: Buf> quic::SendStream<B> for Sender<B> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = self.writing.as_mut().filter(|data| data.has_remaining()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data.chunk()));
            data.advance(written.map_err(unwritten)?);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        match self.writing {
            Some(_) => Err(of_connection(never())),
            None => {
                self.writing = Some(data.into());
                Ok(())
            }
        }
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.finished = true;
        let closed = |error| StreamErrorIncoming::Unknown(Box::new(error));
        Poll::Ready(self.stream.finish().map_err(closed))
    }

    fn reset(&mut self, code: u64) {
        self.finished = true;
        // It may be over.
        let _ = self.stream.reset(number(code));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl<B: Buf> Drop for Sender<B> {
    fn drop(&mut self) {
        if !self.finished {
            // quinn would end it as if it were whole.
            let _ = self.stream.reset(Reason::InternalError.number());
        }
    }
}

fn id(id: quinn::StreamId) -> StreamId {
    u64::from(id).try_into().expect("both are numbers of 62 bits")
}

fn number(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn of_connection(connection_error: ConnectionErrorIncoming) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error }
}

fn never() -> ConnectionErrorIncoming {
    ConnectionErrorIncoming::InternalError("asked for what a server does not do".into())
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}

fn unread(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into() },
        ReadError::ConnectionLost(error) => of_connection(lost(error)),
        error => StreamErrorIncoming::Unknown(Box::new(error)),
    }
}

fn unwritten(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => {
            StreamErrorIncoming::StreamTerminated { error_code: code.into() }
        }
        WriteError::ConnectionLost(error) => of_connection(lost(error)),
        error => StreamErrorIncoming::Unknown(Box::new(error)),
    }
}
