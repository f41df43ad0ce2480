//! Who asks: the caller behind a request, and what they may do.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use temps_raft::Proposal;
use temps_state::{Actor, Command, Condition, Permission, SessionId, State, User};

use crate::context::{Context, Shared};
use crate::idempotency::IdempotencyKey;
use crate::relay::Relayed;
use crate::secrets::{csrf_token, same, sha256_hex};
use crate::{ApiError, users};

/// The cookie that carries a browser's session.
pub const SESSION_COOKIE: &str = "session";
/// The header that proves that a browser's change was meant.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The header in which this node's edge, or another node, tells the client's address.
pub(crate) const CLIENT_IP_HEADER: &str = "x-client-ip";

/// Somebody who was recognised.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As whom they act.
    pub actor: Actor,
    /// The user they are, or whose key they use.
    pub user: User,
    /// What they may do.
    pub permissions: BTreeSet<Permission>,
    /// From which address they come.
    pub from: Option<IpAddr>,
    /// Their session, when they came with a cookie.
    pub session: Option<SessionId>,
    /// The key under which they may ask for the same again, which then takes effect once.
    pub key: Option<IdempotencyKey>,
}

impl Caller {
    /// Refuses what the caller may not do.
    pub fn may(&self, permission: Permission) -> Result<(), ApiError> {
        match self.permissions.contains(&permission) {
            true => Ok(()),
            false => Err(ApiError::Forbidden { needs: permission }),
        }
    }

    /// A proposal in the caller's name, which takes effect once for an idempotency key: one for a request, made when its
    /// body has been read.
    pub fn asks(&self, command: Command) -> Proposal {
        let (from, request) = (self.from, self.request());
        Proposal { from, request, ..Proposal::new(self.actor.clone(), command) }
    }

    /// Under which id the cluster remembers what it answers to this request, if the caller wants that.
    pub fn request(&self) -> Option<String> {
        self.key.as_ref().map(|key| key.id(self.user.id))
    }

    /// Whether the cluster has answered the same request before.
    pub fn was_answered(&self, state: &State) -> bool {
        self.request().is_some_and(|request| state.has_answered(&request))
    }

    fn with_key(context: &Context, key: &str, from: Option<IpAddr>) -> Option<Self> {
        let state = context.cluster.state();
        let (key, user) = context.credentials.api_key(&state, &sha256_hex(key.as_bytes()))?;
        let now = Timestamp::now();
        let permitted = |p: &Permission| key.permits(user.role, *p, now);
        if key.expires_at.is_some_and(|at| at <= now) {
            return None;
        }
        let actor = Actor::ApiKey { id: key.id, user: user.id };
        let permissions = Permission::ALL.into_iter().filter(permitted).collect();
        Some(Self { actor, user: user.clone(), permissions, from, session: None, key: None })
    }

    fn with_session(context: &Context, cookie: &str, from: Option<IpAddr>) -> Option<Self> {
        let state = context.cluster.state();
        let (session, user) =
            context.credentials.session(&state, &sha256_hex(cookie.as_bytes()))?;
        (Timestamp::now() < session.expires_at)
            .then(|| Self { session: Some(session.id), ..Self::as_user(user, from) })
    }

    /// The caller who proved to be a user.
    pub fn as_user(user: &User, from: Option<IpAddr>) -> Self {
        let permitted = |p: &Permission| user.role.permits(*p);
        Self {
            actor: Actor::User { id: user.id },
            user: user.clone(),
            permissions: Permission::ALL.into_iter().filter(permitted).collect(),
            from,
            session: None,
            key: None,
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let caller = recognised(parts, context).await?;
        Ok(Self { key: IdempotencyKey::of(parts, context)?, ..caller })
    }
}

/// The caller with an API key, or with a session's cookie.
async fn recognised(parts: &Parts, context: &Context) -> Result<Caller, ApiError> {
    let from = client_address(parts);
    if let Some(key) = bearer(&parts.headers) {
        return known(context, || Caller::with_key(context, key, from)).await;
    }
    let cookie = cookie(&parts.headers, SESSION_COOKIE).ok_or(ApiError::Unauthenticated)?;
    let caller = known(context, || Caller::with_session(context, cookie, from)).await?;
    if !parts.method.is_safe() {
        check_csrf(context, &caller, &parts.headers)?;
    }
    Ok(caller)
}

/// The caller that this node finds in its state. A key or session that it does not know may have been made on another
/// node a moment ago, so it looks again once it has caught up.
async fn known(context: &Context, find: impl Fn() -> Option<Caller>) -> Result<Caller, ApiError> {
    if let Some(caller) = find() {
        return Ok(caller);
    }
    context.cluster.read_latest().await?;
    find().ok_or(ApiError::Unauthenticated)
}

fn check_csrf(context: &Context, caller: &Caller, headers: &HeaderMap) -> Result<(), ApiError> {
    let wanted = caller.session.map(|session| csrf_token(context.cluster.key(), session));
    let given = headers.get(CSRF_HEADER).map(|value| value.as_bytes());
    match (wanted, given) {
        (Some(wanted), Some(given)) if same(wanted.as_bytes(), given) => Ok(()),
        _ => Err(ApiError::Csrf),
    }
}

/// Callers who may do one thing: the permission stands in the handler's signature and is checked before its body is read.
macro_rules! permitted {
    ($($(#[$doc:meta])* $name:ident = $permission:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name(pub Caller);

        impl FromRequestParts<Shared> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
                let caller = Caller::from_request_parts(parts, context).await?;
                caller.may(Permission::$permission)?;
                Ok(Self(caller))
            }
        }
    )*};
}

