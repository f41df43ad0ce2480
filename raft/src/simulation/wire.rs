//! What calls go out by: a channel, as in the product, or the simulated network. Both carry the same octets from the same
//! client to the same service.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use temps_state::NodeId;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

use super::network::Fate;
use super::world::world;
use crate::peer::NotConnected;

/// The calls that are safe to hear twice, and the only ones that a network may double here.
const MAY_BE_TWICE: [&str; 4] = ["Append", "Vote", "PreVote", "Snapshot"];

type Failure = Box<dyn Error + Send + Sync>;
type Carried = Result<Response<Body>, Failure>;

/// One run of a node, in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Which node.
    pub node: u64,
    /// Which run of it.
    pub life: u64,
}

impl Station {
    /// The way to another node.
    pub fn to(self, node: NodeId) -> Line {
        Line { from: self, to: node.0 }
    }
}

/// From one node to another.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    from: Station,
    to: u64,
}

/// What calls go out by.
#[derive(Clone)]
pub enum Wire {
    Real(Channel),
    Simulated(Line),
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Carried> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Real(channel) => channel.poll_ready(cx).map_err(Into::into),
            Self::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Real(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }
            Self::Simulated(line) => Box::pin(line.carry(request)),
        }
    }
}

impl Line {
    /// Carries a question there and the answer back.
    async fn carry(self, request: Request<Body>) -> Carried {
        let (head, body) = request.into_parts();
        let octets = body.collect().await?.to_bytes();
        let call = Call { line: self, head, octets };
        let fate = world().network.fate(self.from.node, self.to, call.may_be_twice());
        call.note(fate);
        let (after, again) = match fate {
            Fate::Lost { noticed } => return lost(noticed).await,
            Fate::Unsent { noticed } => return unsent(noticed).await,
            Fate::Arrives { after, again } => (after, again),
        };
        if let Some(again) = again {
            let call = call.clone();
            tokio::spawn(async move {
                sleep(again).await;
                // Whoever asked has asked once.
                let _ = call.arrive().await;
            });
        }
        sleep(after).await;
        let answer = call.arrive().await?;
        match world().network.fate(self.to, self.from.node, false) {
            Fate::Arrives { after, .. } => sleep(after).await,
            Fate::Lost { noticed } | Fate::Unsent { noticed } => return lost(noticed).await,
        }
        Ok(answer)
    }
}

/// A call on its way.
#[derive(Clone)]
struct Call {
    line: Line,
    head: Parts,
    octets: Bytes,
}

impl Call {
    /// What is called.
    fn method(&self) -> &str {
        self.head.uri.path().rsplit('/').next().unwrap_or_default()
    }

    fn may_be_twice(&self) -> bool {
        MAY_BE_TWICE.contains(&self.method())
    }

    fn note(&self, fate: Fate) {
        let Self { line, octets, .. } = self;
        let what = match fate {
            Fate::Arrives { again: Some(_), .. } => "message.twice",
            Fate::Arrives { after, .. } if after > Duration::from_millis(50) => "message.late",
            Fate::Arrives { .. } => "message",
            Fate::Lost { .. } | Fate::Unsent { .. } => "message.lost",
        };
        let details = format!("{line} {} {} {fate:?}", self.method(), octets.len());
        world().count(what, &details);
    }

    /// The other node hears it, and answers while it lives, whether or not anybody waits for that still.
    async fn arrive(&self) -> Carried {
        let network = &world().network;
        let Some(mut there) = network.listening(self.line.to) else {
            return unsent(Duration::from_millis(1)).await;
        };
        if !network.is_on(self.line.from) {
            return lost(Duration::ZERO).await;
        }
        let body = Body::new(Full::new(self.octets.clone()));
        let request = Request::from_parts(self.head.clone(), body);
        let answered = tokio::spawn(async move { there.server.call(request).await });
        let answer = answered.await;
        match answer {
            Ok(Ok(answer)) if network.is_on(there.station) => Ok(answer),
            _ => lost(Duration::from_millis(1)).await,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from.node, self.to)
    }
}

/// The connection breaks; nobody knows what was heard.
async fn lost(noticed: Duration) -> Carried {
    sleep(noticed).await;
    Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

/// There is no connection; nothing was heard.
async fn unsent(noticed: Duration) -> Carried {
    sleep(noticed).await;
    Err(NotConnected(io::ErrorKind::ConnectionRefused.into()).into())
}
