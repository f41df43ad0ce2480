//! A file on its way to a node.

use std::fs::File;

use futures::TryStreamExt;
use reqwest::Body;
use tokio_util::io::ReaderStream;

use crate::client::{Answer, Client};
use crate::error::CliError;
use crate::output::Output;
use crate::steps::byte_bar;

/// How many octets of a file are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Sends a file of so many octets to a path of the API, and shows how far it is; `open` gives the file afresh for every
/// attempt.
pub async fn upload(
    client: &Client,
    output: &Output,
    path: &str,
    bytes: u64,
    open: impl Fn() -> Result<File, CliError>,
) -> Result<Answer, CliError> {
    let bar = byte_bar(output, "upload", bytes);
    let body = || {
        let file = tokio::fs::File::from_std(open()?);
        bar.set_position(0);
        let bar = bar.clone();
        let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES);
        Ok(Body::wrap_stream(chunks.inspect_ok(move |chunk| bar.inc(chunk.len() as u64))))
    };
    let answer = client.upload(path, bytes, body).await;
    bar.finish_and_clear();
    answer
}
