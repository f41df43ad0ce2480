//! Keys of TLS session tickets, the same on every edge, so that a client resumes its session at any of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Rejected, Reply, Sealed, State};

/// How many keys are kept: tickets of the older ones are still read.
pub const TICKET_KEYS_KEPT: usize = 3;

/// A key that session tickets are sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    /// 32 random octets in Base64; sealed at [`TicketKey::PLACE`].
    pub key: Sealed,
    /// When it was drawn.
    pub created_at: Timestamp,
}

impl TicketKey {
    /// Where the keys are sealed.
    pub const PLACE: &str = "tls/ticket-key";
}

impl State {
    /// Adds the newest key, and forgets the oldest.
    pub(crate) fn rotate_ticket_key(
        &mut self,
        index: u64,
        key: TicketKey,
    ) -> Result<Reply, Rejected> {
        self.ticket_keys.insert(index, key);
        while self.ticket_keys.len() > TICKET_KEYS_KEPT {
            self.ticket_keys = self.ticket_keys.without_min().1;
        }
        Ok(Reply::Done)
    }
}
