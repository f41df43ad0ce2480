//! One node of a ground, and what can be done to it and its machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::GroundError;
use crate::ground::EDGE_PORT;
use crate::script::Script;

/// Where each node's API listens.
const API_PORT: u16 = 3000;
/// Where nodes reach each other.
const PEER_PORT: u16 = 7900;

/// A node on its machine.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    pub(crate) script: &'a Script,
    /// Its number; the first is 1.
    pub number: usize,
    /// Its machine's address.
    pub address: Ipv4Addr,
}

impl Node<'_> {
    /// Where its API listens.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        (self.address, API_PORT).into()
    }

    /// Where its edge listens.
    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        (self.address, EDGE_PORT).into()
    }

    /// Where other nodes reach it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        (self.address, PEER_PORT).into()
    }

    /// What its machine is called, and the node too if nobody names it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("n{}", self.number)
    }

    /// Its folder: `data/`, `node.log`, `node.pid`, `run/docker.sock`, `dockerd.log`.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.script.folder.join(self.name())
    }

    /// The last lines of its log; empty when it has none.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = fs::read_to_string(self.folder().join("node.log")).unwrap_or_default();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// The memory its process has for itself (PSS), in KiB; none when it does not run.
    #[must_use]
    pub fn memory_kib(&self) -> Option<u64> {
        let pid = fs::read_to_string(self.folder().join("node.pid")).ok()?;
        let maps = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.trim())).ok()?;
        let line = maps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// Ends its process at once; its containers run on.
    ///
    /// # Errors
    /// When there is none, or it does not end.
    pub async fn kill9(&self) -> Result<(), GroundError> {
        self.call("kill").await
    }

    /// Lets it drain and end.
    ///
    /// # Errors
    /// When the script fails.
    pub async fn stop(&self) -> Result<(), GroundError> {
        self.call("stop").await
    }

    /// Starts its process again; returns when it is ready.
    ///
    /// # Errors
    /// When it runs already, or does not become ready.
    pub async fn start(&self) -> Result<(), GroundError> {
        self.call("start").await
    }

    /// Halts its process as if its machine had stalled.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn pause(&self) -> Result<(), GroundError> {
        self.call("pause").await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn resume(&self) -> Result<(), GroundError> {
        self.call("resume").await
    }

    /// Its machine loses power: the process, the engine and every container are gone at once, and no peer is told.
    ///
    /// # Errors
    /// When a process of the machine does not end.
    pub async fn power_off(&self) -> Result<(), GroundError> {
        self.call("off").await
    }

    /// Its machine boots again with what is on its disk, and its node starts; returns when it is ready.
    ///
    /// # Errors
    /// When the engine or the node does not come up.
    pub async fn power_on(&self) -> Result<(), GroundError> {
        self.call("on").await
    }

    /// Removes all that its machine has stored about the node, which must not run.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe(&self) -> Result<(), GroundError> {
        let path = self.folder().join("data");
        fs::remove_dir_all(&path).map_err(|source| GroundError::Folder { path, source })
    }

    /// Joins the cluster that this peer belongs to, with a token; returns when the node is ready.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub async fn join(&self, peer: SocketAddr, token: &str) -> Result<(), GroundError> {
        let (number, peer) = (self.number.to_string(), peer.to_string());
        self.script.run(&["join", &number, &peer, token]).await.map(drop)
    }

    async fn call(&self, command: &str) -> Result<(), GroundError> {
        self.script.run(&[command, &self.number.to_string()]).await.map(drop)
    }
}
