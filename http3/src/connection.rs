//! One client's connection.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use h3::proto::frame::Frame;
use h3::quic::SendStream;
use h3::server::RequestResolver;
use http::Request;

use crate::transport::{Link, Stopped};
use crate::{Bounds, Exchange, Http3Error, Reason, RequestError, fields};

/// A connection. Dropping it ends it.
pub struct Connection {
    http: h3::server::Connection<Link, Bytes>,
    quic: quinn::Connection,
}

impl Connection {
    pub(crate) async fn new(quic: quinn::Connection, bounds: &Bounds) -> Result<Self, Http3Error> {
        let link = Link::new(quic.clone(), bounds.header_bytes_max.into());
        let http = h3::server::builder()
            .max_field_section_size(bounds.header_bytes_max.into())
            .send_grease(false)
            .build(link)
            .await
            .map_err(Http3Error::Ended)?;
        Ok(Self { http, quic })
    }

    /// Who opened it.
    pub fn client(&self) -> SocketAddr {
        self.quic.remote_address()
    }

    /// Which address of the machine they called, where the system tells.
    pub fn called(&self) -> Option<IpAddr> {
        self.quic.local_ip()
    }

    /// The next request; `None` once the client has left. Can be dropped at any time, and must be awaited for anything to
    /// happen.
    pub async fn next(&mut self) -> Result<Option<Arrival>, Http3Error> {
        let accepted = self.http.accept().await.map_err(Http3Error::Ended)?;
        let stopped = self.http.inner.conn.stopped.take();
        Ok(accepted.zip(stopped).map(|(resolver, stopped)| Arrival { resolver, stopped }))
    }

    /// Tells the client to make its next requests elsewhere (GOAWAY). Those that were on their way are refused so that it
    /// may make them again.
    pub async fn leave(&mut self) -> Result<(), Http3Error> {
        // h3 names the last request that it took, where the client expects the first that was not (RFC 9114 §5.2).
        self.http.shutdown(1).await.map_err(Http3Error::Ended)
    }

    /// Ends it, and everything under way.
    pub fn end(&self, reason: Reason) {
        self.quic.close(reason.number(), b"");
    }
}

/// A request of which nothing was read yet.
pub struct Arrival {
    resolver: RequestResolver<Link, Bytes>,
    stopped: Stopped,
}

impl Arrival {
    /// Reads its head, for as long as that takes. Dropping it resets the stream.
    pub async fn read(self) -> Result<(Request<()>, Exchange), RequestError> {
        let mut resolver = self.resolver;
        let first = poll_fn(|cx| resolver.frame_stream.poll_next(cx)).await;
        if let Ok(Some(Frame::Headers(block))) = &first
            && !fields::are_in_order(block)
        {
            resolver.frame_stream.reset(Reason::Malformed.code().value());
            return Err(RequestError::Disordered);
        }
        let (request, stream) = resolver.accept_with_frame(first)?.resolve().await?;
        Ok((request, Exchange::new(stream.split(), self.stopped)))
    }
}
