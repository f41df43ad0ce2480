//! Join tokens: what lets a new machine in, a few times and for a while.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::table::retain;
use crate::{JoinTokenId, Rejected, Reply, State};

/// The most join tokens at a time.
pub const JOIN_TOKENS_MAX: usize = 1_000;
/// How long a token that expired is remembered, so that its user hears that it did.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A token that nodes may join with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// The token's id.
    pub id: JoinTokenId,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`) that its holder proves to have, in hex.
    pub key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many nodes may still join with it.
    pub uses_left: u32,
}

impl JoinToken {
    /// Why no node may join with it now.
    pub fn check(&self, at: Timestamp) -> Result<(), Rejected> {
        match self {
            _ if self.expires_at <= at => Err(Rejected::TokenExpired { at: self.expires_at }),
            Self { uses_left: 0, .. } => Err(Rejected::TokenUsed),
            _ => Ok(()),
        }
    }
}

impl State {
    /// The token that a public key belongs to.
    pub fn join_token(&self, key: &str) -> Option<&JoinToken> {
        self.join_tokens.values().find(|token| token.key == key)
    }

    pub(crate) fn create_join_token(
        &mut self,
        token: JoinToken,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        retain(&mut self.join_tokens, |_, known| {
            known.expires_at.checked_add(REMEMBERED).is_ok_and(|end| at < end)
        });
        if self.join_tokens.contains_key(&token.id) || self.join_token(&token.key).is_some() {
            return Err(Rejected::taken("join token", token.id));
        }
        if self.join_tokens.len() >= JOIN_TOKENS_MAX {
            return Err(Rejected::TooMany { noun: "join tokens".into(), max: JOIN_TOKENS_MAX });
        }
        self.join_tokens.insert(token.id, token);
        Ok(Reply::Done)
    }

    pub(crate) fn delete_join_token(&mut self, id: JoinTokenId) -> Result<Reply, Rejected> {
        let gone = self.join_tokens.remove(&id);
        gone.map(|_| Reply::Done).ok_or_else(|| Rejected::not_found("join token", id))
    }

    pub(crate) fn use_join_token(&mut self, key: &str, at: Timestamp) -> Result<(), Rejected> {
        let token = self.join_tokens.values().find(|token| token.key == key);
        let mut token = token.ok_or(Rejected::TokenUnknown)?.clone();
        token.check(at)?;
        token.uses_left -= 1;
        self.join_tokens.insert(token.id, token);
        Ok(())
    }
}
