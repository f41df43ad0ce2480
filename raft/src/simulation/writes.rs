//! What clients write: users, since everybody understands when one is lost, or there twice.

use jiff::Timestamp;
use temps_state::{Actor, Command, Id, NodeId, Role, User, UserId};

use crate::Proposal;

/// A write, by the number that its client gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// Adds a user that nobody else adds.
    Add(u64),
    /// Adds a user under one of a few names.
    Claim { name: u64, number: u64 },
    /// Changes the user of that number, under an idempotency key that is used until there is an answer.
    Once(u64),
}

impl Write {
    /// The proposal, with so many octets beside what it needs.
    pub fn proposal(self, octets: usize) -> Proposal {
        let command = match self {
            Self::Add(number) => {
                Command::CreateUser { user: user(number, format!("add-{number}"), octets) }
            }
            Self::Claim { name, number } => {
                Command::CreateUser { user: user(number, format!("claim-{name}"), octets) }
            }
            Self::Once(number) => {
                Command::ChangeUser { id: id(number), role: Some(Role::User), password_hash: None }
            }
        };
        let request = matches!(self, Self::Once(_)).then(|| format!("{self:?}"));
        Proposal { request, ..Proposal::new(Actor::Node { id: NodeId(1) }, command) }
    }
}

/// The write that a user is from.
pub fn write_of(user: &User) -> Option<Write> {
    let number = user.password_hash.split(' ').next()?.parse().ok()?;
    match user.email.split_once('-')? {
        ("add", _) => Some(Write::Add(number)),
        ("claim", name) => Some(Write::Claim { name: name.parse().ok()?, number }),
        _ => None,
    }
}

fn user(number: u64, email: String, octets: usize) -> User {
    User {
        id: id(number),
        email,
        role: Role::Reader,
        password_hash: format!("{number} {}", "x".repeat(octets)),
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn id(number: u64) -> UserId {
    UserId::from_parts(0, number.into())
}

#[cfg(test)]
pub mod tests {
    use temps_state::{Entry, State};

    use super::*;

    /// The state after these writes, whatever they get for an answer.
    pub fn state_with(writes: &[Write]) -> State {
        let mut state = State::default();
        for (index, write) in (1..).zip(writes) {
            let Proposal { actor, command, .. } = write.proposal(3);
            let entry = Entry {
                at: Timestamp::UNIX_EPOCH,
                actor,
                from: None,
                request: None,
                condition: None,
                command,
            };
            let _ = state.apply(index, entry);
        }
        state
    }

    #[test]
    fn a_write_is_found_again_in_the_state() {
        let writes = [Write::Add(7), Write::Claim { name: 2, number: 8 }];
        let state = state_with(&writes);
        let found: Vec<_> = state.users.values().filter_map(write_of).collect();
        assert_eq!(found, writes);
        let again = state_with(&[writes[1], Write::Claim { name: 2, number: 9 }]);
        assert_eq!(again.users.len(), 1, "a name is given once");
    }
}
