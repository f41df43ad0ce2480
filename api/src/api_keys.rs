//! `/api/api-keys`: keys of programs.

use std::collections::BTreeSet;

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use temps_raft::fresh_id;
use temps_state::{ApiKey, ApiKeyId, Command, Permission, Reply, State as Agreed, UserId};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::{Caller, MayRead};
use crate::body::Json;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};
use crate::secrets::{API_KEY_PREFIX, fresh_for, sha256_hex};

/// The longest name of a key, in characters.
pub const KEY_NAME_CHARS_MAX: usize = 100;
/// How many characters of a key are kept to tell keys apart.
const SHOWN_CHARS: usize = 8;
/// The longest life of a key in days that is given as a number of days.
const DAYS_MAX: u32 = 36_500;

/// An API key; the key itself is shown only when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyOut {
    /// The key's id.
    #[schema(value_type = String)]
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it permits; whatever its user's role does when empty.
    pub permissions: Vec<&'static str>,
    /// Whose it is.
    #[schema(value_type = String)]
    pub user: UserId,
    /// The e-mail address of that user.
    pub user_email: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub struct NewApiKey {
    /// The key: `tk_…`. Nobody can show it again.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub api_key: ApiKeyOut,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRequest)]
pub struct ApiKeyIn {
    /// What people shall call it.
    pub name: String,
    /// What it shall permit: `read`, `deploy`, `write`, `exec`, `admin`; whatever you may when not given.
    #[schema(value_type = Option<Vec<String>>)]
    pub permissions: Option<BTreeSet<Permission>>,
    /// When it shall stop working.
    pub expires_at: Option<Timestamp>,
    /// After how many days it shall stop working.
    pub expires_in_days: Option<u32>,
}

/// A permission and what it is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permission)]
pub struct PermissionOut {
    /// Its name.
    pub name: &'static str,
    /// What it permits.
    pub description: &'static str,
}

impl ApiKeyOut {
    fn of(state: &Agreed, key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            permissions: permitted(state, key),
            user: key.user,
            user_email: state.users.get(&key.user).map(|user| user.email.clone()),
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}

/// Lists your API keys; an admin sees everybody's.
#[utoipa::path(get, path = "/api/api-keys", tag = "api-keys", responses((status = 200, body = Page<ApiKeyOut>)))]
pub(crate) async fn list(
    MayRead(caller): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<ApiKeyOut>> {
    let keys = state.api_keys.values().filter(|key| manages(&caller, key));
    let show = |key: &ApiKey| ApiKeyOut::of(&state, key);
    Out(paging.page(keys, Order::Rising, |key| key.id.to_string(), show))
}

/// Makes an API key that permits no more than you may yourself.
#[utoipa::path(
    post, path = "/api/api-keys", tag = "api-keys",
    request_body = ApiKeyIn, responses((status = 201, body = NewApiKey))
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Json(body): Json<ApiKeyIn>,
) -> Result<(StatusCode, Out<NewApiKey>), ApiError> {
    let request = caller.request();
    let secret = fresh_for(&context.cluster, request.as_deref(), "api-key");
    let secret = format!("{API_KEY_PREFIX}{secret}");
    let now = Timestamp::now();
    let key = ApiKey {
        id: fresh_id(),
        user: caller.user.id,
        name: checked_name(body.name)?,
        hash: sha256_hex(secret.as_bytes()),
        prefix: secret.chars().take(SHOWN_CHARS).collect(),
        permissions: granted(&caller, body.permissions)?,
        created_at: now,
        expires_at: expiry(now, body.expires_at, body.expires_in_days)?,
    };
    let proposal = caller.asks(Command::CreateApiKey { key });
    let (Reply::ApiKey { id }, state) = context.change(proposal).await? else {
        return Err(ApiError::UnexpectedReply);
    };
    let key = state.api_keys.get(&id).ok_or_else(|| ApiError::not_found("api key", id))?;
    let out = NewApiKey { key: secret, api_key: ApiKeyOut::of(&state, key) };
    Ok((StatusCode::CREATED, Out(out)))
}

/// Deletes an API key: it stops working at once.
#[utoipa::path(delete, path = "/api/api-keys/{id}", tag = "api-keys", responses((status = 204)))]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(id): Path<String>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let key = id.parse().ok().and_then(|id: ApiKeyId| state.api_keys.get(&id));
        let key = key.filter(|key| manages(&caller, key));
        let id = key.map(|key| key.id).ok_or_else(|| ApiError::not_found("api key", &id))?;
        Ok((format!("api_keys/{id}"), Command::DeleteApiKey { id }))
    };
    deletion.of(&context, &caller, found).await
}

