//! `/api/nodes/tokens`: what lets new machines in.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_raft::TrustError;
use temps_state::{Command, JoinToken, JoinTokenId, State as Agreed};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayAdmin;
use crate::body::Json;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};
use crate::secrets::octets_for;

/// How long a token is valid when nobody says.
const TTL_SECONDS_DEFAULT: u64 = 3_600;
/// The shortest and the longest time that a token is valid.
const TTL_SECONDS_MIN: u64 = 10;
const TTL_SECONDS_MAX: u64 = 30 * 24 * 3_600;
/// The most nodes that join with one token.
const USES_MAX: u32 = 1_000;

/// A join token to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JoinTokenRequest)]
pub struct JoinTokenIn {
    /// How many seconds it shall be valid; an hour when missing.
    pub ttl_seconds: Option<u64>,
    /// How many nodes may join with it; one when missing.
    pub uses: Option<u32>,
}

/// A join token; the token itself is shown only when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JoinToken)]
pub struct JoinTokenOut {
    /// The token's id.
    #[schema(value_type = String)]
    pub id: JoinTokenId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// How many nodes may still join with it.
    pub uses: u32,
}

/// A join token that was made.
#[derive(Serialize, ToSchema)]
pub struct NewJoinToken {
    /// The token: `tj_…`. Nobody can show it again.
    pub token: String,
    /// The line to run on the new machine.
    pub command: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub join_token: JoinTokenOut,
}

impl From<&JoinToken> for JoinTokenOut {
    fn from(token: &JoinToken) -> Self {
        let JoinToken { id, created_at, expires_at, uses_left, .. } = *token;
        Self { id, created_at, expires_at, uses: uses_left }
    }
}

/// Makes a join token. A retry with the same `Idempotency-Key` makes no other one, and shows the same, as long as that is
/// there.
#[utoipa::path(
    post, path = "/api/nodes/tokens", tag = "cluster",
    request_body = JoinTokenIn, responses((status = 201, body = NewJoinToken))
)]
pub(crate) async fn create_token(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Json(JoinTokenIn { ttl_seconds, uses }): Json<JoinTokenIn>,
) -> Result<(StatusCode, Out<NewJoinToken>), ApiError> {
    let ttl = ttl_seconds.unwrap_or(TTL_SECONDS_DEFAULT);
    if !(TTL_SECONDS_MIN..=TTL_SECONDS_MAX).contains(&ttl) {
        let why = format!("use {TTL_SECONDS_MIN} to {TTL_SECONDS_MAX} seconds");
        return Err(ApiError::invalid("ttl_seconds", why));
    }
    let uses = uses.unwrap_or(1);
    if !(1..=USES_MAX).contains(&uses) {
        return Err(ApiError::invalid("uses", format!("use a number from 1 to {USES_MAX}")));
    }
    let peer = peer_address(&context).ok_or(TrustError::NoAuthority)?;
    let seed = octets_for(&context.cluster, caller.request().as_deref(), "join-token");
    let (kept, token) = context.cluster.token_of(seed, Duration::from_secs(ttl), uses)?;
    let key = kept.key.clone();
    let proposal = caller.asks(Command::CreateJoinToken { token: kept });
    let (_, state) = context.change(proposal).await?;
    // That of a retry was not taken: the first one has the same key.
    let join_token = state.join_token(&key).map(JoinTokenOut::from).ok_or_else(gone_since)?;
    let command = format!("temps join {peer} --token {token}");
    Ok((StatusCode::CREATED, Out(NewJoinToken { token, command, join_token })))
}

/// What a retry hears when the token that the first request made is there no more.
fn gone_since() -> ApiError {
    ApiError::Conflict {
        code: "token_gone",
        why: "a request with this Idempotency-Key has made a join token, which was deleted or has ended since".into(),
        hint: "make another one, under another key: temps nodes token",
    }
}

/// Where a new machine reaches this node: as other nodes do, if they can; else as this node guesses.
fn peer_address(context: &Context) -> Option<SocketAddr> {
    let state = context.cluster.state();
    let known = state.nodes.get(&context.cluster.node_id()).and_then(|node| node.address);
    let is_far = |at: &SocketAddr| !at.ip().is_loopback() && !at.ip().is_unspecified();
    known.filter(is_far).or(context.config.peer_address).or(known)
}

/// Lists the join tokens, also those that are used up or expired of late.
#[utoipa::path(
    get, path = "/api/nodes/tokens", tag = "cluster", responses((status = 200, body = Page<JoinTokenOut>))
)]
pub(crate) async fn list_tokens(
    MayAdmin(_): MayAdmin,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<JoinTokenOut>> {
    let tokens = state.join_tokens.values();
    Out(paging.page(tokens, Order::Rising, |token| token.id.to_string(), JoinTokenOut::from))
}

/// Deletes a join token: nobody joins with it any more.
#[utoipa::path(delete, path = "/api/nodes/tokens/{id}", tag = "cluster", responses((status = 204)))]
pub(crate) async fn delete_token(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let id: JoinTokenId = id.parse().map_err(|_| ApiError::not_found("join token", &id))?;
    let found = |_: &Agreed| Ok((format!("join_tokens/{id}"), Command::DeleteJoinToken { id }));
    deletion.of(&context, &caller, found).await
}
