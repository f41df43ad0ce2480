//! How a client's connection is closed.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Connection, Share};
use crate::limits::{LINGER_BYTES_MAX, LINGER_MAX};
use crate::transport::Transport;

/// A socket closed with octets unread sends a reset, and the client may lose the answer before it read it. So what is
/// left of a request is read and thrown away, within bounds, before the socket closes. The same way goes the head of an answer
/// whose body never came.
impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(transport), admission) = (self.transport.take(), self.admission.take()) else {
            return;
        };
        let is_read = matches!(self.share, Share::Octets(0)) || self.h2.is_some();
        if is_read && !transport.is_holding() {
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

async fn linger(mut transport: Transport) -> io::Result<()> {
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
