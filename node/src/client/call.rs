//! One request of the client.

use reqwest::Method;
use serde_json::Value;

/// One request, before it is sent.
pub struct Call<'a> {
    /// What to do.
    pub method: Method,
    /// Where to, under the API.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a [(&'a str, String)],
    /// JSON.
    pub body: Option<&'a Value>,
    /// What the resource must still be.
    pub etag: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A request of a path, with nothing beside it.
    pub fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, query: &[], body: None, etag: None }
    }

    /// Whether it opens a stream, which lasts as long as somebody follows.
    pub fn is_stream(&self) -> bool {
        const STREAMS: [&str; 2] = ["/events", "/logs"];
        self.method == Method::GET
            && self.path.contains("/projects/")
            && STREAMS.iter().any(|end| self.path.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_no_deadline_and_other_reads_do() {
        let is = |path: &str| Call::new(Method::GET, path).is_stream();
        assert!(is("/api/projects/shop/deployments/1/events"));
        assert!(is("/api/projects/shop/environments/production/logs"));
        assert!(!is("/api/audit/logs"));
        assert!(!is("/api/projects/shop"));
    }
}
