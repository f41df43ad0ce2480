//! Streams of JSON values: one a line (NDJSON), or server-sent events for those who accept them.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

/// The media type of one JSON value a line.
pub const NDJSON: &str = "application/x-ndjson";

/// Answers with a stream; `slot` is held until it ends.
pub(crate) fn answer<T: Serialize + Send + 'static>(
    headers: &HeaderMap,
    slot: OwnedSemaphorePermit,
    stream: impl Stream<Item = T> + Send + 'static,
) -> Response {
    let stream = stream.inspect(move |_| {
        let _held = &slot;
    });
    if accepts_events(headers) { events(stream) } else { lines(stream) }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn lines<T: Serialize + 'static>(stream: impl Stream<Item = T> + Send + 'static) -> Response {
    let lines = stream.map(|value| Ok::<Bytes, serde_json::Error>(line(&value)?.into()));
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
