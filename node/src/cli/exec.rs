//! `temps exec`: a command in a replica, its streams and its exit code, over a WebSocket.

use std::io::{IsTerminal, Write};

use futures::{SinkExt, StreamExt};
use reqwest::Upgraded;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::context::{Context, TargetArgs};
use crate::client::Client;
use crate::error::CliError;
use crate::terminal::{self, RawMode};
use crate::view::{self, Replica};

/// The first octet of a frame with standard input, output and error.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How many octets of input one frame carries at most.
const FRAME_BYTES: usize = 16 << 10;
/// How many frames of input may wait for the network.
const FRAMES_WAITING_MAX: usize = 16;

#[derive(clap::Args)]
#[command(
    after_help = "With --json, what the command prints comes as lines {\"stream\", \"text\"}, and last {\"exit_code\"}.\n\nExamples:\n  temps exec -- ls -l\n  temps exec -it -- sh\n  cat dump.sql | temps exec -i -- psql"
)]
pub struct Args {
    /// Send standard input to the command.
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal.
    #[arg(short, long)]
    tty: bool,
    /// The replica; a healthy one when none is named.
    #[arg(long, value_name = "ID")]
    replica: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command and gives its exit code.
pub async fn run(context: &Context, args: Args) -> Result<u8, CliError> {
    if args.tty && !std::io::stdin().is_terminal() {
        return Err(CliError::usage(
            "there is no terminal to give to the command",
            "-t was given, and standard input is not a terminal",
            "the same command without -t",
        ));
    }
    let client = context.client()?;
    let replica = match &args.replica {
        Some(replica) => replica.clone(),
        None => serving_replica(&client, &args.target).await?,
    };
    let (socket, url) = connect(&client, &args, &replica).await?;
    let raw = args.tty.then(RawMode::enter).transpose()?;
    let code = Session { socket, url, json: context.output.json }
        .run(args.interactive || args.tty, args.tty)
        .await;
    drop(raw);
    code
}

async fn serving_replica(client: &Client, target: &TargetArgs) -> Result<String, CliError> {
    let value = client.get(&target.path(&["replicas"])?).await?.value;
    let replicas: Vec<Replica> = view::items(&value)?;
    let label = target.label()?;
    replicas.into_iter().find(Replica::serves).map(|replica| replica.id).ok_or_else(|| {
        CliError::blocked(
            format!("{label} has no replica to run a command in"),
            "none of its replicas is healthy, or the edge serves it as static files",
            "temps environments list, or name one with --replica",
        )
    })
}

async fn connect(
    client: &Client,
    args: &Args,
    replica: &str,
) -> Result<(WebSocketStream<Upgraded>, String), CliError> {
    let mut query: Vec<(&str, String)> =
        args.command.iter().map(|word| ("command", word.clone())).collect();
    query.push(("tty", args.tty.to_string()));
    let path = args.target.path(&["replicas", replica, "exec"])?;
    let upgraded = client.upgrade(&path, &query, handshake()).await?;
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    Ok((socket, client.url().into()))
}

/// The headers that ask for a WebSocket (RFC 6455 §4.1).
fn handshake() -> HeaderMap {
    let key = generate_key().parse().expect("base64 fits a header");
    let mut headers = HeaderMap::new();
    headers.insert("connection", "Upgrade".parse().expect("a constant"));
    headers.insert("upgrade", "websocket".parse().expect("a constant"));
    headers.insert("sec-websocket-version", "13".parse().expect("a constant"));
    headers.insert("sec-websocket-key", key);
    headers
}

struct Session {
    socket: WebSocketStream<Upgraded>,
    url: String,
    json: bool,
}

impl Session {
    async fn run(self, with_input: bool, tty: bool) -> Result<u8, CliError> {
        let Self { socket, url, json } = self;
        let (mut sink, mut frames) = socket.split();
        let (input, mut typed) = mpsc::channel(FRAMES_WAITING_MAX);
        let reader = tokio::spawn(read_input(input.clone(), with_input));
        let sizes = tty.then(|| tokio::spawn(read_sizes(input.clone())));
        drop(input);
        let mut writes = true;
        let code = loop {
            tokio::select! {
                // A command that has ended takes no more input; its exit code is on its way.
                Some(message) = typed.recv(), if writes => writes = sink.send(message).await.is_ok(),
                frame = frames.next() => match frame {
                    Some(Ok(frame)) => if let Some(code) = received(&frame, json)? { break Ok(code) },
                    Some(Err(error)) => break Err(broke(&url, &error.to_string())),
                    None => break Err(broke(&url, "it closed before the exit code came")),
                },
            }
        };
        reader.abort();
        sizes.inspect(|task| task.abort());
        code
    }
}

fn broke(url: &str, why: &str) -> CliError {
    CliError::StreamBroke { url: url.into(), why: why.into() }
}

/// Standard input as frames, until its end, which is at once where the command gets none.
async fn read_input(frames: mpsc::Sender<Message>, with_input: bool) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; FRAME_BYTES];
    while with_input && let Ok(octets @ 1..) = stdin.read(&mut buffer).await {
        let frame = [&[STDIN], &buffer[..octets]].concat();
        if frames.send(Message::binary(frame)).await.is_err() {
            return;
        }
    }
    // The session is over when nobody takes it.
    let _ = frames.send(Message::text(json!({"type": "eof"}).to_string())).await;
}

