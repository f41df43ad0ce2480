//! What the edge answers by itself where nothing is wrong: what authorities and probes look for, and where a client is
//! sent instead. Pure.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{Method, Uri};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use temps_state::Redirect;

use crate::domain_probe::PROOF_PATH;
use crate::ports::HTTPS_PORT;
use crate::stamp::Stamp;

/// Where authorities look for the answers to their challenges (RFC 8555 §8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// An answer of the edge's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnAnswer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Where the client is sent.
    pub(crate) location: Option<String>,
    /// The body, plain text.
    pub(crate) body: String,
}

/// What is looked for at a well-known path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sought<'a> {
    /// The answer to the challenge with this token.
    Challenge(&'a str),
    /// The proof of the host's domain.
    Proof,
}

impl<'a> Sought<'a> {
    /// What a request looks for, if that is something of the edge's own.
    pub(crate) fn by(method: &Method, path: &'a str) -> Option<Self> {
        if *method != Method::GET && *method != Method::HEAD {
            return None;
        }
        match path.strip_prefix(CHALLENGES) {
            Some(token) => Some(Self::Challenge(token)),
            None => (path == PROOF_PATH).then_some(Self::Proof),
        }
    }
}

impl OwnAnswer {
    /// Says a text.
    pub(crate) fn says(text: impl Into<String>) -> Self {
        Self { status: 200, location: None, body: text.into() }
    }

    /// Sends a client where its domain sends everybody; with the request's path and query where the address ends with a
    /// slash.
    pub(crate) fn away(redirect: &Redirect, uri: &Uri) -> Self {
        let rest =
            if redirect.to.ends_with('/') { target(uri).trim_start_matches('/') } else { "" };
        Self::sends(redirect.status.into(), format!("{}{rest}", redirect.to))
    }

    /// Sends a client to the same over HTTPS, which is at this port ([`Ports::secure`]).
    pub(crate) fn secure(host: &str, port: u16, uri: &Uri) -> Self {
        let target = target(uri);
        let location = match port {
            HTTPS_PORT => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        };
        Self::sends(308, location)
    }

    /// Its head.
    pub(crate) fn header(&self, stamp: Stamp<'_>) -> Result<ResponseHeader> {
        let mut header = ResponseHeader::build(self.status, Some(8))?;
        header.insert_header(CONTENT_LENGTH, self.body.len())?;
        match &self.location {
            Some(location) => header.insert_header(LOCATION, location)?,
            None => {
                header.insert_header(CONTENT_TYPE, "text/plain; charset=utf-8")?;
                header.insert_header(CACHE_CONTROL, "no-store")?;
            }
        }
        stamp.mark(&mut header)?;
        Ok(header)
    }

    fn sends(status: u16, location: String) -> Self {
        Self { status, location: Some(location), body: String::new() }
    }
}

/// The path and query of a request; `/` where it has none, as in `OPTIONS *`.
fn target(uri: &Uri) -> &str {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    if target.starts_with('/') { target } else { "/" }
}

#[cfg(test)]
mod tests {
    use temps_state::RedirectStatus;

    use super::*;

    #[test]
    fn only_reading_the_very_paths_is_answered() {
        for (method, path, sought) in [
            ("GET", "/.well-known/acme-challenge/abc", Some(Sought::Challenge("abc"))),
            ("HEAD", "/.well-known/acme-challenge/abc", Some(Sought::Challenge("abc"))),
            ("GET", "/.well-known/acme-challenge/", Some(Sought::Challenge(""))),
            ("POST", "/.well-known/acme-challenge/abc", None),
            ("GET", "/.well-known/acme-challenge", None),
            ("GET", "/x/.well-known/acme-challenge/abc", None),
            ("GET", "/.well-known/temps-domain", Some(Sought::Proof)),
            ("GET", "/.well-known/temps-domain/", None),
            ("PUT", "/.well-known/temps-domain", None),
            ("GET", "/", None),
        ] {
            assert_eq!(Sought::by(&method.parse().unwrap(), path), sought, "{method} {path}");
        }
    }

    #[test]
    fn a_domain_sends_clients_away() {
        for (to, uri, location) in [
            ("https://example.com/", "/a/b?c=d", "https://example.com/a/b?c=d"),
            ("https://example.com/", "/", "https://example.com/"),
            ("https://example.com/", "/?a", "https://example.com/?a"),
            ("https://example.com/x/", "/a", "https://example.com/x/a"),
            ("https://example.com/", "//evil.example/", "https://example.com/evil.example/"),
            ("https://example.com/x", "/a?b", "https://example.com/x"),
            ("https://example.com", "/a", "https://example.com"),
            ("https://example.com/", "*", "https://example.com/"),
            ("https://example.com/", "http://old.example/a", "https://example.com/a"),
        ] {
            let redirect = Redirect { to: to.into(), status: RedirectStatus::Found };
            let answer = OwnAnswer::away(&redirect, &uri.parse().unwrap());
            assert_eq!((answer.status, answer.location.as_deref()), (302, Some(location)), "{uri}");
        }
    }

    #[test]
    fn https_is_at_its_port_with_the_same_path() {
        for (port, uri, location) in [
            (443, "/a?b=c", "https://a.example.com/a?b=c"),
            (8443, "/a?b=c", "https://a.example.com:8443/a?b=c"),
            (443, "*", "https://a.example.com/"),
            (443, "http://other.example", "https://a.example.com/"),
        ] {
            let answer = OwnAnswer::secure("a.example.com", port, &uri.parse().unwrap());
            assert_eq!((answer.status, answer.location.as_deref()), (308, Some(location)), "{uri}");
        }
    }
}
