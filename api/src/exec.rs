//! A shell or command in a replica, over a WebSocket.
//!
//! Binary frames carry octets after one that names the channel: 0 stdin, 1 stdout, 2 stderr. Text frames carry JSON:
//! the client sends `{"type":"resize","rows":…,"columns":…}` and `{"type":"eof"}`, the node ends with
//! `{"type":"exit","code":…}`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use temps_scheduler::{ExecOutput, ExecRequest, ExecSession};
use temps_state::Replica;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::auth::MayExec;
use crate::context::Shared;
use crate::relay::{is_elsewhere, send_on};
use crate::{ApiError, ids};

/// The longest frame taken from a client, in octets.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The longest command, in octets over all its words.
pub const COMMAND_BYTES_MAX: usize = 16 << 10;
/// How long a client may take to answer the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What the engine's words begin with when it cannot run a command.
const ENGINE_REFUSAL: &str = "OCI runtime exec failed: ";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// What a client may say beside its input.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    Resize { rows: u16, columns: u16 },
    Eof,
}

/// How the command ended.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tell {
    Exit { code: Option<i64> },
}

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
    Path((p, e, r)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    if caller.session.is_some() && !is_same_origin(&parts.headers) {
        return Err(ApiError::ForeignOrigin);
    }
    let state = context.cluster.state();
    let (_, environment) = ids::place(&state, &(p, e))?;
    let Replica { id: replica, node, .. } = *ids::replica(&state, environment, &r)?;
    if is_elsewhere(&context, &parts, node) {
        return send_on(&context, node, Request::from_parts(parts, Body::empty())).await;
    }
    let asked = exec_request(parts.uri.query().unwrap_or_default())?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &context)
        .await
        .map_err(|_| ApiError::invalid("Upgrade", "open this path as a WebSocket"))?;
    let slot = context.stream_slot()?;
    let program = asked.command[0].clone();
    let session = context.scheduler.exec(replica, asked).await?;
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| run(socket, session, program, slot)))
}

/// Browsers send cookies with WebSockets of any page, so only this node's own pages may open one with a session.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, host)| Some(host) == text(header::HOST))
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

/// Carries octets both ways until the command ends or the client goes.
async fn run(
    mut socket: WebSocket,
    mut session: ExecSession,
    program: String,
    slot: OwnedSemaphorePermit,
) {
    let mut began = false;
    // The session's own end goes, so that dropping this one ends the command's input.
    let mut input = Some(std::mem::replace(&mut session.input, mpsc::channel(1).0));
    loop {
        tokio::select! {
            output = session.output.next() => {
                let Some(mut output) = output else { break };
                if !std::mem::replace(&mut began, true) && let Some(why) = not_run(&output, &program) {
                    output = ExecOutput::Stderr(why.into());
                }
                if socket.send(Message::Binary(framed(output))).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                if !take(message, &mut session, &mut input).await {
                    return;
                }
            }
        }
    }
    let end = Tell::Exit { code: session.exit_code().await };
    let text = serde_json::to_string(&end).unwrap_or_default();
    // The client may be gone already; nobody else wants to know.
    let _ = socket.send(Message::Text(text.into())).await;
    let _ = socket.send(Message::Close(None)).await;
    // Input that nobody read would reset the connection, and with it the exit code on its way.
    let _ = timeout(CLOSE_WITHIN, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    drop(slot);
}

/// Takes one message; `false` when it was the last.
async fn take(
    message: Message,
    session: &mut ExecSession,
    input: &mut Option<mpsc::Sender<Bytes>>,
) -> bool {
    match message {
        Message::Binary(octets) if octets.first() == Some(&STDIN) => {
            if let Some(input) = input {
                // A command that reads no more is no error: its output goes on.
                let _ = input.send(octets.slice(1..)).await;
            }
            true
        }
        Message::Text(text) => {
            match serde_json::from_str(&text) {
                Ok(Told::Resize { rows, columns }) => session.resize(rows, columns).await,
                Ok(Told::Eof) => *input = None,
                Err(_) => return false,
            }
            true
        }
        Message::Close(_) => false,
        _ => true,
    }
}

/// Why a program cannot be run, where the engine says so in its own words instead of the program's output.
fn not_run(output: &ExecOutput, program: &str) -> Option<String> {
    let (ExecOutput::Stdout(octets) | ExecOutput::Stderr(octets)) = output;
    let text = std::str::from_utf8(octets).ok()?.strip_prefix(ENGINE_REFUSAL)?;
    let says = |part: &str| text.contains(part);
    if says("executable file not found") || says("no such file or directory") {
        Some(format!("no such program in the container: {program}\r\n"))
    } else if says("permission denied") {
        Some(format!("not a program that may be run in the container: {program}\r\n"))
    } else {
        None
    }
}

fn framed(output: ExecOutput) -> Bytes {
    let (channel, octets) = match output {
        ExecOutput::Stdout(octets) => (STDOUT, octets),
        ExecOutput::Stderr(octets) => (STDERR, octets),
    };
    let mut frame = BytesMut::with_capacity(octets.len() + 1);
    frame.put_u8(channel);
    frame.put(octets);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let said = |text: &'static str| not_run(&ExecOutput::Stdout(text.into()), "lls");
        let missing = r#"OCI runtime exec failed: exec failed: unable to start container process: exec: "lls": executable file not found in $PATH: unknown"#;
        assert_eq!(said(missing).unwrap(), "no such program in the container: lls\r\n");
        let denied = "OCI runtime exec failed: exec failed: exec: \"/etc\": permission denied";
        assert!(said(denied).unwrap().contains("may be run"));
        assert_eq!(said("OCI runtime exec failed: cannot exec in a stopped container"), None);
        assert_eq!(said("sh: executable file not found"), None);
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