/// The terminal's size, now and whenever it changes.
async fn read_sizes(frames: mpsc::Sender<Message>) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    while let Some((rows, columns)) = terminal::size() {
        let size = json!({"type": "resize", "rows": rows, "columns": columns});
        if frames.send(Message::text(size.to_string())).await.is_err() {
            return;
        }
        changes.recv().await;
    }
}

/// Prints what came; the exit code when it was that.
fn received(frame: &Message, json: bool) -> Result<Option<u8>, CliError> {
    match frame {
        Message::Binary(octets) => print(octets, json).map(|()| None),
        Message::Text(text) => {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let code = (value["type"] == "exit").then(|| exit_code(&value["code"]));
            if let Some(code) = code.filter(|_| json) {
                put(std::io::stdout().lock(), line(json!({ "exit_code": code })).as_bytes())?;
            }
            Ok(code)
        }
        _ => Ok(None),
    }
}

fn line(value: Value) -> String {
    format!("{value}\n")
}

/// Exit codes are octets; a code that is missing or too large counts as a failure.
fn exit_code(code: &Value) -> u8 {
    code.as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn print(octets: &[u8], json: bool) -> Result<(), CliError> {
    let Some((stream, octets)) = octets.split_first() else { return Ok(()) };
    match (*stream, json) {
        (STDOUT, false) => put(std::io::stdout().lock(), octets),
        (STDERR, false) => put(std::io::stderr().lock(), octets),
        (STDOUT | STDERR, true) => {
            let stream = if *stream == STDOUT { "stdout" } else { "stderr" };
            let text = String::from_utf8_lossy(octets);
            let shown = line(json!({ "stream": stream, "text": text }));
            put(std::io::stdout().lock(), shown.as_bytes())
        }
        _ => Ok(()),
    }
}

fn put(to: impl Write, octets: &[u8]) -> Result<(), CliError> {
    write(to, octets).map_err(|source| match source.kind() {
        std::io::ErrorKind::BrokenPipe => CliError::OutputClosed,
        _ => CliError::Terminal { act: "write what the command printed", source },
    })
}

fn write(mut to: impl Write, octets: &[u8]) -> std::io::Result<()> {
    to.write_all(octets)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_frame_ends_the_session_with_its_code() {
        let text = |text: &str| received(&Message::text(text), false).unwrap();
        assert_eq!(text(r#"{"type":"exit","code":7}"#), Some(7));
        assert_eq!(text(r#"{"type":"exit","code":null}"#), Some(1));
        assert_eq!(text(r#"{"type":"exit","code":300}"#), Some(1));
        assert_eq!(text(r#"{"type":"other"}"#), None);
        assert_eq!(text("nonsense"), None);
    }
}
