//! Whom an API key or a session's cookie belongs to, found by its hash.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use temps_state::{ApiKey, ApiKeyId, Session, SessionId, State, User};

/// An index of the API keys and sessions by hash. It is made again when one of them changed, by the next to ask.
#[derive(Default)]
pub(crate) struct Credentials {
    index: ArcSwap<Index>,
}

#[derive(Default)]
struct Index {
    /// The two tables it was made from, and no others.
    of: State,
    api_keys: HashMap<String, ApiKeyId>,
    sessions: HashMap<String, SessionId>,
}

impl Credentials {
    /// The API key whose SHA-256 is `hash`, with its user.
    pub fn api_key<'a>(&self, state: &'a State, hash: &str) -> Option<(&'a ApiKey, &'a User)> {
        let key = state.api_keys.get(self.index(state).api_keys.get(hash)?)?;
        Some((key, state.users.get(&key.user)?))
    }

    /// The session whose cookie's SHA-256 is `hash`, with its user.
    pub fn session<'a>(&self, state: &'a State, hash: &str) -> Option<(&'a Session, &'a User)> {
        let session = state.sessions.get(self.index(state).sessions.get(hash)?)?;
        Some((session, state.users.get(&session.user)?))
    }

    /// The index of a state. Two who make it at once make the same.
    fn index(&self, state: &State) -> Arc<Index> {
        let index = self.index.load_full();
        if index.is_of(state) {
            return index;
        }
        let fresh = Arc::new(Index::new(state));
        self.index.store(Arc::clone(&fresh));
        fresh
    }
}

impl Index {
    fn new(state: &State) -> Self {
        let (api_keys, sessions) = (state.api_keys.clone(), state.sessions.clone());
        Self {
            api_keys: api_keys.iter().map(|(id, key)| (key.hash.clone(), *id)).collect(),
            sessions: sessions.iter().map(|(id, session)| (session.hash.clone(), *id)).collect(),
            of: State { api_keys, sessions, ..State::default() },
        }
    }

    /// Whether it was made from the very tables of a state.
    fn is_of(&self, state: &State) -> bool {
        self.of.api_keys.ptr_eq(&state.api_keys) && self.of.sessions.ptr_eq(&state.sessions)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Id, Role, UserId};

    use super::*;

    fn state() -> State {
        let mut state = State::default();
        let id = UserId::from_parts(1, 1);
        let user = User {
            id,
            email: "a@b.c".into(),
            password_hash: String::new(),
            role: Role::Admin,
            created_at: Timestamp::UNIX_EPOCH,
        };
        state.users.insert(id, user);
        state
    }

    fn add_session(state: &mut State, hash: &str) {
        let id = SessionId::from_parts(1, state.sessions.len() as u128);
        let (user, at) = (UserId::from_parts(1, 1), Timestamp::UNIX_EPOCH);
        let session = Session { id, user, hash: hash.into(), created_at: at, expires_at: at };
        state.sessions.insert(id, session);
    }

    #[test]
    fn what_comes_and_goes_is_found_and_lost() {
        let (credentials, mut state) = (Credentials::default(), state());
        assert!(credentials.session(&state, "one").is_none());
        add_session(&mut state, "one");
        let (found, user) = credentials.session(&state, "one").unwrap();
        assert_eq!((found.hash.as_str(), user.email.as_str()), ("one", "a@b.c"));
        assert!(credentials.api_key(&state, "one").is_none(), "a cookie is no key");
        state.sessions.clear();
        assert!(credentials.session(&state, "one").is_none());
    }

    #[test]
    fn the_index_is_made_again_only_when_its_tables_changed() {
        let (credentials, mut state) = (Credentials::default(), state());
        add_session(&mut state, "one");
        let made = credentials.index(&state);
        state.users.clear();
        assert!(Arc::ptr_eq(&made, &credentials.index(&state.clone())));
        add_session(&mut state, "two");
        assert!(!Arc::ptr_eq(&made, &credentials.index(&state)));
    }
}
