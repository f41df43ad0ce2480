//! What an edge shows of itself to the rest of the node.

use std::sync::Arc;

use jiff::Timestamp;
use temps_state::DomainName;
use tokio::sync::mpsc;

use crate::tls::{Certificates, Refused, ShownCertificate};

/// What an edge does for a name. Clones are of the same edge; looking waits for nothing.
#[derive(Debug, Clone)]
pub struct EdgeView {
    certificates: Arc<Certificates>,
}

impl EdgeView {
    pub(crate) fn new(certificates: Arc<Certificates>) -> Self {
        Self { certificates }
    }

    /// How often a client was refused a handshake that asked for a domain's name, or one below a wildcard, for want of a
    /// certificate; `None` where that did not happen since the domain was added or the node was started.
    pub fn refused(&self, domain: &DomainName) -> Option<Refused> {
        self.certificates.refused(domain)
    }

    /// Names of the preview domain that clients asked for and that only a self-signed certificate is shown for; each at
    /// most once a minute, and for the first who asks.
    pub fn wishes(&self) -> Option<mpsc::Receiver<String>> {
        self.certificates.wishes()
    }

    /// The certificate of the state that is shown for a name now; it may be out of date where there is no better one.
    pub fn certificate(&self, name: &DomainName) -> Option<ShownCertificate> {
        self.certificates.shown(name, Timestamp::now())
    }
}
