//! Logging in and out, and who one is.

use std::net::IpAddr;

use axum::Json as Out;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use temps_raft::{Proposal, ProposeError, fresh_id};
use temps_state::{Actor, Command, Rejected, Session};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::{Caller, LoggedIn, SESSION_COOKIE, client_address, log_in};
use crate::body::Json;
use crate::context::Shared;
use crate::links::is_https;
use crate::secrets::{csrf_token, fresh, sha256_hex};
use crate::users::UserOut;

/// How long a browser session lasts.
pub const SESSION_HOURS: i64 = 7 * 24;

/// Who wants to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginIn {
    /// The e-mail address, in any case.
    pub email: String,
    /// The password.
    pub password: String,
}

/// Who logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginOut {
    /// The user.
    pub user: UserOut,
    /// What the header X-CSRF-Token must hold in changes made with the session's cookie.
    pub csrf_token: String,
}

/// Who asks, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeOut {
    /// The user.
    pub user: UserOut,
    /// What they, or the API key they use, may do.
    pub permissions: Vec<&'static str>,
    /// The session's CSRF token; null with an API key.
    pub csrf_token: Option<String>,
}

/// The address a request without caller comes from.
pub(crate) struct ClientAddress(pub Option<IpAddr>);

impl FromRequestParts<Shared> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        Ok(Self(client_address(parts)))
    }
}

/// Logs in with e-mail address and password; the answer sets the session's cookie.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "session", security(()),
    request_body = LoginIn, responses((status = 200, body = LoginOut))
)]
pub(crate) async fn login(
    State(context): State<Shared>,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    Json(LoginIn { email, password }): Json<LoginIn>,
) -> Result<Response, ApiError> {
    let (cookie, id) = (fresh(), fresh_id());
    let now = Timestamp::now();
    let open = |LoggedIn { user, unchanged }: &LoggedIn| {
        let session = Session {
            id,
            user: user.id,
            hash: sha256_hex(cookie.as_bytes()),
            created_at: now,
            expires_at: now + SignedDuration::from_hours(SESSION_HOURS),
        };
        let command = Command::OpenSession { session };
        let proposal = Proposal::new(Actor::User { id: user.id }, command);
        context.cluster.propose(Proposal { from, condition: Some(unchanged.clone()), ..proposal })
    };
    let mut logged_in = log_in(&context, &email, &password, from).await?;
    let mut opened = open(&logged_in).await;
    if let Err(ProposeError::Rejected(Rejected::Changed { .. })) = opened {
        // What this node knew of the user was old, the password perhaps, too.
        context.cluster.read_latest().await?;
        logged_in = log_in(&context, &email, &password, from).await?;
        opened = open(&logged_in).await;
    }
    opened?;
    let user = logged_in.user;
    let csrf_token = csrf_token(context.cluster.key(), id);
    let out = LoginOut { user: UserOut::of(&user), csrf_token };
    Ok(([set_cookie(&cookie, SESSION_HOURS * 3_600, is_https(&headers))?], Out(out))
        .into_response())
}

/// Ends the session and takes its cookie away.
#[utoipa::path(post, path = "/api/logout", tag = "session", responses((status = 204)))]
pub(crate) async fn logout(
    State(context): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(id) = caller.session {
        context.change(caller.asks(Command::CloseSession { id })).await?;
    }
    Ok((StatusCode::NO_CONTENT, [set_cookie("", 0, is_https(&headers))?]).into_response())
}

/// Who the caller is.
#[utoipa::path(get, path = "/api/user/me", tag = "session", responses((status = 200, body = MeOut)))]
pub(crate) async fn me(State(context): State<Shared>, caller: Caller) -> Out<MeOut> {
    Out(MeOut {
        user: UserOut::of(&caller.user),
        permissions: caller.permissions.iter().map(|p| p.name()).collect(),
        csrf_token: caller.session.map(|session| csrf_token(context.cluster.key(), session)),
    })
}

fn set_cookie(
    value: &str,
    seconds: i64,
    secure: bool,
) -> Result<(header::HeaderName, HeaderValue), ApiError> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    );
    let value = HeaderValue::from_str(&text).map_err(|_| ApiError::UnexpectedReply)?;
    Ok((header::SET_COOKIE, value))
}
