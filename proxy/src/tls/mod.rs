//! TLS at the edge: which certificate a client gets, by the name it asks for, and how sessions are resumed.

mod challenges;
mod config;
mod minutes;
mod named;
mod pem;
mod preview;
mod refusals;
mod tickets;
mod wishes;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use temps_state::{ClusterKey, DomainName, State};
use tokio::sync::mpsc;
use tracing::error;

use crate::EdgeError;
use crate::tls::challenges::Challenges;
use crate::tls::named::Named;
use crate::tls::preview::Preview;
use crate::tls::refusals::Refusals;
use crate::tls::tickets::Tickets;
use crate::tls::wishes::Wishes;

pub(crate) use config::{CHALLENGE_PROTOCOL, server_config};
pub use named::ShownCertificate;
pub use refusals::Refused;

/// The certificates that this node shows. Looked up without waiting, in the middle of a handshake; each part is swapped
/// whole when the state changes, and connections that are open do not notice.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// Opens keys; without it there are only the node's own certificates.
    key: Option<ClusterKey>,
    named: ArcSwap<Named>,
    preview: Preview,
    challenges: ArcSwap<Challenges>,
    tickets: Arc<Tickets>,
    refusals: Refusals,
    wishes: Wishes,
}

impl Certificates {
    /// No certificates yet; those that the node makes itself are kept under the data folder.
    pub(crate) fn new(data_dir: &Path, refused: Counter) -> Result<Self, EdgeError> {
        Ok(Self {
            key: None,
            named: ArcSwap::default(),
            preview: Preview::new(data_dir),
            challenges: ArcSwap::default(),
            tickets: Arc::new(Tickets::new().map_err(EdgeError::DrawTicketKey)?),
            refusals: Refusals::new(refused),
            wishes: Wishes::new(),
        })
    }

    /// Opens the keys of the state's certificates with the cluster's key.
    pub(crate) fn with_key(self, key: ClusterKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The self-signed certificate of the preview domain.
    pub(crate) fn preview(&self) -> &Preview {
        &self.preview
    }

    /// Whether two states show the same certificates, as far as can be told for nothing.
    pub(crate) fn same(older: &State, newer: &State) -> bool {
        older.certificates.ptr_eq(&newer.certificates)
            && older.orders.ptr_eq(&newer.orders)
            && older.ticket_keys.ptr_eq(&newer.ticket_keys)
            && older.domains.ptr_eq(&newer.domains)
            && older.hosts.ptr_eq(&newer.hosts)
            && older.settings.ptr_eq(&newer.settings)
    }

    /// Shows what a state says. Only what changed since the last time is looked at. Blocks on the disk and computes.
    pub(crate) fn follow(&self, state: &State) {
        let key = self.key.as_ref();
        if let Some(named) = self.named.load().next(&state.certificates, key) {
            self.named.store(Arc::new(named));
        }
        if let Some(challenges) = self.challenges.load().next(&state.orders) {
            self.challenges.store(Arc::new(challenges));
        }
        self.tickets.follow(&state.ticket_keys, key);
        self.refusals.follow(&state.domains);
        self.wishes.follow(state);
        if let Err(error) = self.preview.follow(&state.settings().preview_domain) {
            error!(%error, "the preview domain has no certificate");
        }
    }

    /// Whether a host has a certificate that clients trust at a time. A self-signed one does not count.
    pub(crate) fn is_secure(&self, host: &str, now: Timestamp) -> bool {
        self.named.load().find(host, now).is_some_and(|shown| shown.is_valid(now))
    }

    /// What an authority that looks for a token at a host is to be told (RFC 8555 §8.3).
    pub(crate) fn http_answer(&self, host: &str, token: &str) -> Option<String> {
        self.challenges.load().http_answer(host, token).map(str::to_owned)
    }

    /// What is shown for a name now.
    pub(crate) fn shown(&self, name: &DomainName, now: Timestamp) -> Option<ShownCertificate> {
        self.named.load().get(name, now).map(|shown| shown.seen())
    }

    /// How often clients were refused that asked for a domain's names.
    pub(crate) fn refused(&self, name: &DomainName) -> Option<Refused> {
        self.refusals.of(name)
    }

    /// Names of the preview domain that clients asked for and that only a self-signed certificate is shown for, or one that
    /// ends soon; each at most once a minute, and for the first who asks.
    pub(crate) fn wishes(&self) -> Option<mpsc::Receiver<String>> {
        self.wishes.take()
    }

    /// The certificate for a name at a time: the state's, else the self-signed one where that is allowed.
    fn find(&self, name: &str, now: Timestamp) -> Option<Arc<CertifiedKey>> {
        let named = self.named.load();
        let shown = named.find(name, now);
        let found = shown.map(|shown| shown.key().clone()).or_else(|| self.preview.find(name));
        // That of a wildcard may end without another one.
        if found.is_some() && !shown.is_some_and(|shown| shown.lasts(now)) {
            self.wishes.note(name, now);
        }
        found
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(canonical).unwrap_or_default();
        if is_challenge(&hello) {
            return self.challenges.load().tls_answer(&name);
        }
        let now = Timestamp::now();
        let found = self.find(&name, now);
        if found.is_none() {
            self.refusals.note(&name, now);
        }
        found
    }
}

/// Whether an authority looks for the answer to a challenge, and wants nothing else (RFC 8737 §3).
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| {
        offered.next() == Some(CHALLENGE_PROTOCOL) && offered.next().is_none()
    })
}

/// A name in lower case and without a dot at its end.
fn canonical(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_one_spelling() {
        for (asked, name) in
            [("a.example.com", "a.example.com"), ("A.Example.COM.", "a.example.com"), ("", "")]
        {
            assert_eq!(canonical(asked), name);
        }
    }
}
