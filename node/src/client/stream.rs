//! Streams of JSON lines.

use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::Value;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use super::Client;
use super::call::Call;
use crate::error::CliError;

/// The longest line of a stream, in octets.
const LINE_BYTES_MAX: usize = 4 << 20;

impl Client {
    /// Follows a stream of JSON lines.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<impl Stream<Item = Result<Value, CliError>> + Unpin + use<>, CliError> {
        let response = self.get_as_new(&Call { query, ..Call::new(Method::GET, path) }).await?;
        let response = self.accepted(response).await?;
        let url = format!("{}{path}", self.url());
        let bytes = response.bytes_stream().map_err(std::io::Error::other);
        let lines = FramedRead::new(
            StreamReader::new(bytes),
            LinesCodec::new_with_max_length(LINE_BYTES_MAX),
        );
        Ok(Box::pin(lines.filter_map(move |line| std::future::ready(read_line(&url, line)))))
    }
}

fn read_line(url: &str, line: Result<String, LinesCodecError>) -> Option<Result<Value, CliError>> {
    let broke = |why: String| CliError::StreamBroke { url: url.into(), why };
    match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(serde_json::from_str(&line).map_err(|error| broke(error.to_string()))),
        Err(error) => Some(Err(broke(error.to_string()))),
    }
}
