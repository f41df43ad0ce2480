//! Streams that other nodes opened to this one.

use std::io;

use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{header, header::Target, limits::HEADER_WITHIN, stream::MeshStream};

/// The streams that come in, in the order of their headers. Those that nobody takes are refused.
#[derive(Debug)]
pub struct Incoming {
    arrived: mpsc::Receiver<Arrival>,
    ended: CancellationToken,
}

impl Incoming {
    pub(crate) fn new(arrived: mpsc::Receiver<Arrival>, ended: CancellationToken) -> Self {
        Self { arrived, ended }
    }

    /// The next stream; `None` when the mesh has stopped.
    pub async fn next(&mut self) -> Option<Arrival> {
        tokio::select! {
            arrival = self.arrived.recv() => arrival,
            () = self.ended.cancelled() => None,
        }
    }
}

/// A node wants a stream.
#[derive(Debug)]
pub struct Arrival {
    /// Which node, proven by its certificate.
    pub from: u64,
    /// Where it wants to go.
    pub target: Target,
    /// To be accepted or refused within [`ANSWER_WITHIN`](crate::ANSWER_WITHIN).
    pub stream: Offer,
}

/// A stream before the decision. Dropped, it is reset, and the opener gets
/// [`MeshError::Dropped`](crate::MeshError::Dropped).
#[derive(Debug)]
pub struct Offer {
    stream: MeshStream,
}

impl Offer {
    pub(crate) fn new(stream: MeshStream) -> Self {
        Self { stream }
    }

    /// Lets it in. Fails when the opener has gone meanwhile.
    pub async fn accept(self) -> io::Result<MeshStream> {
        let mut stream = self.stream;
        stream.write_u8(header::ACCEPTED).await?;
        Ok(stream)
    }

    /// Turns it away; the opener gets `reason`, of which at most 512 bytes travel, in
    /// [`MeshError::Refused`](crate::MeshError::Refused).
    pub async fn refuse(self, reason: &str) {
        let mut stream = self.stream;
        let answer = header::refusal(reason);
        let told = async {
            stream.write_all(&answer).await?;
            stream.shutdown().await
        };
        if let Ok(Err(error)) = timeout(HEADER_WITHIN, told).await {
            tracing::debug!(node = stream.node(), %error, "the opener left before it was refused");
        }
    }
}
