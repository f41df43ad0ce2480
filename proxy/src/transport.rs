//! What carries the octets of a client's connection.

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The most that is held back for what is written next: the head of an answer.
const HELD_MAX: usize = 4 << 10;

/// A socket, or TLS over one, that may hold the head of an answer back to send it together with the body's begin.
pub(crate) struct Transport {
    wire: Wire,
    /// Goes out before everything else; written, flushed or shut down, whatever comes first.
    held: Vec<u8>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// A socket.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { wire: Wire::Plain(stream), held: Vec::new() }
    }

    /// TLS over one.
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { wire: Wire::Tls(Box::new(stream)), held: Vec::new() }
    }

    /// Holds octets back until the next write or flush, and tells whether it does.
    pub(crate) fn hold(&mut self, octets: &[u8]) -> bool {
        let holds = !self.is_holding() && octets.len() <= HELD_MAX;
        if holds {
            self.held = octets.to_vec();
        }
        holds
    }

    /// Whether octets are held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Sends what is held back, with the begin of `next`; tells how much of that was taken along.
    fn poll_held(&mut self, cx: &mut Context<'_>, next: &[u8]) -> Poll<io::Result<usize>> {
        while self.is_holding() {
            let both = [IoSlice::new(&self.held), IoSlice::new(next)];
            let sent = ready!(self.wire.poll_write_vectored(cx, &both))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if let Some(taken) = sent.checked_sub(self.held.len()) {
                // Gives its memory back, which an idle connection should not take.
                drop(mem::take(&mut self.held));
                return Poll::Ready(Ok(taken));
            }
            self.held.drain(..sent);
        }
        Poll::Ready(Ok(0))
    }

    /// Sends what is held back.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_held(cx, &[]).map_ok(drop)
    }
}

impl Wire {
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }
}

impl AsRawFd for Transport {
    fn as_raw_fd(&self) -> RawFd {
        match &self.wire {
            Wire::Plain(stream) => stream.as_raw_fd(),
            Wire::Tls(stream) => stream.get_ref().0.as_raw_fd(),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = ready!(this.poll_held(cx, buf))?;
        if taken > 0 {
            return Poll::Ready(Ok(taken));
        }
        match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        this.wire.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Transport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (Transport::plain(stream), client)
    }

    #[tokio::test]
    async fn what_is_held_goes_first_and_with_what_follows() {
        let (mut transport, mut client) = pair().await;
        assert!(transport.hold(b"head "));
        assert!(!transport.hold(b"more"), "only once");
        assert_eq!(transport.write(b"body").await.unwrap(), 4);
        assert!(!transport.is_holding());
        let mut got = [0; 9];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"head body");
    }

    #[tokio::test]
    async fn a_flush_or_a_shutdown_lets_go() {
        for shuts in [false, true] {
            let (mut transport, mut client) = pair().await;
            assert!(transport.hold(b"head"));
            match shuts {
                true => transport.shutdown().await.unwrap(),
                false => transport.flush().await.unwrap(),
            }
            let mut got = [0; 4];
            client.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"head");
        }
    }

    #[tokio::test]
    async fn a_slow_reader_gets_every_octet_in_order() {
        let (mut transport, mut client) = pair().await;
        let body: Vec<u8> = (0..8_u32 << 20).map(|n| (n % 251) as u8).collect();
        assert!(transport.hold(b"head"));
        let send = async {
            transport.write_all(&body).await.unwrap();
            transport.shutdown().await.unwrap();
        };
        let take = async {
            let mut got = Vec::new();
            let mut piece = [0; 997];
            loop {
                match client.read(&mut piece).await.unwrap() {
                    0 => return got,
                    read => got.extend_from_slice(&piece[..read]),
                }
                tokio::task::yield_now().await;
            }
        };
        let ((), got) = tokio::join!(send, take);
        assert_eq!(got.len(), 4 + body.len());
        assert!(got.starts_with(b"head") && got.ends_with(&body));
    }

    #[tokio::test]
    async fn what_is_large_is_not_held() {
        let (mut transport, _client) = pair().await;
        assert!(!transport.hold(&[b'x'; HELD_MAX + 1]));
        assert!(transport.hold(&[b'x'; HELD_MAX]));
    }
}
