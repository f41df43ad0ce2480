//! Clients of HTTP/3: one that keeps to the rules, and one that sends whatever it likes.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use h3::client::{RequestStream, SendRequest};
use http::{HeaderMap, Request, Response};
use prometheus_client::registry::Registry;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, ReadToEndError, VarInt};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{PATIENCE, TestEdge, metric};

pub const H3_NO_ERROR: u64 = 0x100;
pub const H3_INTERNAL_ERROR: u64 = 0x102;
pub const H3_EXCESSIVE_LOAD: u64 = 0x107;
pub const H3_REQUEST_CANCELLED: u64 = 0x10c;
pub const H3_MESSAGE_ERROR: u64 = 0x10e;

pub type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// An edge that takes HTTP/3.
pub async fn edge_with(change: impl FnOnce(&mut temps_state::Settings)) -> TestEdge {
    let edge = TestEdge::start_with(|settings| {
        settings.edge.http3 = true;
        change(settings);
    })
    .await;
    listens(&edge.metrics, true).await;
    edge
}

/// Waits until an edge takes HTTP/3, or does not.
pub async fn listens(metrics: &Registry, wanted: bool) {
    let deadline = Instant::now() + PATIENCE;
    while metric(metrics, "temps_edge_http3_listens") != u8::from(wanted).to_string() {
        assert!(Instant::now() < deadline, "it takes HTTP/3, or not, in time");
        sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Shakes hands for a name.
pub async fn connect(edge: &TestEdge, name: &str) -> Result<quinn::Connection, ConnectionError> {
    connect_trusting(edge.https, name, certificate_of(edge)).await
}

/// The certificate of the preview domain.
pub fn certificate_of(edge: &TestEdge) -> CertificateDer<'static> {
    let pem = edge.data.path().join("tls/preview-localho.st.crt");
    CertificateDer::from_pem_file(pem).expect("a certificate")
}

pub async fn connect_trusting(
    edge: SocketAddr,
    name: &str,
    certificate: CertificateDer<'static>,
) -> Result<quinn::Connection, ConnectionError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("a cipher");
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, edge, name).expect("an attempt");
    timeout(PATIENCE, connecting).await.expect("an answer in time")
}

/// A client that keeps to the rules.
pub struct Client {
    pub quic: quinn::Connection,
    send: SendRequest<h3_quinn::OpenStreams, Bytes>,
    _driver: AbortOnDropHandle<()>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub head: Response<()>,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Client {
    pub async fn open(edge: &TestEdge, name: &str) -> Self {
        Self::over(connect(edge, name).await.expect("a connection")).await
    }

    /// On a connection that is there.
    pub async fn over(quic: quinn::Connection) -> Self {
        let link = h3_quinn::Connection::new(quic.clone());
        let (mut driver, send) = h3::client::new(link).await.expect("HTTP/3");
        let driver = tokio::spawn(async move {
            poll_fn(|cx| driver.poll_close(cx)).await;
        });
        Self { quic, send, _driver: AbortOnDropHandle::new(driver) }
    }

    pub async fn send(&mut self, request: Request<()>) -> Stream {
        self.send.send_request(request).await.expect("it is sent")
    }

    pub async fn try_ask(
        &mut self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Answer, h3::error::StreamError> {
        let mut stream = self.send.send_request(request).await?;
        if !body.is_empty() {
            stream.send_data(body).await?;
        }
        stream.finish().await?;
        timeout(PATIENCE, answer(&mut stream)).await.expect("an answer in time")
    }

    pub async fn ask(&mut self, request: Request<()>, body: &'static [u8]) -> Answer {
        self.try_ask(request, Bytes::from_static(body)).await.expect("an answer")
    }

    pub async fn get(&mut self, host: &str, path: &str) -> Answer {
        self.ask(request("GET", host, path), b"").await
    }
}

pub fn request(method: &str, host: &str, path: &str) -> Request<()> {
    let uri = format!("https://{host}{path}");
    Request::builder().method(method).uri(uri).body(()).expect("a request")
}

/// Reads a whole answer.
pub async fn answer(stream: &mut Stream) -> Result<Answer, h3::error::StreamError> {
    let head = stream.recv_response().await?;
    let mut body = BytesMut::new();
    while let Some(piece) = stream.recv_data().await? {
        body.extend_from_slice(piece.chunk());
    }
    let trailers = stream.recv_trailers().await?;
    Ok(Answer { head, body: body.freeze(), trailers })
}

/// A connection on which anything may be sent.
pub struct Raw(pub quinn::Connection);

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An answer of 200.
    Answered,
    /// Another answer.
    Refused,
    /// A reset of the stream, with its reason.
    Reset(u64),
    /// The connection's end, with the reason if it was told.
    Closed(Option<u64>),
}

impl Raw {
    pub async fn open(edge: &TestEdge, name: &str) -> Self {
        let raw = Self(connect(edge, name).await.expect("a connection"));
        raw.control(&frame(4, &[])).await;
        raw
    }

    /// Opens a control stream, and keeps it open.
    pub async fn control(&self, frames: &[u8]) {
        let mut control = self.0.open_uni().await.expect("a stream");
        // The edge may have closed the connection before it is out.
        let _ = control.write_all(&[&[0], frames].concat()).await;
        std::mem::forget(control);
    }

    /// Sends octets as a request, and gives what comes of it.
    pub async fn ask(&self, octets: &[u8]) -> End {
        let Ok((mut send, mut receive)) = self.0.open_bi().await else { return self.closed() };
        let _ = send.write_all(octets).await;
        let _ = send.finish();
        match timeout(PATIENCE, receive.read_to_end(1 << 20)).await.expect("an end in time") {
            Ok(answer) if is_well(&answer) => End::Answered,
            Ok(_) => End::Refused,
            Err(ReadToEndError::Read(quinn::ReadError::Reset(code))) => End::Reset(code.into()),
            Err(_) => self.closed(),
        }
    }

    fn closed(&self) -> End {
        End::Closed(self.0.close_reason().as_ref().and_then(reason))
    }
}

/// Whether an answer begins with the field of the static table that is `:status: 200` (RFC 9204, appendix A): behind a
/// frame's kind and length, and what would tell of a dynamic table.
fn is_well(answer: &[u8]) -> bool {
    let length = answer.get(1).map_or(0, |first| 1 << (first >> 6));
    answer.get(1 + length + 2) == Some(&(0xc0 | 25))
}

/// Why a connection was closed, where that was told.
pub fn reason(error: &ConnectionError) -> Option<u64> {
    match error {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into()),
        _ => None,
    }
}

pub fn code(code: u64) -> VarInt {
    VarInt::from_u64(code).expect("small")
}

/// A frame (RFC 9114 §7.1).
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    [number(kind), number(payload.len() as u64), payload.to_vec()].concat()
}

/// A number (RFC 9000 §16).
pub fn number(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().into(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().into(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().into(),
    }
}

/// Fields as literals that are neither indexed nor Huffman-coded (RFC 9204 §4.5.6).
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = vec![0, 0];
    for (name, value) in fields {
        integer(&mut block, 0x20, 3, name.len());
        block.extend_from_slice(name);
        integer(&mut block, 0, 7, value.len());
        block.extend_from_slice(value);
    }
    block
}

/// An integer with a prefix (RFC 7541 §5.1).
fn integer(block: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return block.push(first | value as u8);
    }
    block.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The head of a GET, in its frame.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", path.as_bytes()),
        (b":authority", host.as_bytes()),
    ];
    frame(1, &block(&fields))
}
