//! Deleting: on the condition that the client names, and once for an `Idempotency-Key`, however often it is sent. A name
//! may mean something else by then.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use temps_state::{Command, State};

use crate::ApiError;
use crate::auth::Caller;
use crate::conditions::IfMatch;
use crate::context::{Context, Shared};

/// How a request to delete something wants it done.
pub(crate) struct Deletion {
    if_match: IfMatch,
}

impl Deletion {
    /// Deletes what is found in the newest state: the key of its row, and the command.
    pub async fn of(
        self,
        context: &Context,
        caller: &Caller,
        find: impl FnOnce(&State) -> Result<(String, Command), ApiError>,
    ) -> Result<StatusCode, ApiError> {
        let state = context.cluster.read_latest().await?;
        if caller.was_answered(&state) {
            return Ok(StatusCode::NO_CONTENT);
        }
        let (row, command) = find(&state)?;
        let mut proposal = caller.asks(command);
        proposal.condition = self.if_match.on(row);
        context.change(proposal).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

impl FromRequestParts<Shared> for Deletion {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        Ok(Self { if_match: IfMatch::from_request_parts(parts, context).await? })
    }
}
