//! What the edge puts on every answer to a request. Pure.

use http::header::ALT_SVC;
use pingora_core::Result;
use pingora_http::ResponseHeader;

use crate::headers::REQUEST_ID;
use crate::security_headers::SecurityHeaders;

/// How long a client may remember that there is HTTP/3, in seconds.
const HTTP3_SECONDS: u32 = 3_600;

/// The request's id, and the security headers of the environment that answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp<'a> {
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// Whether the request came over TLS.
    pub(crate) https: bool,
    /// The port at which the client may speak HTTP/3 to the same name.
    pub(crate) http3_port: Option<u16>,
    /// None on the edge's own pages, and between containers.
    pub(crate) security: Option<&'a SecurityHeaders>,
}

impl Stamp<'_> {
    /// Puts it on an answer.
    pub(crate) fn mark(&self, answer: &mut ResponseHeader) -> Result<()> {
        if let Some(security) = self.security.filter(|_| !answer.status.is_informational()) {
            security.add(answer, self.https)?;
        }
        if let Some(port) = self.http3_port {
            answer.insert_header(ALT_SVC, format!("h3=\":{port}\"; ma={HTTP3_SECONDS}"))?;
        }
        answer.insert_header(REQUEST_ID, self.request_id)
    }
}
