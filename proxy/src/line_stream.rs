//! A stream to a replica, in the form that Pingora takes for a socket: for what it cannot, or must not, have a real one.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::reach::Duplex;

/// A stream for one request or one HTTP/2 connection, which fails once its line is cut.
pub(crate) struct LineStream {
    stream: Box<dyn Duplex>,
    gave_way: bool,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl LineStream {
    /// Ties a stream to its line.
    pub(crate) fn new(stream: Box<dyn Duplex>, line: CancellationToken) -> Self {
        Self { stream, gave_way: false, cut: Box::pin(line.cancelled_owned()) }
    }

    /// The stream while it may be used; the task is woken when that ends.
    fn whole(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut Box<dyn Duplex>>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Pin::new(&mut self.stream))
    }

    /// Lets the first read wait one turn.
    ///
    /// Pingora takes "the request has no body" for the end of an upgraded connection where it reads the app's
    /// agreement before it took that word from its own queue, and which it does first is left to chance. The word is
    /// in the queue when Pingora reads for the first time, so it is taken while this read waits.
    fn give_way(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gave_way {
            return Poll::Ready(());
        }
        // A task without budget gets nothing from its queue either: then the turn is still to come.
        self.gave_way = has_budget_remaining();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.give_way(cx));
        self.whole(cx)?.poll_read(cx, buf)
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.whole(cx)?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl VirtualSocket for LineStream {
    /// Delay and liveness are the concern of what carries the stream.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LineStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream to a replica: {:?}", self.stream)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_first_read_waits_one_turn() {
        let (mut app, stream) = tokio::io::duplex(64);
        app.write_all(b"agreed").await.unwrap();
        let mut stream = LineStream::new(Box::new(stream), CancellationToken::new());
        let mut octets = [0; 6];
        let mut turns = 0;
        let mut read = std::pin::pin!(stream.read_exact(&mut octets));
        poll_fn(|cx| {
            turns += 1;
            read.as_mut().poll(cx)
        })
        .await
        .unwrap();
        assert_eq!((turns, &octets), (2, b"agreed"));
    }
}