/// The permissions that keys can have.
#[utoipa::path(
    get, path = "/api/api-keys/permissions", tag = "api-keys",
    responses((status = 200, body = Vec<PermissionOut>))
)]
pub(crate) async fn permissions(MayRead(_): MayRead) -> Out<Vec<PermissionOut>> {
    let described = |permission: Permission| PermissionOut {
        name: permission.name(),
        description: match permission {
            Permission::Read => "see projects, environments, deployments, logs and the cluster",
            Permission::Deploy => "create, cancel and roll back deployments",
            Permission::Write => {
                "create, change and delete projects, environments, variables, domains and certificates"
            }
            Permission::Exec => "run commands in replicas",
            Permission::Admin => "manage users, nodes and settings; read the audit log",
        },
    };
    Out(Permission::ALL.into_iter().map(described).collect())
}

fn manages(caller: &Caller, key: &ApiKey) -> bool {
    key.user == caller.user.id || caller.permissions.contains(&Permission::Admin)
}

fn checked_name(name: String) -> Result<String, ApiError> {
    let why = format!("give it a name of 1 to {KEY_NAME_CHARS_MAX} characters");
    match (1..=KEY_NAME_CHARS_MAX).contains(&name.trim().chars().count()) {
        true => Ok(name.trim().into()),
        false => Err(ApiError::invalid("name", why)),
    }
}

/// What a key permits: what it was limited to, or else whatever its user may.
fn permitted(state: &Agreed, key: &ApiKey) -> Vec<&'static str> {
    let role = state.users.get(&key.user).map(|user| user.role);
    let own = |p: &Permission| match key.permissions.is_empty() {
        true => role.is_some_and(|role| role.permits(*p)),
        false => key.permissions.contains(p),
    };
    Permission::ALL.into_iter().filter(own).map(Permission::name).collect()
}

/// What a new key may permit. A key that is limited cannot make one that is not.
fn granted(
    caller: &Caller,
    wanted: Option<BTreeSet<Permission>>,
) -> Result<BTreeSet<Permission>, ApiError> {
    if wanted.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(ApiError::invalid("permissions", "name at least one, or leave it out"));
    }
    let wanted = wanted.unwrap_or_default();
    if let Some(permission) = wanted.difference(&caller.permissions).next() {
        return Err(ApiError::Escalation { permission: *permission });
    }
    let limited = Permission::ALL
        .iter()
        .any(|p| caller.user.role.permits(*p) && !caller.permissions.contains(p));
    Ok(if wanted.is_empty() && limited { caller.permissions.clone() } else { wanted })
}

fn expiry(
    now: Timestamp,
    at: Option<Timestamp>,
    days: Option<u32>,
) -> Result<Option<Timestamp>, ApiError> {
    match (at, days) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "expires_in_days",
            "give either `expires_at` or `expires_in_days`",
        )),
        (Some(at), None) if at <= now => {
            Err(ApiError::invalid("expires_at", "give a time to come"))
        }
        (at, None) => Ok(at),
        (None, Some(days)) if (1..=DAYS_MAX).contains(&days) => {
            Ok(Some(now + SignedDuration::from_hours(24 * i64::from(days))))
        }
        (None, Some(_)) => {
            Err(ApiError::invalid("expires_in_days", format!("use a number from 1 to {DAYS_MAX}")))
        }
    }
}
