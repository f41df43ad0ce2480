//! Commands that people run inside a replica.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::pin::Pin;
use std::time::Duration;
use temps_state::ReplicaId;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::SchedulerError;
use crate::container::Status;
use crate::runtime::Runtime;

/// How many pieces of input wait for a command that does not read.
pub const EXEC_INPUT_MAX: usize = 64;
/// How often the engine is asked for the code of a command whose output has ended.
const EXIT_CODE_TRIES: u32 = 50;
/// Between two such questions.
const EXIT_CODE_PAUSE: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The command and its arguments; no shell is added.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
}

/// A piece of a command's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    /// From its standard output, or its terminal.
    Stdout(Bytes),
    /// From its standard error.
    Stderr(Bytes),
}

/// A command that runs in a replica.
pub struct ExecSession {
    /// What it writes; ends when it does.
    pub output: BoxStream<'static, ExecOutput>,
    /// What it reads; dropping the sender ends its input.
    pub input: mpsc::Sender<Bytes>,
    docker: Docker,
    id: String,
}

impl ExecSession {
    /// Tells its terminal how large it is.
    pub async fn resize(&mut self, rows: u16, columns: u16) {
        let size = ResizeExecOptions { height: rows, width: columns };
        if let Err(error) = self.docker.resize_exec(&self.id, size).await {
            tracing::debug!(%error, "the terminal could not be resized");
        }
    }

    /// The command's code; ask when its output has ended. `None` when the engine cannot tell.
    pub async fn exit_code(&mut self) -> Option<i64> {
        for _ in 0..EXIT_CODE_TRIES {
            let state = self.docker.inspect_exec(&self.id).await.ok()?;
            if state.running == Some(false) {
                return state.exit_code;
            }
            sleep(EXIT_CODE_PAUSE).await;
        }
        None
    }
}

/// Starts a command in a replica's container.
pub async fn start(
    runtime: &Runtime,
    replica: ReplicaId,
    request: ExecRequest,
) -> Result<ExecSession, SchedulerError> {
    let container = runtime.container_of(replica).await?;
    if container.status != Status::Running {
        return Err(SchedulerError::NotRunning { replica });
    }
    let docker = runtime.docker().await?;
    let failed = |doing| SchedulerError::container(doing, replica.to_string());
    let created = docker.create_exec(&container.id, options(&request)).await;
    let id = created.map_err(failed("make a command for replica"))?.id;
    let how = StartExecOptions { tty: request.tty, ..Default::default() };
    let started = docker.start_exec(&id, Some(how)).await;
    match started.map_err(failed("run a command in replica"))? {
        StartExecResults::Detached => Err(SchedulerError::NotRunning { replica }),
        StartExecResults::Attached { output, input } => {
            let (sender, receiver) = mpsc::channel(EXEC_INPUT_MAX);
            tokio::spawn(feed(receiver, input));
            Ok(ExecSession { output: read(output), input: sender, docker, id })
        }
    }
}

fn options(request: &ExecRequest) -> CreateExecOptions<String> {
    CreateExecOptions {
        cmd: Some(request.command.clone()),
        tty: Some(request.tty),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    }
}

fn read(
    output: impl futures::Stream<Item = Result<LogOutput, DockerError>> + Send + 'static,
) -> BoxStream<'static, ExecOutput> {
    let piece = |output: Result<LogOutput, DockerError>| match output {
        Ok(LogOutput::StdErr { message }) => Some(ExecOutput::Stderr(message)),
        Ok(other) => Some(ExecOutput::Stdout(other.into_bytes())),
        Err(_) => None,
    };
    output
        .map(piece)
        .take_while(|piece| std::future::ready(piece.is_some()))
        .filter_map(std::future::ready)
        .boxed()
}

async fn feed(mut input: mpsc::Receiver<Bytes>, mut to: Pin<Box<dyn AsyncWrite + Send>>) {
    while let Some(bytes) = input.recv().await {
        let written = async { to.write_all(&bytes).await.and(to.flush().await) };
        if written.await.is_err() {
            return;
        }
    }
    let _closed = to.shutdown().await;
}
