//! Users, their API keys and their browser sessions.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::table::retain;
use crate::{ApiKeyId, Rejected, Reply, SessionId, State, UserId};

/// The most users a cluster has.
pub const USERS_MAX: usize = 10_000;
/// The most API keys a user has.
pub const API_KEYS_MAX: usize = 100;
/// The most sessions a user has; the oldest goes first.
pub const SESSIONS_MAX: usize = 50;

/// A person who may log in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// Their e-mail address, lower-case, unique.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// argon2id in PHC string form.
    pub password_hash: String,
    /// When they were added.
    pub created_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, email, role, created_at, .. } = self;
        write!(f, "User {{ {id}, {email}, {role:?}, {created_at} }}")
    }
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but secrets.
    Reader,
    /// Creates, changes and deploys projects.
    User,
    /// Also manages users, nodes and settings.
    Admin,
}

/// One thing a role or an API key permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See projects, environments, deployments, logs and the cluster.
    Read,
    /// Create, cancel and roll back deployments.
    Deploy,
    /// Create, change and delete projects and environments, their variables and scale.
    Write,
    /// Run commands in replicas.
    Exec,
    /// Manage users, nodes and settings; read the audit log.
    Admin,
}

impl Permission {
    /// Every permission, least first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Deploy, Self::Write, Self::Exec, Self::Admin];

    /// The permission's name in REST and CLI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Write => "write",
            Self::Exec => "exec",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            format!("`{text}` is not a permission: use read, deploy, write, exec or admin")
        })
    }
}

impl Role {
    /// The role's name in REST and CLI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Whether the role permits something.
    pub fn permits(self, permission: Permission) -> bool {
        match self {
            Self::Reader => permission == Permission::Read,
            Self::User => permission != Permission::Admin,
            Self::Admin => true,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Reader, Self::User, Self::Admin]
            .into_iter()
            .find(|r| r.name() == text)
            .ok_or_else(|| format!("`{text}` is not a role: use admin, user or reader"))
    }
}

/// A key that programs use instead of a password: `tk_…`, shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's id.
    pub id: ApiKeyId,
    /// Whose it is; it never permits more than its user's role.
    pub user: UserId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the key, in hex.
    pub hash: String,
    /// The first characters of the key, to tell keys apart.
    pub prefix: String,
    /// What it permits; everything its user's role does when empty.
    pub permissions: BTreeSet<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether the key, in the hands of its user, permits something now.
    pub fn permits(&self, role: Role, permission: Permission, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
            && role.permits(permission)
            && (self.permissions.is_empty() || self.permissions.contains(&permission))
    }
}

/// A browser session, known by a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of the cookie's value, in hex.
    pub hash: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl State {
    /// The user with that e-mail address, in any case.
    pub fn user_by_email(&self, email: &str) -> Option<&User> {
        self.emails.get(&email.to_lowercase()).and_then(|id| self.users.get(id))
    }

    fn user(&self, id: UserId) -> Result<&User, Rejected> {
        self.users.get(&id).ok_or_else(|| Rejected::not_found("user", id))
    }

    pub(crate) fn create_user(&mut self, mut user: User) -> Result<Reply, Rejected> {
        user.email = user.email.to_lowercase();
        if self.users.contains_key(&user.id) || self.emails.contains_key(&user.email) {
            return Err(Rejected::taken("user", &user.email));
        }
        if self.users.len() >= USERS_MAX {
            return Err(Rejected::TooMany { noun: "users".into(), max: USERS_MAX });
        }
        let id = user.id;
        self.emails.insert(user.email.clone(), id);
        self.users.insert(id, user);
        Ok(Reply::User { id })
    }

    pub(crate) fn change_user(
        &mut self,
        id: UserId,
        role: Option<Role>,
        password_hash: Option<String>,
    ) -> Result<Reply, Rejected> {
        let mut user = self.user(id)?.clone();
        if role.is_some_and(|role| role != Role::Admin) {
            self.refuse_if_last_admin(id)?;
        }
        user.role = role.unwrap_or(user.role);
        if let Some(hash) = password_hash {
            user.password_hash = hash;
            retain(&mut self.sessions, |_, session| session.user != id);
        }
        self.users.insert(id, user);
        Ok(Reply::Done)
    }

    pub(crate) fn delete_user(&mut self, id: UserId) -> Result<Reply, Rejected> {
        let email = self.user(id)?.email.clone();
        self.refuse_if_last_admin(id)?;
        self.users.remove(&id);
        self.emails.remove(&email);
        retain(&mut self.api_keys, |_, key| key.user != id);
        retain(&mut self.sessions, |_, session| session.user != id);
        Ok(Reply::Done)
    }

    fn refuse_if_last_admin(&self, id: UserId) -> Result<(), Rejected> {
        let another = self.users.values().any(|u| u.id != id && u.role == Role::Admin);
        let is_admin = self.users.get(&id).is_some_and(|u| u.role == Role::Admin);
        if is_admin && !another { Err(Rejected::LastAdmin) } else { Ok(()) }
    }

    pub(crate) fn create_api_key(&mut self, key: ApiKey) -> Result<Reply, Rejected> {
        self.user(key.user)?;
        if self.api_keys.contains_key(&key.id) {
            return Err(Rejected::taken("api key", key.id));
        }
        if self.api_keys.values().filter(|k| k.user == key.user).count() >= API_KEYS_MAX {
            return Err(Rejected::TooMany { noun: "api keys".into(), max: API_KEYS_MAX });
        }
        let id = key.id;
        self.api_keys.insert(id, key);
        Ok(Reply::ApiKey { id })
    }

    pub(crate) fn delete_api_key(&mut self, id: ApiKeyId) -> Result<Reply, Rejected> {
        match self.api_keys.remove(&id) {
            Some(_) => Ok(Reply::Done),
            None => Err(Rejected::not_found("api key", id)),
        }
    }

    /// Opens a session; expired ones and the user's oldest beyond the bound go.
    pub(crate) fn open_session(
        &mut self,
        session: Session,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        self.user(session.user)?;
        retain(&mut self.sessions, |_, s| at < s.expires_at);
        let own: Vec<_> =
            self.sessions.values().filter(|s| s.user == session.user).map(|s| s.id).collect();
        let surplus = (own.len() + 1).saturating_sub(SESSIONS_MAX);
        for id in own.into_iter().take(surplus) {
            self.sessions.remove(&id);
        }
        self.sessions.insert(session.id, session);
        Ok(Reply::Done)
    }

    pub(crate) fn close_session(&mut self, id: SessionId) -> Result<Reply, Rejected> {
        self.sessions.remove(&id);
        Ok(Reply::Done)
    }
}
