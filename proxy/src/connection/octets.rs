//! A connection as a stream of octets: what Pingora reads and writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, Share};

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_farewell(cx)?;
        self.poll_release(cx)?;
        let before = buf.filled().len();
        let head = match &self.share {
            Share::Octets(0) => return self.poll_end(cx),
            Share::Chunks(0, _) => return self.poll_chunks(cx, buf),
            Share::All if self.h2.is_some() => return self.poll_frames(cx, buf),
            Share::All => return self.poll_some(cx, buf, usize::MAX),
            Share::Octets(left) | Share::Chunks(left, _) => *left,
        };
        ready!(self.poll_some(cx, buf, usize::try_from(head).unwrap_or(usize::MAX)))?;
        let read = (buf.filled().len() - before) as u64;
        if let Share::Octets(left) | Share::Chunks(left, _) = &mut self.share {
            *left -= read;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_closed() {
            return Poll::Ready(Ok(buf.len()));
        }
        let may_wait = self.may_wait();
        let Some(transport) = &mut self.transport else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if may_wait && transport.hold(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(transport).poll_write(cx, buf))?;
        self.note_sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.farewell.is_some() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let Some(transport) = &mut self.transport else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let written = ready!(Pin::new(transport).poll_write_vectored(cx, bufs))?;
        if let Some(h2) = &mut self.h2 {
            h2.budget.sent(written);
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Some(transport) => Pin::new(transport).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_last_words(cx)?;
        match &mut self.transport {
            Some(transport) => Pin::new(transport).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
