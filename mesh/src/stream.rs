//! One stream to another node.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use quinn::{RecvStream, SendStream, VarInt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::shield::{drop_after, shield_future, shield_poll};

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
    counted: TaskTrackerToken,
}

impl MeshStream {
    pub(crate) fn new(
        node: u64,
        (send, recv): (SendStream, RecvStream),
        counted: TaskTrackerToken,
    ) -> Self {
        Self { node, send: Some(send), recv: Some(recv), ended: false, counted }
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
        match (self.send.take(), Handle::try_current()) {
            (None, _) => {}
            (Some(send), Ok(runtime)) if self.ended => {
                drop(runtime.spawn(deliver(send, self.counted.clone())));
            }
            (Some(send), _) if self.ended => release(send),
            (Some(send), _) => drop_after(send, |send| drop(send.reset(ABORTED))),
        }
        if let Some(recv) = self.recv.take() {
            drop_after(recv, |recv| {
                let _ = recv.stop(ABORTED);
            });
        }
    }
}

/// Counts a stream as open until the peer has all of it: what is under way is lost when the connection is closed.
async fn deliver(send: SendStream, _counted: TaskTrackerToken) {
    // Whether the peer got or refused it, or the connection was lost: it is over.
    let _ = shield_future(send.stopped()).await;
    release(send);
}

fn release(send: SendStream) {
    drop_after(send, |send| drop(send.priority()));
}
