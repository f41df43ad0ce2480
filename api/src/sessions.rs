//! `/api/user/sessions`: the browsers that you are logged in with.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use temps_state::{Command, Session, SessionId, State as Agreed};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::Caller;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};

/// A browser that is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionOut {
    /// The session's id.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it logged in.
    pub created_at: Timestamp,
    /// When it has to log in again.
    pub expires_at: Timestamp,
}

/// Lists your sessions, oldest first.
#[utoipa::path(
    get, path = "/api/user/sessions", tag = "session",
    responses((status = 200, body = Page<SessionOut>))
)]
pub(crate) async fn list(
    caller: Caller,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<SessionOut>> {
    let now = Timestamp::now();
    let own = state.sessions.values().filter(|one| is_own(&caller, one) && now < one.expires_at);
    let show = |session: &Session| SessionOut {
        id: session.id,
        current: caller.session == Some(session.id),
        created_at: session.created_at,
        expires_at: session.expires_at,
    };
    Out(paging.page(own, Order::Rising, |one| one.id.to_string(), show))
}

/// Ends one of your sessions: that browser has to log in again.
#[utoipa::path(
    delete, path = "/api/user/sessions/{id}", tag = "session", responses((status = 204))
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let session = id.parse().ok().and_then(|id: SessionId| state.sessions.get(&id));
        let session = session.filter(|session| is_own(&caller, session));
        let id = session.map(|one| one.id).ok_or_else(|| ApiError::not_found("session", &id))?;
        Ok((format!("sessions/{id}"), Command::CloseSession { id }))
    };
    deletion.of(&context, &caller, found).await
}

fn is_own(caller: &Caller, session: &Session) -> bool {
    session.user == caller.user.id
}
