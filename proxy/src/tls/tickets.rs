//! TLS session tickets that any edge of the cluster reads (RFC 5077, RFC 8446 §4.6.1).
//!
//! A ticket is the name of its key, a nonce, and the session sealed with AES-256-GCM. The name is derived from the key, so
//! that a ticket of another cluster, or of a key that is gone, is told at once.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imbl::OrdMap;
use jiff::{SignedDuration, Timestamp};
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;
use sha2::{Digest, Sha256};
use temps_state::{ClusterKey, TicketKey};
use tracing::error;

use crate::EdgeError;

/// For how long a client is told that its ticket lasts, in seconds. A key must be kept that much longer than it seals.
const LIFETIME: u32 = 12 * 60 * 60;
/// How old a key must be to seal tickets: by then every edge can open them.
const KNOWN_EVERYWHERE: SignedDuration = SignedDuration::from_secs(60);
/// Octets of a key.
const KEY_LEN: usize = 32;
/// Octets of a key's name.
const NAME_LEN: usize = 16;
/// Octets of a nonce.
const NONCE_LEN: usize = 12;
/// Keeps a key's name apart from any other digest of the key.
const NAME_CONTEXT: &[u8] = b"temps session ticket key name";

/// Seals and opens tickets with the cluster's keys; with one of its own where the cluster has none.
pub(crate) struct Tickets {
    shared: ArcSwap<Shared>,
    own: Arc<dyn ProducesTickets>,
}

/// The cluster's keys, the newest last.
#[derive(Default)]
struct Shared {
    source: OrdMap<u64, TicketKey>,
    keys: Vec<Key>,
}

struct Key {
    name: [u8; NAME_LEN],
    cipher: Aes256Gcm,
    created_at: Timestamp,
}

impl Tickets {
    /// Tickets of this node alone.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        Ok(Self { shared: ArcSwap::default(), own: Ticketer::new()? })
    }

    /// Uses the keys of a state.
    pub(crate) fn follow(&self, keys: &OrdMap<u64, TicketKey>, cluster: Option<&ClusterKey>) {
        if self.shared.load().source.ptr_eq(keys) {
            return;
        }
        let read = |key| Key::read(key, cluster).inspect_err(complain).ok();
        let shared =
            Shared { source: keys.clone(), keys: keys.values().filter_map(read).collect() };
        self.shared.store(Arc::new(shared));
    }
}

fn complain(error: &EdgeError) {
    error!(error = %error, "a key of session tickets is not used");
}

impl Shared {
    /// The key to seal with: the newest that every edge has, else the one that most edges have.
    fn sealing(&self, now: Timestamp) -> Option<&Key> {
        let known = |key: &&Key| now.duration_since(key.created_at) >= KNOWN_EVERYWHERE;
        self.keys.iter().rev().find(known).or_else(|| self.keys.first())
    }
}

impl Key {
    fn read(key: &TicketKey, cluster: Option<&ClusterKey>) -> Result<Self, EdgeError> {
        let text = cluster.ok_or(EdgeError::NoClusterKey)?.open(TicketKey::PLACE, &key.key);
        let octets = STANDARD.decode(text.map_err(EdgeError::OpenTicketKey)?);
        let octets = octets.ok().and_then(|octets| <[u8; KEY_LEN]>::try_from(octets).ok());
        Ok(Self::new(octets.ok_or(EdgeError::ReadTicketKey)?, key.created_at))
    }

    fn new(octets: [u8; KEY_LEN], created_at: Timestamp) -> Self {
        let digest = Sha256::new().chain_update(NAME_CONTEXT).chain_update(octets).finalize();
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&digest[..NAME_LEN]);
        Self { name, cipher: Aes256Gcm::new(&octets.into()), created_at }
    }

    fn seal(&self, session: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let payload = Payload { msg: session, aad: &self.name };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some([&self.name[..], &nonce, &sealed].concat())
    }

    /// Opens what follows the name in a ticket.
    fn open(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: sealed, aad: &self.name };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        match self.shared.load().sealing(Timestamp::now()) {
            Some(key) => key.seal(session),
            None => self.own.encrypt(session),
        }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let shared = self.shared.load();
        match shared.keys.iter().find(|key| key.name == *name) {
            Some(key) => key.open(rest),
            None => self.own.decrypt(ticket),
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({} keys)", self.shared.load().keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterKey {
        ClusterKey::new([9; 32])
    }

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_secs(seconds)
    }

    fn keys(created: &[(u8, i64)]) -> OrdMap<u64, TicketKey> {
        let key = |(octet, seconds): &(u8, i64)| {
            let text = STANDARD.encode([*octet; KEY_LEN]);
            let key = cluster().seal([*octet; 12], TicketKey::PLACE, &text).unwrap();
            (u64::from(*octet), TicketKey { key, created_at: ago(*seconds) })
        };
        created.iter().map(key).collect()
    }

    fn tickets(keys: &OrdMap<u64, TicketKey>) -> Tickets {
        let tickets = Tickets::new().unwrap();
        tickets.follow(keys, Some(&cluster()));
        tickets
    }

    fn name(octet: u8) -> [u8; NAME_LEN] {
        Key::new([octet; KEY_LEN], ago(0)).name
    }

    #[test]
    fn the_newest_key_that_every_edge_has_seals() {
        for (created, sealing) in [
            (&[(1, 500), (2, 300), (3, 100)][..], 3),
            (&[(1, 500), (2, 300), (3, 5)], 2),
            (&[(1, 30), (2, 5)], 1),
            (&[(1, 0)], 1),
            (&[(1, -3_600)], 1),
        ] {
            let ticket = tickets(&keys(created)).encrypt(b"session").unwrap();
            assert!(ticket.starts_with(&name(sealing)), "{created:?}");
        }
    }

    #[test]
    fn any_edge_opens_a_ticket_while_its_key_is_kept() {
        let old = keys(&[(1, 500), (2, 300)]);
        let ticket = tickets(&old).encrypt(b"session").unwrap();
        for (kept, opens) in [
            (&[(1, 500), (2, 300)][..], true),
            (&[(2, 300), (3, 100), (4, 70)], true),
            (&[(3, 100), (4, 70), (5, 65)], false),
            (&[], false),
        ] {
            let opened = tickets(&keys(kept)).decrypt(&ticket);
            assert_eq!(opened, opens.then(|| b"session".to_vec()), "{kept:?}");
        }
    }

    #[test]
    fn what_was_altered_does_not_open() {
        let tickets = tickets(&keys(&[(1, 500), (2, 300)]));
        let ticket = tickets.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[at] ^= 1;
            assert_eq!(tickets.decrypt(&altered), None, "octet {at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "{at} octets");
        }
    }

    #[test]
    fn without_the_clusters_keys_a_node_has_its_own() {
        let own = tickets(&OrdMap::new());
        let ticket = own.encrypt(b"session").unwrap();
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        own.follow(&keys(&[(1, 500)]), Some(&cluster()));
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"session"[..]), "it lasts");
        assert!(own.encrypt(b"session").unwrap().starts_with(&name(1)));
        assert_eq!(tickets(&OrdMap::new()).decrypt(&ticket), None);
        let sealed_otherwise = Tickets::new().unwrap();
        sealed_otherwise.follow(&keys(&[(1, 500)]), Some(&ClusterKey::new([8; 32])));
        assert!(!sealed_otherwise.encrypt(b"session").unwrap().starts_with(&name(1)));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", tickets(&keys(&[(1, 500)]))), "Tickets(1 keys)");
    }
}
