//! Requests over HTTP/3.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use h3::client::SendRequest;
use http::Request;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

use super::{Count, Place, Visit, said};

/// How long an answer takes, so that one is nearly always under way.
const ANSWER_MILLISECONDS: u32 = 300;

/// A client that keeps its connection, and makes a request that fails once more on a new one.
pub struct Http3 {
    place: Place,
    endpoint: Endpoint,
    connection: Option<SendRequest<h3_quinn::OpenStreams, Bytes>>,
    again: Count,
}

impl Http3 {
    /// Counts how often it had to begin a request anew.
    pub fn new(place: Place, again: Count) -> Self {
        let mut endpoint = Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()).expect("a socket");
        let tls = QuicClientConfig::try_from(place.trust(&[b"h3"])).expect("a cipher");
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
        Self { place, endpoint, connection: None, again }
    }

    async fn connect(&self) -> Result<SendRequest<h3_quinn::OpenStreams, Bytes>, String> {
        let connecting = self.endpoint.connect(self.place.https(), &self.place.name);
        let quic = connecting.map_err(said("connecting"))?.await.map_err(said("connecting"))?;
        let link = h3_quinn::Connection::new(quic);
        let (mut driver, send) = h3::client::new(link).await.map_err(said("beginning"))?;
        // How it ends shows in its requests.
        tokio::spawn(async move { poll_fn(|cx| driver.poll_close(cx)).await });
        Ok(send)
    }

    async fn ask(&mut self) -> Result<(), String> {
        let mut send = match self.connection.take() {
            Some(send) => send,
            None => self.connect().await?,
        };
        let uri = format!("https://{}/?ms={ANSWER_MILLISECONDS}", self.place.name);
        let request = Request::get(uri).body(()).expect("a request");
        let mut stream = send.send_request(request).await.map_err(said("asking"))?;
        stream.finish().await.map_err(said("asking"))?;
        let answer = stream.recv_response().await.map_err(said("waiting for an answer"))?;
        while stream.recv_data().await.map_err(said("reading"))?.is_some() {}
        self.connection = Some(send);
        (answer.status() == 200).then_some(()).ok_or_else(|| answer.status().to_string())
    }
}

impl Visit for Http3 {
    async fn visit(&mut self) -> Result<(), String> {
        let Err(first) = self.ask().await else { return Ok(()) };
        self.again.add();
        println!("HTTP/3 at {} begins anew: {first}", self.place.edge);
        self.connection = None;
        self.ask().await.map_err(|second| format!("{first}; and then {second}"))
    }
}
