//! One stream to another node.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use quinn::{RecvStream, SendStream, VarInt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::shield::{drop_after, shield_poll};

/// Tells the peer that a stream was given up before its end.
const ABORTED: VarInt = VarInt::from_u32(1);

/// Bytes both ways, as over TCP: `shutdown` ends this side's half and the other goes on; dropped without it, the peer
/// sees a reset. Cheap to write small pieces to: they are gathered into packets.
pub struct MeshStream {
    node: u64,
    /// `None` only while being dropped.
    send: Option<SendStream>,
    recv: Option<RecvStream>,
    ended: bool,
    _counted: Arc<()>,
}

impl MeshStream {
    pub(crate) fn new(node: u64, (send, recv): (SendStream, RecvStream), counted: Arc<()>) -> Self {
        Self { node, send: Some(send), recv: Some(recv), ended: false, _counted: counted }
    }

    /// The node at the other end.
    pub fn node(&self) -> u64 {
        self.node
    }
}

impl fmt::Debug for MeshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.send.as_ref().map(|send| u64::from(send.id()));
        f.debug_struct("MeshStream").field("node", &self.node).field("id", &id).finish()
    }
}

impl AsyncRead for MeshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(recv) = &mut self.recv else { return Poll::Ready(Ok(())) };
        shield_poll(|| AsyncRead::poll_read(Pin::new(recv), cx, buf))
    }
}

impl AsyncWrite for MeshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(send) = &mut self.send else { return Poll::Ready(Ok(0)) };
        shield_poll(|| AsyncWrite::poll_write(Pin::new(send), cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.ended = true;
        let Some(send) = &mut self.send else { return Poll::Ready(Ok(())) };
        shield_poll(|| AsyncWrite::poll_shutdown(Pin::new(send), cx))
    }
}

impl Drop for MeshStream {
    /// The errors would say that a half is over already.
    fn drop(&mut self) {
        let ended = self.ended;
        if let Some(send) = self.send.take() {
            drop_after(send, |send| {
                let _ = if ended { send.priority().map(drop) } else { send.reset(ABORTED) };
            });
        }
        if let Some(recv) = self.recv.take() {
            drop_after(recv, |recv| {
                let _ = recv.stop(ABORTED);
            });
        }
    }
}
