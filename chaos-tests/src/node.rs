//! One node of a ground, and what can be done to it and its machine.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::GroundError;
use crate::ground::EDGE_PORT;
use crate::script::Script;

/// Where each node's API listens.
const API_PORT: u16 = 3000;
/// Where each node's edge speaks TLS.
const SECURE_PORT: u16 = 443;
/// Where nodes reach each other.
const PEER_PORT: u16 = 7900;

/// What a process uses, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All that it has mapped and touched (RSS).
    pub resident: u64,
    /// The same, but what it shares with others only in part (PSS).
    pub proportional: u64,
}

impl Memory {
    fn read(maps: &str) -> Option<Self> {
        let size = |name: &str| {
            let line = maps.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self { resident: size("Rss:")?, proportional: size("Pss:")? })
    }
}

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

    /// Where its edge speaks TLS.
    #[must_use]
    pub fn secure_edge(&self) -> SocketAddr {
        (self.address, SECURE_PORT).into()
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

    /// The memory that its process uses.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn memory(&self) -> Result<Memory, GroundError> {
        let pid = self.script.run(&["pid", &self.number.to_string()]).await?;
        let path = PathBuf::from(format!("/proc/{}/smaps_rollup", pid.trim()));
        let maps = fs::read_to_string(&path)
            .map_err(|source| GroundError::Folder { path: path.clone(), source })?;
        Memory::read(&maps).ok_or(GroundError::Malformed { path, wanted: "a size", found: maps })
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

    /// Halts its engine; the containers run on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn pause_engine(&self) -> Result<(), GroundError> {
        self.call("pause-engine").await
    }

    /// Lets the engine go on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn resume_engine(&self) -> Result<(), GroundError> {
        self.call("resume-engine").await
    }

    /// Ends its engine at once; the containers run on until it starts again.
    ///
    /// # Errors
    /// When there is none.
    pub async fn kill_engine(&self) -> Result<(), GroundError> {
        self.call("kill-engine").await
    }

    /// Starts the engine again, without the containers that it had; returns when it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start_engine(&self) -> Result<(), GroundError> {
        self.call("start-engine").await
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
        match self.remove(&["data"]) {
            // What is in it is gone, and a disk is mounted there.
            Err(GroundError::Folder { source, .. })
                if source.kind() == io::ErrorKind::ResourceBusy =>
            {
                Ok(())
            }
            done => done,
        }
    }

    /// Where its disk is told how to fail, if it is one that does.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.folder().join("disk.sock")
    }

    /// Whether its process runs.
    pub async fn runs(&self) -> bool {
        self.call("pid").await.is_ok()
    }

    /// Removes all images and containers of its machine, which must be off.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe_engine(&self) -> Result<(), GroundError> {
        self.remove(&["docker"])
    }

    /// Removes what it has stored of images and static sites; it must not run.
    ///
    /// # Errors
    /// When a folder cannot be removed.
    pub fn wipe_blobs(&self) -> Result<(), GroundError> {
        self.remove(&["data/blobs", "data/registry", "data/pulled", "data/static"])
    }

    /// Has whatever is started anew on its machine be this program.
    ///
    /// # Errors
    /// When it cannot be copied there.
    pub fn begin_with(&self, program: &Path) -> Result<(), GroundError> {
        let (path, next) = (self.folder().join("temps"), self.folder().join("temps.next"));
        // A program that runs cannot be written to, but its name can go to another one.
        let copied = fs::copy(program, &next).and_then(|_| fs::rename(&next, &path));
        copied.map_err(|source| GroundError::Folder { path, source })
    }

    /// Has its machine look names up at this address from now on, until it boots.
    ///
    /// # Errors
    /// When its resolv.conf cannot be written.
    pub fn look_names_up_at(&self, address: Ipv4Addr) -> Result<(), GroundError> {
        let path = self.folder().join("resolv.conf");
        fs::write(&path, format!("nameserver {address}\n"))
            .map_err(|source| GroundError::Folder { path, source })
    }

    /// Sets the calendar of its process so many seconds off, where the ground was made with clocks of its own.
    ///
    /// # Errors
    /// When the file that says so cannot be written.
    pub fn set_clock(&self, seconds: i64) -> Result<(), GroundError> {
        let (path, next) = (self.folder().join("clock"), self.folder().join("clock.next"));
        // At once: half a line would be another time.
        let written =
            fs::write(&next, format!("{seconds:+}\n")).and_then(|()| fs::rename(&next, &path));
        written.map_err(|source| GroundError::Folder { path, source })
    }

    fn remove(&self, folders: &[&str]) -> Result<(), GroundError> {
        for path in folders.iter().map(|name| self.folder().join(name)).filter(|path| path.exists())
        {
            fs::remove_dir_all(&path).map_err(|source| GroundError::Folder { path, source })?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_sums() {
        let maps = "55a0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   90112 kB\nPss:   30000 kB\n";
        let memory = Memory { resident: 90_112, proportional: 30_000 };
        assert_eq!(Memory::read(maps), Some(memory));
        assert_eq!(Memory::read("Rss: 1 kB\n"), None);
    }
}
