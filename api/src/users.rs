//! `/api/users`: who may log in.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_raft::fresh_id;
use temps_state::{Command, Permission, Reply, Role, State as Agreed, User, UserId};
use utoipa::ToSchema;

use crate::auth::{Caller, MayAdmin};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};
use crate::{ApiError, passwords, secrets};

/// The longest e-mail address (RFC 5321 §4.5.3.1.3).
pub const EMAIL_BYTES_MAX: usize = 254;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserOut {
    /// The user's id.
    #[schema(value_type = String)]
    pub id: UserId,
    /// Their e-mail address.
    pub email: String,
    /// `admin`, `user` or `reader`.
    pub role: &'static str,
    /// When they were added.
    pub created_at: Timestamp,
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub struct UserIn {
    /// Their e-mail address.
    pub email: String,
    /// `admin`, `user` or `reader`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Their password; without one the answer holds a generated one.
    pub password: Option<String>,
}

/// A user that was added.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedUser)]
pub struct AddedUser {
    /// The user.
    #[serde(flatten)]
    pub user: UserOut,
    /// The generated password, shown only here; null when one was given.
    pub password: Option<String>,
}

/// What to change of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub struct ChangeIn {
    /// The new role.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// The new password; it ends the user's sessions.
    pub password: Option<String>,
}

impl UserOut {
    pub(crate) fn of(user: &User) -> Self {
        let User { id, email, role, created_at, .. } = user;
        Self { id: *id, email: email.clone(), role: role.name(), created_at: *created_at }
    }
}

pub(crate) fn row(id: UserId) -> String {
    format!("users/{id}")
}

/// Refuses what cannot be an e-mail address. Whether it is one shows only when mail arrives.
pub(crate) fn check_email(email: &str) -> Result<(), ApiError> {
    let parts = email.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    let plain = !email.contains(|c: char| c.is_whitespace() || c.is_control());
    match parts.is_some() && plain && email.len() <= EMAIL_BYTES_MAX {
        true => Ok(()),
        false => Err(ApiError::invalid("email", "this is no e-mail address")),
    }
}

/// Lists the users.
#[utoipa::path(get, path = "/api/users", tag = "users", responses((status = 200, body = Page<UserOut>)))]
pub(crate) async fn list(
    MayAdmin(_): MayAdmin,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<UserOut>> {
    Out(paging.page(state.users.values(), Order::Rising, |user| user.id.to_string(), UserOut::of))
}

/// Adds a user.
#[utoipa::path(
    post, path = "/api/users", tag = "users",
    request_body = UserIn, responses((status = 201, body = AddedUser))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Json(UserIn { email, role, password }): Json<UserIn>,
) -> Result<(StatusCode, Out<AddedUser>), ApiError> {
    check_email(&email)?;
    let request = caller.request();
    let generated = match password {
        Some(_) => None,
        None => Some(secrets::fresh_for(&context.cluster, request.as_deref(), "password")),
    };
    let password = password.or_else(|| generated.clone()).unwrap_or_default();
    passwords::check(&password)?;
    let password_hash = context.passwords.hash(password).await?;
    let user = User { id: fresh_id(), email, role, password_hash, created_at: Timestamp::now() };
    let proposal = caller.asks(Command::CreateUser { user });
    let (Reply::User { id }, state) = context.change(proposal).await? else {
        return Err(ApiError::UnexpectedReply);
    };
    let user = state.users.get(&id).ok_or_else(|| ApiError::not_found("user", id))?;
    let added = AddedUser { user: UserOut::of(user), password: generated };
    Ok((StatusCode::CREATED, Out(added)))
}

/// Changes a user's role or password. Everybody may change their own password.
#[utoipa::path(
    patch, path = "/api/users/{id}", tag = "users",
    request_body = ChangeIn, responses((status = 200, body = UserOut))
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    body: Result<Json<ChangeIn>, ApiError>,
) -> Result<Tagged<UserOut>, ApiError> {
    let own = id == caller.user.id.to_string();
    if !own {
        caller.may(Permission::Admin)?;
    }
    let Json(ChangeIn { role, password }) = body?;
    if role.is_some() {
        caller.may(Permission::Admin)?;
    }
    let id: UserId = id.parse().map_err(|_| ApiError::not_found("user", &id))?;
    let password_hash = match password {
        Some(password) => {
            passwords::check(&password)?;
            Some(context.passwords.hash(password).await?)
        }
        None => None,
    };
    let mut proposal = caller.asks(Command::ChangeUser { id, role, password_hash });
    proposal.condition = if_match.on(row(id));
    let (_, state) = context.change(proposal).await?;
    let user = state.users.get(&id).ok_or_else(|| ApiError::not_found("user", id))?;
    Ok(Tagged::new(&state, &row(id), UserOut::of(user)))
}

/// Removes a user with their API keys and sessions.
#[utoipa::path(delete, path = "/api/users/{id}", tag = "users", responses((status = 204)))]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let id: UserId = id.parse().map_err(|_| ApiError::not_found("user", &id))?;
    let found = |_: &Agreed| Ok((row(id), Command::DeleteUser { id }));
    deletion.of(&context, &caller, found).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_name_and_a_host() {
        assert!(check_email("a@b").is_ok());
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b\n", &format!("{}@b", "x".repeat(254))] {
            assert!(check_email(bad).is_err(), "{bad:?}");
        }
    }
}
