//! The first admin of a new cluster.

use jiff::Timestamp;
use temps_raft::{Cluster, Proposal, fresh_id};
use temps_state::{Actor, Command, Role, User};

use crate::passwords::Passwords;
use crate::{ApiError, passwords, secrets, users};

/// Refuses what the first admin cannot be made of.
pub fn check_admin(email: &str, password: Option<&str>) -> Result<(), ApiError> {
    users::check_email(email)?;
    password.map_or(Ok(()), passwords::check)
}

/// Makes sure that somebody can log in: creates the first admin when there is no user at all. Without a `password`
/// one is made and returned; it is kept nowhere else.
pub async fn ensure_admin(
    cluster: &Cluster,
    email: &str,
    password: Option<String>,
) -> Result<Option<String>, ApiError> {
    if !cluster.read_latest().await?.users.is_empty() {
        return Ok(None);
    }
    check_admin(email, password.as_deref())?;
    let generated = password.is_none().then(secrets::fresh);
    let password = password.or_else(|| generated.clone()).unwrap_or_default();
    let user = User {
        id: fresh_id(),
        email: email.into(),
        role: Role::Admin,
        password_hash: Passwords::default().hash(password).await?,
        created_at: Timestamp::now(),
    };
    let actor = Actor::Node { id: cluster.node_id() };
    let mut proposal = Proposal::new(actor, Command::CreateUser { user });
    // Two nodes that start at once make one admin.
    proposal.request = Some("first-admin".into());
    cluster.propose(proposal).await?;
    Ok(generated)
}
