//! One request's body and its answer.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::server::RequestStream;
use http::{HeaderMap, Response};

use crate::transport::{Receiver, Sender, Stopped};
use crate::{Reason, RequestError};

/// A request whose head was read. Dropping it before [`finish`](Self::finish) tells the client that the answer is not whole.
pub struct Exchange {
    answer: RequestStream<Sender<Bytes>, Bytes>,
    body: RequestStream<Receiver, Bytes>,
    stopped: Option<Stopped>,
}

impl Exchange {
    pub(crate) fn new(
        (answer, body): (RequestStream<Sender<Bytes>, Bytes>, RequestStream<Receiver, Bytes>),
        stopped: Stopped,
    ) -> Self {
        Self { answer, body, stopped: Some(stopped) }
    }

    /// The next piece of the body; `None` at its end, from then on always. Trailers are passed over.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RequestError>> {
        loop {
            let piece = ready!(self.body.poll_recv_data(cx))?;
            match piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())) {
                Some(piece) if piece.is_empty() => {}
                piece => return Poll::Ready(Ok(piece)),
            }
        }
    }

    /// Ready once the client wants no answer any more, or the connection is over.
    pub fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stopped) = &mut self.stopped else { return Poll::Ready(()) };
        ready!(stopped.as_mut().poll(cx));
        self.stopped = None;
        Poll::Ready(())
    }

    /// Sends the head of the answer.
    pub async fn send_head(&mut self, head: Response<()>) -> Result<(), RequestError> {
        Ok(self.answer.send_response(head).await?)
    }

    /// Sends a piece of the answer, once the client takes it.
    pub async fn send_piece(&mut self, piece: Bytes) -> Result<(), RequestError> {
        Ok(self.answer.send_data(piece).await?)
    }

    /// Sends what follows the body.
    pub async fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), RequestError> {
        Ok(self.answer.send_trailers(trailers).await?)
    }

    /// Ends the answer. What is left of the request is not waited for.
    pub async fn finish(&mut self) -> Result<(), RequestError> {
        self.body.stop_sending(Reason::NoError.code());
        Ok(self.answer.finish().await?)
    }

    /// Ends both before their time.
    pub fn abort(&mut self, reason: Reason) {
        self.body.stop_sending(reason.code());
        self.answer.stop_stream(reason.code());
    }
}
