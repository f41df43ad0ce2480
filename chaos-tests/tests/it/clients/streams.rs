//! Long answers on one connection of HTTP/2.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::task::JoinSet;

use super::{Count, Place, Visit, said};

/// How long an answer takes: longer than the pause between two, so that some are always under way.
const ANSWER_MILLISECONDS: u32 = 1_500;

/// A client that asks on one connection until it is told to leave it.
pub struct Streams {
    place: Place,
    connection: Option<SendRequest<Bytes>>,
    under_way: JoinSet<Result<Taken, String>>,
    farewells: Count,
}

/// Whether a request was taken. One that crosses with the word to leave may not be, and is asked again (RFC 9113 §6.8).
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

impl Streams {
    /// Counts how often it was told to leave.
    pub fn new(place: Place, farewells: Count) -> Self {
        Self { place, connection: None, under_way: JoinSet::new(), farewells }
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, String> {
        let stream = self.place.connect(b"h2").await?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(said("beginning"))?;
        // How it ends shows in its streams.
        tokio::spawn(connection);
        Ok(send)
    }

    /// The connection, while it takes more requests.
    async fn ready(&mut self) -> Result<SendRequest<Bytes>, String> {
        if let Some(send) = self.connection.take() {
            match send.ready().await {
                Ok(send) => return Ok(send),
                Err(error) if error.is_go_away() && error.is_remote() => self.farewells.add(),
                Err(error) => return Err(format!("it ends with {error:?}")),
            }
        }
        self.connect().await?.ready().await.map_err(said("a new connection"))
    }
}

impl Streams {
    async fn ask(&mut self) -> Result<(), String> {
        let mut send = self.ready().await?;
        let uri = format!("https://{}/?ms={ANSWER_MILLISECONDS}", self.place.name);
        let request = Request::get(uri).body(()).expect("a request");
        let (answer, _) = send.send_request(request, true).map_err(said("asking"))?;
        self.under_way.spawn(whole(answer));
        self.connection = Some(send);
        Ok(())
    }
}

impl Visit for Streams {
    async fn visit(&mut self) -> Result<(), String> {
        self.ask().await?;
        while let Some(ended) = self.under_way.try_join_next() {
            if ended.expect("it does not panic")? == Taken::No {
                self.ask().await?;
            }
        }
        Ok(())
    }
}

/// Reads an answer to its end.
async fn whole(answer: ResponseFuture) -> Result<Taken, String> {
    let answer = match answer.await {
        Ok(answer) => answer,
        // That is said of requests alone which were not taken.
        Err(error) if error.is_go_away() && error.is_remote() => return Ok(Taken::No),
        Err(error) => return Err(format!("waiting for an answer: {error:?}")),
    };
    let (status, mut body) = (answer.status(), answer.into_body());
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(said("reading"))?;
        body.flow_control().release_capacity(piece.len()).map_err(said("reading"))?;
    }
    (status == 200).then_some(Taken::Yes).ok_or_else(|| status.to_string())
}
