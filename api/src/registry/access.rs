//! Who may use the registry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use temps_builder::OwnRegistry;
use temps_raft::Proposal;
use temps_state::{Actor, Command, NodeId, Permission, UserId};

use super::error::Refusal;
use crate::auth::{Caller, GitCaller};
use crate::context::Shared;
use crate::secrets::{same, sha256_hex};

/// How long a password that was right is believed without being hashed again: a push is a hundred requests.
pub const LOGIN_BELIEVED: Duration = Duration::from_secs(120);
/// How many such passwords are remembered.
pub const LOGINS_MAX: usize = 1_000;

/// Who was let in.
pub(super) enum Asker {
    /// Somebody who was recognised.
    Person(Box<Caller>),
    /// The engine of this node.
    Engine(NodeId),
}

impl Asker {
    /// A proposal in their name.
    pub fn asks(&self, command: Command) -> Proposal {
        match self {
            Self::Person(caller) => caller.asks(command),
            Self::Engine(node) => Proposal::new(Actor::Node { id: *node }, command),
        }
    }
}

/// Who is let in.
#[derive(Clone)]
pub(super) enum Access {
    /// People, as they log in at the API.
    People(Shared),
    /// The node's own engine, which knows the password of this run.
    Engine(OwnRegistry, NodeId),
}

impl Access {
    /// Lets a request pass whose sender may do what it wants to.
    pub async fn check(
        &self,
        request: Request,
        needed: Permission,
    ) -> Result<(Request, Asker), Refusal> {
        match self {
            Self::Engine(registry, node) => {
                let (_, password) =
                    crate::auth::basic(request.headers()).ok_or_else(Refusal::unauthorized)?;
                match same(password.as_bytes(), registry.password().as_bytes()) {
                    true => Ok((request, Asker::Engine(*node))),
                    false => Err(Refusal::unauthorized()),
                }
            }
            Self::People(context) => {
                let (mut parts, body) = request.into_parts();
                let caller = caller(&mut parts, context).await?;
                caller.may(needed)?;
                Ok((Request::from_parts(parts, body), Asker::Person(Box::new(caller))))
            }
        }
    }
}

async fn caller(
    parts: &mut axum::http::request::Parts,
    context: &Shared,
) -> Result<Caller, Refusal> {
    let proof = proof(&parts.headers).ok_or_else(Refusal::unauthorized)?;
    let state = context.cluster.state();
    if let Some(user) = context.registry_logins.find(&proof, Instant::now())
        && let Some(user) = state.users.get(&user.0).filter(|found| found.password_hash == user.1)
    {
        return Ok(Caller::as_user(user, crate::auth::client_address(parts)));
    }
    let GitCaller(caller) = GitCaller::from_request_parts(parts, context).await?;
    if matches!(caller.actor, temps_state::Actor::User { .. }) {
        let known = (caller.user.id, caller.user.password_hash.clone());
        context.registry_logins.remember(proof, known, Instant::now());
    }
    Ok(caller)
}

/// Stands for what a client proves itself with; nothing can be made of it.
fn proof(headers: &HeaderMap) -> Option<String> {
    Some(sha256_hex(headers.get(header::AUTHORIZATION)?.as_bytes()))
}

/// A user, and the hash of the password that was right: another password is another hash.
type Known = (UserId, String);

/// The passwords that were right of late.
#[derive(Default)]
pub(crate) struct Logins {
    known: Mutex<HashMap<String, (Known, Instant)>>,
}

impl Logins {
    fn find(&self, proof: &str, now: Instant) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, until) = known.get(proof)?;
        (*until > now).then(|| user.clone())
    }

    fn remember(&self, proof: String, user: Known, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, until)| *until > now);
        if known.len() < LOGINS_MAX {
            known.insert(proof, (user, now + LOGIN_BELIEVED));
        }
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn a_password_is_believed_for_a_while() {
        let (logins, now) = (Logins::default(), Instant::now());
        let user = (UserId::from_parts(1, 1), "hash".to_owned());
        logins.remember("proof".into(), user.clone(), now);
        assert_eq!(logins.find("proof", now), Some(user));
        assert_eq!(logins.find("other", now), None);
        assert_eq!(logins.find("proof", now + LOGIN_BELIEVED), None);
    }
}
