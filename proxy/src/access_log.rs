//! One log entry per request, at the target `temps::access`. Requests never wait for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tracing::info;

use crate::connector::Place;
use crate::route::Route;

/// How many entries may wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 4_096;
/// How long entries are gathered before they are written together: to wake a thread for each costs more than the entry.
const GATHER: Duration = Duration::from_millis(20);
/// How much of a path is logged.
const PATH_BYTES_MAX: usize = 512;

/// What is logged of a request. No query strings: they carry tokens and addresses.
pub(crate) struct Entry {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) version: http::Version,
    /// 0 when the client left before its answer.
    pub(crate) status: u16,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: usize,
    pub(crate) milliseconds: u128,
    pub(crate) client: IpAddr,
    pub(crate) https: bool,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) endpoint: Option<Place>,
    pub(crate) error: Option<String>,
}

/// Hands entries to a thread that writes them.
pub(crate) struct AccessLog {
    entries: mpsc::Sender<Entry>,
    dropped: Counter,
}

impl AccessLog {
    /// Starts the thread; it ends with the log.
    pub(crate) fn start(dropped: Counter) -> std::io::Result<Self> {
        let (entries, mut waiting) = mpsc::channel::<Entry>(WAITING_MAX);
        thread::Builder::new().name("temps-access".into()).spawn(move || {
            while let Some(entry) = waiting.blocking_recv() {
                entry.write();
                thread::sleep(GATHER);
                while let Ok(entry) = waiting.try_recv() {
                    entry.write();
                }
            }
        })?;
        Ok(Self { entries, dropped })
    }

    /// Logs an entry, or counts it as dropped when too many wait.
    pub(crate) fn log(&self, entry: Entry) {
        if self.entries.try_send(entry).is_err() {
            self.dropped.inc();
        }
    }
}

impl Entry {
    fn write(&self) {
        let project = self.route.as_ref().map(|route| route.project_name.to_string());
        let environment = self.route.as_ref().map(|route| route.environment_name.to_string());
        info!(
            target: "temps::access",
            request_id = self.request_id,
            method = self.method,
            scheme = if self.https { "https" } else { "http" },
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
    let end = (0..=PATH_BYTES_MAX.min(path.len())).rev().find(|end| path.is_char_boundary(*end));
    path[..end.unwrap_or(0)].to_owned()
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
