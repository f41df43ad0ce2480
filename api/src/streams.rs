//! Streams of JSON values: one a line (NDJSON), or server-sent events for those who accept them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::time::timeout;

use crate::follow::Follower;
use crate::relay::Relayed;

/// The media type of one JSON value a line.
pub const NDJSON: &str = "application/x-ndjson";

/// How long lines may be silent before there is a sign that they go on. Whoever cannot be sent one is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The sign: an empty line.
const SIGN: &[u8] = b"\n";
/// The sign to other nodes: the next line begins with a space, which JSON allows. Older ones take an empty line for an end.
const SIGN_TO_NODES: &[u8] = b" ";

/// Answers with a stream, which ends at the latest when the follower may not go on.
pub(crate) fn answer<T: Serialize + Send + 'static>(
    parts: &Parts,
    follower: Follower,
    stream: impl Stream<Item = T> + Send + 'static,
) -> Response {
    let stream = stream.take_until(Box::pin(follower.ended()));
    if accepts_events(&parts.headers) {
        return events(stream);
    }
    let relayed = parts.extensions.get::<Relayed>().is_some();
    lines(stream, if relayed { SIGN_TO_NODES } else { SIGN }, SILENCE_MAX)
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// One value a line, and `sign` after each `silence`.
fn lines<T: Serialize + Send + 'static>(
    values: impl Stream<Item = T> + Send + 'static,
    sign: &'static [u8],
    silence: Duration,
) -> Response {
    let lines = stream::unfold(values.boxed(), move |mut values| async move {
        let line = match timeout(silence, values.next()).await {
            Ok(value) => line(&value?).map(Bytes::from),
            Err(_) => Ok(Bytes::from_static(sign)),
        };
        Some((line, values))
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
}

fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn events<T: Serialize + 'static>(stream: impl Stream<Item = T> + Send + 'static) -> Response {
    let events = stream
        .map(|value| Ok::<_, Infallible>(Event::default().json_data(&value).unwrap_or_default()));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use hyper::server::conn::http1;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const ENOUGH: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn silence_is_broken_between_lines() {
        let (told, values) = tokio::sync::mpsc::channel(1);
        let values = tokio_stream::wrappers::ReceiverStream::new(values);
        let mut body = lines::<u8>(values, SIGN, SHORT).into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "\n");
        told.send(7).await.unwrap();
        let next = async {
            loop {
                let octets = body.next().await.unwrap().unwrap();
                if octets != "\n" {
                    return octets;
                }
            }
        };
        assert_eq!(timeout(ENOUGH, next).await.unwrap(), "7\n");
        drop(told);
        while let Some(octets) = body.next().await {
            assert_eq!(octets.unwrap(), "\n");
        }
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_ends_a_stream_that_says_nothing() {
        let (held, given_back) = oneshot::channel::<()>();
        let held = std::sync::Mutex::new(Some(held));
        let quiet = move || {
            let held = held.lock().unwrap().take();
            let values = stream::pending::<u8>().inspect(move |_| {
                let _held = &held;
            });
            std::future::ready(lines(values, SIGN_TO_NODES, SHORT))
        };
        let quiet = std::sync::Arc::new(quiet);
        let router = Router::new().route("/", get(move || quiet()));
        let (mut reader, stream) = tokio::io::duplex(1 << 10);
        // As a stream of another node is served.
        let mut builder = http1::Builder::new();
        let service = TowerToHyperService::new(router);
        let served = builder.half_close(true).serve_connection(TokioIo::new(stream), service);
        let served = tokio::spawn(served);
        reader.write_all(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n").await.unwrap();
        reader.read_exact(&mut [0; 12]).await.unwrap();
        drop(reader);
        let outcome = timeout(ENOUGH, given_back).await.expect("its slot is given back");
        assert!(outcome.is_err());
        let _ = served.await.unwrap();
    }
}
