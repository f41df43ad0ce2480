//! What goes both ways between a client and the command it runs.

use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use temps_scheduler::{ExecOutput, ExecSession};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::listener::Listener;
use crate::follow::Follower;

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

/// What the command reads.
struct Input {
    /// `None` once it has ended.
    to: Option<mpsc::Sender<Bytes>>,
    /// What the command has no room for yet. Nothing more is heard of the client until it has.
    waiting: Option<Bytes>,
}

/// Carries octets both ways until the command ends, the client is gone or may not go on.
pub(super) async fn run(
    socket: WebSocket,
    mut session: ExecSession,
    program: String,
    follower: Follower,
) {
    let mut ended = pin!(follower.ended());
    let mut client = Listener::new(socket);
    let mut began = false;
    // The session's own end goes, so that dropping this one ends the command's input.
    let to = std::mem::replace(&mut session.input, mpsc::channel(1).0);
    let mut input = Input { to: Some(to), waiting: None };
    loop {
        let hears = input.waiting.is_none();
        tokio::select! {
            output = session.output.next() => {
                let Some(mut output) = output else { break };
                if !std::mem::replace(&mut began, true) && let Some(why) = not_run(&output, &program) {
                    output = ExecOutput::Stderr(why.into());
                }
                if client.tell(Message::Binary(framed(output))).await.is_none() {
                    return;
                }
            }
            () = input.pass_on(), if !hears => {}
            // The command's input ends with the session.
            () = &mut ended => return client.dismiss().await,
            message = client.next(hears) => {
                let Some(message) = message else { return };
                if !take(message, &mut session, &mut input).await {
                    return;
                }
            }
        }
    }
    let end = Tell::Exit { code: session.exit_code().await };
    let text = serde_json::to_string(&end).unwrap_or_default();
    // The client may be gone already; nobody else wants to know.
    let _ = client.tell(Message::Text(text.into())).await;
    let _ = client.tell(Message::Close(None)).await;
    // Input that nobody read would reset the connection, and with it the exit code on its way.
    let _ = timeout(CLOSE_WITHIN, async { while client.next(true).await.is_some() {} }).await;
}

impl Input {
    /// Done once the command has room for what waits.
    async fn pass_on(&mut self) {
        let Some(to) = &self.to else { return self.waiting = None };
        match to.reserve().await {
            Ok(room) => {
                if let Some(octets) = self.waiting.take() {
                    room.send(octets);
                }
            }
            // A command that reads no more is no error: its output goes on.
            Err(_) => self.waiting = None,
        }
    }
}

/// Takes one message; `false` when it was the last.
async fn take(message: Message, session: &mut ExecSession, input: &mut Input) -> bool {
    match message {
        Message::Binary(octets) if octets.first() == Some(&STDIN) => {
            input.waiting = Some(octets.slice(1..));
            true
        }
        Message::Text(text) => {
            match serde_json::from_str(&text) {
                Ok(Told::Resize { rows, columns }) => session.resize(rows, columns).await,
                Ok(Told::Eof) => input.to = None,
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

    #[tokio::test]
    async fn what_a_command_has_no_room_for_waits() {
        let (to, mut reads) = mpsc::channel(1);
        let mut input = Input { to: Some(to), waiting: Some("a".into()) };
        input.pass_on().await;
        input.waiting = Some("b".into());
        assert!(futures::poll!(std::pin::pin!(input.pass_on())).is_pending());
        assert_eq!(input.waiting.as_deref(), Some(&b"b"[..]), "it is not lost");
        assert_eq!(reads.recv().await.unwrap(), "a");
        input.pass_on().await;
        assert_eq!((reads.recv().await.unwrap(), &input.waiting), ("b".into(), &None));
        drop(reads);
        input.waiting = Some("c".into());
        input.pass_on().await;
        assert_eq!(input.waiting, None, "nobody will read it");
    }
}
