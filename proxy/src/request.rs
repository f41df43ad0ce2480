//! One request on its way through the edge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Version;
use http::header::{CONTENT_TYPE, HOST};
use pingora_core::protocols::http::ServerSession;
use tokio::time::Instant;
use ulid::Ulid;

use crate::client::{client_of, was_https};
use crate::connector::Place;
use crate::error_page::Fault;
use crate::headers;
use crate::host::{host_of, port_of};
use crate::inner::label_of;
use crate::limits::Limits;
use crate::ports::HTTPS_PORT;
use crate::request_count::RequestShare;
use crate::route::Route;
use crate::stamp::Stamp;
use crate::upstream::{Lease, Speech};

/// What the edge knows of a request.
pub(crate) struct Request {
    /// Its id, a ULID.
    pub(crate) id: String,
    /// When its head had arrived.
    pub(crate) started: Instant,
    /// The bounds that hold for it.
    pub(crate) limits: Arc<Limits>,
    /// The host it names.
    pub(crate) host: String,
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// Who opened the connection: the client, or a proxy that is believed about it.
    pub(crate) peer: IpAddr,
    /// Where it came in, when that is known.
    pub(crate) server: Option<SocketAddr>,
    /// Whether it came over TLS.
    pub(crate) https: bool,
    /// The port that the client asked, by what it says.
    pub(crate) asked_port: Option<u16>,
    /// The port at which the client may speak HTTP/3 instead, should the edge do.
    pub(crate) http3_port: Option<u16>,
    /// How it goes on to the app.
    pub(crate) speech: Speech,
    /// The environment that answers, once found.
    pub(crate) route: Option<Arc<Route>>,
    /// What it takes of its client's share.
    pub(crate) share: Option<RequestShare>,
    /// How it fares with replicas.
    pub(crate) attempts: Attempts,
    /// When a replica was given it last; its body follows.
    pub(crate) sent_at: Instant,
    /// Octets of its body so far.
    pub(crate) body_bytes: u64,
    /// Why the edge must answer by itself.
    pub(crate) fault: Option<Fault>,
}

/// What was tried to have a request answered.
#[derive(Default)]
pub(crate) struct Attempts {
    /// The endpoint that has it now.
    pub(crate) lease: Option<Lease>,
    /// Endpoints that refused it since the last pause.
    pub(crate) refused: Vec<Place>,
    /// Whether one of those that refused it since it began is on a node that could be reached.
    pub(crate) reached: bool,
    /// When to give up, once one has refused it or none was there.
    pub(crate) deadline: Option<Instant>,
    /// Whether it was sent twice.
    pub(crate) resent: bool,
}

impl Attempts {
    /// Why it is given up when nobody took it.
    pub(crate) fn fault(&self) -> Fault {
        match (self.refused.is_empty(), self.reached) {
            (true, _) => Fault::NoHealthyReplica,
            (false, true) => Fault::BadGateway,
            (false, false) => Fault::NodeUnreachable,
        }
    }

    /// Notes that the endpoint refused it, so that others are tried first, and looks after the endpoint.
    pub(crate) fn refuse(&mut self) {
        let Some(lease) = &self.lease else { return };
        let endpoint = lease.endpoint();
        self.refused.push(endpoint.line.place);
        if endpoint.eject() {
            tokio::spawn(endpoint.clone().probe());
        }
    }
}

impl Request {
    /// A request that nothing is known of yet.
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let now = Instant::now();
        Self {
            id: fresh_id(),
            started: now,
            limits,
            host: String::new(),
            client: Ipv4Addr::UNSPECIFIED.into(),
            peer: Ipv4Addr::UNSPECIFIED.into(),
            server: None,
            https: false,
            asked_port: None,
            http3_port: None,
            speech: Speech::Http1,
            route: None,
            share: None,
            attempts: Attempts::default(),
            sent_at: now,
            body_bytes: 0,
            fault: None,
        }
    }

    /// What is put on the answer of the environment.
    pub(crate) fn stamp(&self) -> Stamp<'_> {
        let outside = label_of(&self.host).is_none();
        let security = self.route.as_ref().filter(|_| outside).map(|route| &*route.security);
        Stamp { security, ..self.bare_stamp() }
    }

    /// What is put on a page of the edge's own.
    pub(crate) fn bare_stamp(&self) -> Stamp<'_> {
        let Self { https, http3_port, .. } = *self;
        Stamp { request_id: &self.id, https, http3_port, security: None }
    }

    /// Notes where the request comes from and which host it names.
    pub(crate) fn read(&mut self, session: &ServerSession) {
        let head = session.req_header();
        let authority = head.uri.authority().map(|authority| authority.as_str());
        let authority = authority.unwrap_or_else(|| headers::text(&head.headers, HOST));
        self.host = host_of(authority);
        self.speech = speech(session);
        self.https = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            self.peer = address.ip().to_canonical();
        }
        self.client = self.peer;
        let trusted = &self.limits.trusted;
        // What comes through a proxy would not come to the edge itself by UDP.
        let proxied = self.limits.proxy_protocol || trusted.contains(self.peer);
        let may_change = self.https && !proxied && head.version != Version::HTTP_3;
        self.asked_port = port_of(authority);
        self.http3_port = may_change.then(|| self.asked_port.unwrap_or(HTTPS_PORT));
        // Between containers nobody is believed about anybody else.
        if !trusted.is_empty() && label_of(&self.host).is_none() {
            self.client = client_of(self.peer, &head.headers, trusted);
            self.https |= was_https(self.peer, &head.headers, trusted);
        }
        self.server = session.server_addr().and_then(|address| address.as_inet()).copied();
    }
}

/// How a request goes on to the app. gRPC needs HTTP/2 on the whole way.
fn speech(session: &ServerSession) -> Speech {
    let head = session.req_header();
    let grpc = headers::text(&head.headers, CONTENT_TYPE).starts_with("application/grpc");
    match head.version {
        Version::HTTP_2 | Version::HTTP_3 if grpc => Speech::Http2,
        _ if session.is_upgrade_req() => Speech::Upgrade,
        _ => Speech::Http1,
    }
}

/// A new request id.
pub(crate) fn fresh_id() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    Ulid::from_parts(milliseconds, rand::random()).to_string()
}
