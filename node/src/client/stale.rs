//! Reads without a quorum: of what one node last knew, and said to be that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Response;
use serde_json::json;

use super::Client;
use super::call::Call;
use crate::error::CliError;
use crate::output::Output;
use crate::patience::Patience;
use crate::when::span;

/// For how long the node that answers has known of no quorum, in seconds.
const NO_QUORUM_HEADER: &str = "x-temps-no-quorum-seconds";
/// What asks a node for what it last knew.
const STALE: (&str, &str) = ("consistency", "stale");

/// What reads fall back to. Clones share whether they did.
#[derive(Clone)]
pub(super) struct Fallback {
    output: Output,
    used: Arc<AtomicBool>,
}

impl Client {
    /// The same client, whose reads answer from what one node last knew where there is no quorum.
    pub fn content_with_stale(self, output: Output) -> Self {
        let fallback = Fallback { output, used: Arc::default() };
        Self { fallback: Some(fallback), ..self }
    }

    /// Reads what the cluster knows, or else, where that is enough, after a short while what the node knows that is
    /// asked then.
    pub(super) async fn get_as_new(&self, call: &Call<'_>) -> Result<Response, CliError> {
        let Some(fallback) = &self.fallback else { return self.send(call).await };
        if !fallback.used.load(Ordering::Relaxed) {
            let asked = |url: &str| Ok(self.request(url, call, None));
            match self.persist(Patience::of_read(), true, asked).await {
                Err(CliError::Refused(problem)) if problem.is_no_quorum() => {}
                done => return done,
            }
        }
        let query = call.query.iter().cloned();
        let query: Vec<_> = query.chain([(STALE.0, STALE.1.to_owned())]).collect();
        let call = Call { query: &query, ..Call::new(call.method.clone(), call.path) };
        let response = self.send(&call).await?;
        if response.status().is_success() && !fallback.used.swap(true, Ordering::Relaxed) {
            fallback.tell(self.url(), &response);
        }
        Ok(response)
    }
}

impl Fallback {
    fn tell(&self, url: &str, response: &Response) {
        let seconds =
            response.headers().get(NO_QUORUM_HEADER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.parse().ok());
        let warning = sentence(url, seconds);
        match self.output.json {
            true => self.output.note(
                &json!({"warning": warning, "code": "stale", "no_quorum_seconds": seconds})
                    .to_string(),
            ),
            false => self.output.warn(&warning),
        }
    }
}

fn sentence(url: &str, seconds: Option<u64>) -> String {
    let ago = seconds.map_or_else(|| "last".to_owned(), |seconds| format!("{} ago", span(seconds)));
    format!(
        "there is no quorum: this is what the node at {url} knew {ago}. Nothing can be changed until more nodes are \
         back; apps are served as before. See `temps status`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_old_an_answer_is_is_told_as_far_as_it_is_known() {
        let url = "http://n1";
        assert!(sentence(url, Some(34)).contains("the node at http://n1 knew 34s ago."));
        assert!(sentence(url, None).contains("the node at http://n1 knew last."));
    }
}
