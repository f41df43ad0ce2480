//! A shell or command in a replica, over a WebSocket.
//!
//! Binary frames carry octets after one that names the channel: 0 stdin, 1 stdout, 2 stderr. Text frames carry JSON:
//! the client sends `{"type":"resize","rows":…,"columns":…}` and `{"type":"eof"}`, the node ends with
//! `{"type":"exit","code":…}`.

mod listener;
mod shell;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use temps_scheduler::ExecRequest;
use temps_state::{Replica, State as Agreed};

use crate::auth::MayExec;
use crate::context::{Context, Shared};
use crate::relay::{is_elsewhere, send_on_until};
use crate::{ApiError, ids};

/// The longest frame taken from a client, in octets.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The longest command, in octets over all its words.
pub const COMMAND_BYTES_MAX: usize = 16 << 10;

/// Runs a command in a replica, over a WebSocket: `?command=sh&command=-c&command=ls&tty=true`.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/replicas/{r}/exec", tag = "replicas",
    params(
        ("command" = Vec<String>, Query, description = "The command's words; a shell when missing"),
        ("tty" = Option<bool>, Query, description = "Whether it gets a terminal")
    ),
    responses((status = 101, description = "The WebSocket is open"))
)]
pub(crate) async fn exec(
    State(context): State<Shared>,
    MayExec(caller): MayExec,
    Path(path): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    if caller.session.is_some() && is_foreign(&parts.headers) {
        return Err(ApiError::ForeignOrigin);
    }
    let Replica { id: replica, node, .. } = find(&context, path).await?;
    let follower = context.follow(Some(caller))?;
    if is_elsewhere(&context, &parts, node) {
        let request = Request::from_parts(parts, Body::empty());
        return send_on_until(follower.ended(), &context, node, request).await;
    }
    let asked = exec_request(parts.uri.query().unwrap_or_default())?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &context)
        .await
        .map_err(|_| ApiError::invalid("Upgrade", "open this path as a WebSocket"))?;
    let program = asked.command[0].clone();
    let session = context.scheduler.exec(replica, asked).await?;
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| shell::run(socket, session, program, follower)))
}

/// The replica that a path names. One that this node does not know may have been placed a moment ago, so it looks again once
/// it has caught up; what it knows can be entered without a quorum.
async fn find(
    context: &Context,
    (p, e, replica): (String, String, String),
) -> Result<Replica, ApiError> {
    let place = (p, e);
    let find = |state: &Agreed| {
        let (_, environment) = ids::place(state, &place)?;
        ids::replica(state, environment, &replica).cloned()
    };
    match find(&context.cluster.state()) {
        Err(ApiError::NotFound { .. }) => find(&*context.cluster.read_latest().await?),
        found => found,
    }
}

/// Browsers send cookies with WebSockets of any page, so only this node's own pages may open one with a session. They
/// name their origin with every WebSocket, but not where a page asks in the plain way why one was refused; for such a
/// request nothing runs.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !headers.contains_key(header::ORIGIN) {
        return headers.contains_key(header::UPGRADE);
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_none_or(|(_, host)| Some(host) != text(header::HOST))
}

fn exec_request(query: &str) -> Result<ExecRequest, ApiError> {
    let mut asked = ExecRequest { command: Vec::new(), tty: false };
    for (name, value) in pairs(query) {
        match (name.as_str(), value.as_str()) {
            ("command", _) => asked.command.push(value),
            ("tty", "true" | "1" | "") => asked.tty = true,
            ("tty", "false" | "0") => asked.tty = false,
            ("tty", _) => return Err(ApiError::invalid("tty", "use `true` or `false`")),
            _ => {}
        }
    }
    if asked.command.is_empty() {
        asked.command.push("/bin/sh".into());
    }
    match asked.command.iter().map(String::len).sum::<usize>() > COMMAND_BYTES_MAX {
        true => Err(ApiError::invalid("command", "this command is too long")),
        false => Ok(asked),
    }
}

/// The decoded pairs of a query, in their order, repeated names and all.
fn pairs(query: &str) -> Vec<(String, String)> {
    let uri = format!("/?{query}").parse::<axum::http::Uri>();
    let pairs = uri
        .ok()
        .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    pairs.map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_pages_of_the_same_origin_open_a_websocket() {
        let foreign = |fields: &[(header::HeaderName, &'static str)]| {
            let fields = [(header::HOST, "n1:3000")].iter().chain(fields).cloned();
            is_foreign(
                &fields.map(|(name, value)| (name, HeaderValue::from_static(value))).collect(),
            )
        };
        let opens = (header::UPGRADE, "websocket");
        let from = |origin| (header::ORIGIN, origin);
        assert!(!foreign(&[opens.clone(), from("http://n1:3000")]));
        for origin in ["http://n2:3000", "http://n1", "http://n1:3000.evil.example", "null", ""] {
            assert!(foreign(&[opens.clone(), from(origin)]), "{origin}");
            assert!(foreign(&[from(origin)]), "{origin}");
        }
        assert!(foreign(&[opens]));
        assert!(!foreign(&[]));
    }

    #[test]
    fn commands_are_read_word_by_word() {
        let read = |query| exec_request(query).map(|asked| (asked.command, asked.tty)).ok();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            read("command=sh&command=-c&command=echo%20a%26b&tty=true"),
            Some((words(&["sh", "-c", "echo a&b"]), true))
        );
        assert_eq!(read(""), Some((words(&["/bin/sh"]), false)));
        assert_eq!(read("tty=maybe"), None);
    }
}
