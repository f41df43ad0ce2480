//! What time a node believes it is.

use std::time::{Duration, SystemTime};

use crate::client::http_client;
use crate::{GroundError, Node};

/// How long an edge may take to say what time it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

impl Node<'_> {
    /// By how much its clock is off from this process's, whichever way, to a second. Its edge says so: the API's server
    /// keeps the date that it told last for as long as that is not over, which with a clock that went back is long.
    ///
    /// # Errors
    /// When the edge does not answer, or has no date.
    pub async fn clock_error(&self) -> Result<Duration, GroundError> {
        let edge = format!("http://{}/", self.edge());
        let asked = http_client(ANSWER_LIMIT)?.get(&edge).send().await;
        let answer = asked.map_err(|source| GroundError::Request {
            node: self.number,
            method: "GET".into(),
            path: "/".into(),
            source,
        })?;
        let said = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let its = said.and_then(since_1970).ok_or_else(|| GroundError::Malformed {
            path: edge.into(),
            wanted: "a date",
            found: said.unwrap_or_default().into(),
        })?;
        Ok(its.abs_diff(now))
    }
}

/// A date of HTTP, as time since 1970.
fn since_1970(date: &str) -> Option<Duration> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    u64::try_from(time.as_second()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_understood() {
        let known = since_1970("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(known, Some(Duration::from_secs(784_111_777)));
        assert_eq!(since_1970("yesterday"), None);
    }
}
