//! How a client's connection is closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Connection, Share};
use crate::farewell::Farewell;
use crate::limits::{LINGER_BYTES_MAX, LINGER_MAX};
use crate::transport::Transport;

impl Connection {
    /// Tells a WebSocket's client to come again, where its app has broken off without a word.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (Some(farewell), Some(transport)) = (&mut self.farewell, &mut self.transport) else {
            return Ok(());
        };
        while let words @ [_, ..] = farewell.last_words() {
            match Pin::new(&mut *transport).poll_write(cx, words)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(said) => farewell.said(said),
                // Who reads nothing is not waited for.
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }
}

/// A socket closed with octets unread sends a reset, and the client may lose the answer before it read it. So what is
/// left of a request is read and thrown away, within bounds, before the socket closes. The same way goes the head of an answer
/// whose body never came. The client of a WebSocket whose app broke off is told to come again.
impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(transport), admission) = (self.transport.take(), self.admission.take()) else {
            return;
        };
        let words = self.farewell.as_ref().map_or(&[][..], Farewell::last_words);
        let is_read = matches!(self.share, Share::Octets(0)) || self.h2.is_some();
        if is_read && !transport.is_holding() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(LINGER_MAX, linger(transport, words)).await;
                drop(admission);
            });
        }
    }
}

async fn linger(mut transport: Transport, words: &[u8]) -> io::Result<()> {
    transport.write_all(words).await?;
    transport.shutdown().await?;
    discard(&mut transport).await
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