permitted! {
    /// A caller who may see.
    MayRead = Read;
    /// A caller who may deploy.
    MayDeploy = Deploy;
    /// A caller who may change projects.
    MayWrite = Write;
    /// A caller who may run commands in replicas.
    MayExec = Exec;
    /// A caller who may manage the cluster.
    MayAdmin = Admin;
}

/// A caller of the Git server: with HTTP Basic, as Git clients do, or with an API key.
pub(crate) struct GitCaller(pub Caller);

impl FromRequestParts<Shared> for GitCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let from = client_address(parts);
        if let Some(key) = bearer(&parts.headers) {
            return known(context, || Caller::with_key(context, key, from)).await.map(Self);
        }
        let (name, secret) = basic(&parts.headers).ok_or(ApiError::Unauthenticated)?;
        if let Some(caller) = Caller::with_key(context, &secret, from) {
            return Ok(Self(caller));
        }
        let LoggedIn { user, .. } = log_in(context, &name, &secret, from).await?;
        Ok(Self(Caller::as_user(&user, from)))
    }
}

/// A user who gave the right password, and how to tell that it is right still.
pub(crate) struct LoggedIn {
    pub user: User,
    pub unchanged: Condition,
}

/// The user with that e-mail address and password. Says nothing about which of them is wrong, not even by its time.
pub(crate) async fn log_in(
    context: &Context,
    email: &str,
    password: &str,
    from: Option<IpAddr>,
) -> Result<LoggedIn, ApiError> {
    let limited = context.logins.attempt(from, email, Instant::now());
    limited.map_err(|wait| ApiError::TooManyLogins { retry_after: wait.as_secs().max(1) })?;
    let known = context.cluster.state();
    let proven = match prove(context, &known, email, password).await? {
        Some(user) => Some(user),
        None => {
            // Another node may have made the user a moment ago, or taken another password; without a quorum nobody knows.
            let newest = context.cluster.read_latest().await?;
            let hash =
                |state: &State| state.user_by_email(email).map(|user| user.password_hash.clone());
            match hash(&newest) == hash(&known) {
                true => None,
                false => prove(context, &newest, email, password).await?,
            }
        }
    };
    let proven = proven.ok_or(ApiError::WrongLogin)?;
    context.logins.succeeded(from, email);
    Ok(proven)
}

/// The user of a state, if that is the password. Takes as long where there is none.
async fn prove(
    context: &Context,
    state: &State,
    email: &str,
    password: &str,
) -> Result<Option<LoggedIn>, ApiError> {
    let user = state.user_by_email(email).cloned();
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = context.passwords.verify(password.to_owned(), hash).await?;
    Ok(user.filter(|_| right).map(|user| {
        let row = users::row(user.id);
        let unchanged = Condition { tag: state.tag(&row).unwrap_or_default(), row };
        LoggedIn { user, unchanged }
    }))
}

/// Where the client is. What the edge of this node and other nodes tell about that is believed, what anybody else tells
/// is not.
pub(crate) fn client_address(parts: &Parts) -> Option<IpAddr> {
    let told =
        parts.headers.get(CLIENT_IP_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    if parts.extensions.get::<Relayed>().is_some() {
        return told;
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    Some(told.filter(|_| peer.is_loopback()).unwrap_or(peer))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let octets = STANDARD.decode(authorization(headers, "basic")?).ok()?;
    let text = String::from_utf8(octets).ok()?;
    text.split_once(':').map(|(name, secret)| (name.into(), secret.into()))
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (found, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// The value of a cookie (RFC 6265 §4.2.1).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn cookies_are_found_among_others() {
        let found = |text| cookie(&headers(header::COOKIE, text), "session").map(String::from);
        assert_eq!(found("a=b; session=xyz; c=d"), Some("xyz".into()));
        assert_eq!(found("xsession=1; c=d"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn basic_credentials_are_split_at_the_first_colon() {
        let found = |text| basic(&headers(header::AUTHORIZATION, text));
        assert_eq!(found("Basic YTpiOmM="), Some(("a".into(), "b:c".into())));
        assert_eq!(found("basic YTpi"), Some(("a".into(), "b".into())));
        assert_eq!(found("Basic !!"), None);
        assert_eq!(found("Bearer tk_x"), None);
    }
}
