//! `/api/audit/logs`: who changed what.

use std::net::IpAddr;

use axum::Json as Out;
use jiff::Timestamp;
use serde::Serialize;
use temps_state::{Actor, State};
use utoipa::ToSchema;

use crate::auth::MayAdmin;
use crate::consistency::Seen;
use crate::pages::{Order, Page, Paging};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorOut {
    /// `user`, `api_key`, `webhook` or `node`.
    pub r#type: &'static str,
    /// The id of the user, key, project or node.
    pub id: String,
    /// What people call it: the user's e-mail address, the key's, project's or node's name; null once it is gone.
    pub name: Option<String>,
    /// The user's e-mail address, for users and their keys.
    pub email: Option<String>,
}

impl ActorOut {
    pub(crate) fn of(state: &State, actor: &Actor) -> Self {
        let email = |id| state.users.get(id).map(|user| user.email.clone());
        let (r#type, id, name, email) = match actor {
            Actor::Node { id } => {
                let name = state.nodes.get(id).map(|node| node.name.clone());
                ("node", id.to_string(), name, None)
            }
            Actor::User { id } => ("user", id.to_string(), email(id), email(id)),
            Actor::ApiKey { id, user } => {
                let name = state.api_keys.get(id).map(|key| key.name.clone());
                ("api_key", id.to_string(), name, email(user))
            }
            Actor::Webhook { project } => {
                let name = state.projects.get(project).map(|project| project.name.to_string());
                ("webhook", project.to_string(), name, None)
            }
        };
        Self { r#type, id, name, email }
    }
}

/// One change that took effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub struct AuditOut {
    /// The index of its log entry.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: ActorOut,
    /// From which address.
    #[schema(value_type = Option<String>)]
    pub from: Option<IpAddr>,
    /// What was done, such as `project.create`.
    pub action: String,
    /// What it was done to.
    pub target: String,
}

/// Lists the changes, newest first.
#[utoipa::path(get, path = "/api/audit/logs", tag = "audit", responses((status = 200, body = Page<AuditOut>)))]
pub(crate) async fn list(
    MayAdmin(_): MayAdmin,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<AuditOut>> {
    let newest_first = state.audit.iter().rev();
    let page = paging.page(
        newest_first,
        Order::Falling,
        |(index, _)| format!("{index:020}"),
        |(index, record)| AuditOut {
            index: *index,
            at: record.at,
            actor: ActorOut::of(&state, &record.actor),
            from: record.from,
            action: record.action.clone(),
            target: record.target.clone(),
        },
    );
    Out(page)
}
