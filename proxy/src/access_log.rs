//! One log entry per request. Requests never wait for it.

use std::io::{self, Write};
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::access_line::{AccessLines, LineWriter};
use crate::connector::Place;
use crate::host::NAME_MAX;
use crate::recent::Recent;
use crate::route::Route;

/// How many entries may wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 4_096;
/// How long entries are gathered before they are written together: to wake a thread for each costs more than the entry.
const GATHER: Duration = Duration::from_millis(20);
/// How many octets of lines are written at once, unless one line has more.
const BATCH_BYTES: usize = 64 << 10;
/// What entries are logged as.
pub(crate) const TARGET: &str = "temps::access";
/// How much of a path is logged.
const PATH_BYTES_MAX: usize = 512;

/// What is logged of a request. No query strings: they carry tokens and addresses.
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) request_id: String,
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) version: http::Version,
    /// 0 when the client left before its answer.
    pub(crate) status: u16,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: usize,
    pub(crate) milliseconds: u64,
    pub(crate) client: IpAddr,
    pub(crate) https: bool,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) endpoint: Option<Place>,
    pub(crate) error: Option<String>,
}

enum Message {
    Entry(Box<Entry>),
    /// Tells when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// Hands entries to a thread that writes them.
#[derive(Clone)]
pub(crate) struct AccessLog {
    entries: mpsc::Sender<Message>,
    dropped: Counter,
    recent: Recent,
}

impl AccessLog {
    /// Starts the thread, which makes an event of each entry; it ends with the log.
    pub(crate) fn of_events(dropped: Counter) -> io::Result<Self> {
        Self::start(dropped, Events)
    }

    /// Starts one that writes lines, many at once, which costs a fraction of what events do.
    pub(crate) fn of_lines(
        dropped: Counter,
        form: AccessLines,
        out: Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        Self::start(dropped, Lines { writer: LineWriter::new(form), text: String::new(), out })
    }

    /// Starts a thread that writes entries, as many at once as were gathered, and keeps the latest.
    fn start(dropped: Counter, mut sink: impl Sink) -> io::Result<Self> {
        let (entries, mut waiting) = mpsc::channel::<Message>(WAITING_MAX);
        let recent = Recent::default();
        let keeper = recent.clone();
        thread::Builder::new().name("temps-access".into()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                if matches!(first, Message::Entry(_)) {
                    thread::sleep(GATHER);
                }
                let mut flushed = Vec::new();
                let more = iter::from_fn(|| waiting.try_recv().ok()).take(WAITING_MAX);
                for message in iter::once(first).chain(more) {
                    match message {
                        Message::Entry(entry) => {
                            sink.take(&entry);
                            keeper.keep(*entry);
                        }
                        Message::Flush(written) => flushed.push(written),
                    }
                }
                sink.end();
                for written in flushed {
                    let _ = written.send(());
                }
            }
        })?;
        Ok(Self { entries, dropped, recent })
    }

    /// The latest of what it was given.
    pub(crate) fn recent(&self) -> Recent {
        self.recent.clone()
    }

    /// Resolves once everything is written that was logged before.
    pub(crate) async fn flush(&self) {
        let (written, flushed) = oneshot::channel();
        if self.entries.send(Message::Flush(written)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// Logs an entry, or counts it as dropped when too many wait.
    pub(crate) fn log(&self, entry: Entry) {
        if self.entries.try_send(Message::Entry(Box::new(entry))).is_err() {
            self.dropped.inc();
        }
    }
}

/// Where entries are written.
trait Sink: Send + 'static {
    fn take(&mut self, entry: &Entry);

    /// All that were gathered have been taken.
    fn end(&mut self) {}
}

/// The events of the node's own log.
struct Events;

impl Sink for Events {
    fn take(&mut self, entry: &Entry) {
        entry.tell();
    }
}

/// Lines of a form of their own.
struct Lines {
    writer: LineWriter,
    text: String,
    out: Box<dyn Write + Send>,
}

impl Sink for Lines {
    fn take(&mut self, entry: &Entry) {
        self.writer.append(&mut self.text, entry);
        if self.text.len() >= BATCH_BYTES {
            self.end();
        }
    }

    /// Where nobody reads it, nobody can be told either.
    fn end(&mut self) {
        let _ = self.out.write_all(self.text.as_bytes());
        self.text.clear();
    }
}

impl Entry {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn tell(&self) {
        let project = self.route.as_ref().map(|route| route.project_name.to_string());
        let environment = self.route.as_ref().map(|route| route.environment_name.to_string());
        info!(
            target: TARGET,
            request_id = self.request_id,
            method = self.method.as_str(),
            scheme = self.scheme(),
            host = self.host,
            path = self.path,
            version = ?self.version,
            status = self.status,
            received_bytes = self.received_bytes,
            sent_bytes = self.sent_bytes,
            ms = self.milliseconds,
            client = %self.client,
            project,
            environment,
            endpoint = self.endpoint.map(|place| tracing::field::display(place.addr)),
            replica_node = self.endpoint.map(|place| tracing::field::display(place.node)),
            error = self.error,
            "request"
        );
    }
}

/// The part of a path that is logged.
pub(crate) fn logged_path(path: &str) -> String {
    path[..path.floor_char_boundary(PATH_BYTES_MAX)].to_owned()
}

/// The part of a host that is logged: what is longer is none, and refused.
pub(crate) fn logged_host(mut host: String) -> String {
    host.truncate(host.floor_char_boundary(NAME_MAX));
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(logged_path("/a"), "/a");
        let long = "ä".repeat(PATH_BYTES_MAX);
        assert_eq!(logged_path(&long).len(), PATH_BYTES_MAX);
        assert_eq!(logged_path(&format!("/{long}")).len(), PATH_BYTES_MAX - 1);
    }
}
