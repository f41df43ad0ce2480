//! A cluster on machines of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::GroundError;
use crate::client::Client;
use crate::guard::Guard;
use crate::node::Node;
use crate::script::{self, Script};

/// Where grounds have their folders: on disk, and short, for engines make socket paths of it.
const FOLDERS: &str = "/var/tmp";
/// Where each node's edge listens.
pub(crate) const EDGE_PORT: u16 = 80;
/// The last part of this host's own address on a ground's network, as in machines.sh.
const HOST_PART: u8 = 253;

/// What is started on the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// One cluster: node 1 founds it, the others join.
    #[default]
    Joined,
    /// Node 1 founds a cluster; the other machines are bare.
    First,
    /// Every node founds a cluster of its own.
    Alone,
    /// Nothing: only the machines.
    Bare,
}

/// How a ground is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is started on the machines.
    pub start: Start,
    /// The images that every engine has from the start.
    pub images: Vec<String>,
    /// The binary under test; as the environment says, or the one built beside this program, when missing.
    pub binary: Option<PathBuf>,
    /// The temps-chaos binary that every node's data has a disk by, which then fails on command.
    pub disks: Option<PathBuf>,
    /// Whether each node has a clock that can be set, by Debian's `libfaketime`.
    pub clocks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::Joined,
            images: vec!["node:22-slim".into(), "debian:bookworm-slim".into()],
            binary: None,
            disks: None,
            clocks: false,
        }
    }
}

impl Options {
    /// With this started, and no images.
    #[must_use]
    pub fn without_images(start: Start) -> Self {
        Self { start, images: Vec::new(), ..Self::default() }
    }
}

/// Machines with nodes on them. Nothing of it is left once it is dropped, or once this process has ended in any way.
#[derive(Debug)]
pub struct Ground {
    script: Script,
    guard: Guard,
    run: u8,
    nodes: usize,
}

impl Ground {
    /// Makes so many machines, numbered from 1, and starts their nodes; returns when all of them are ready.
    ///
    /// # Errors
    /// When a machine or node does not come up. Nothing is left then.
    pub async fn up(nodes: usize, options: Options) -> Result<Self, GroundError> {
        // Nothing is made for what cannot be tested.
        let binary = script::chosen(options.binary.as_deref())?;
        let Options { images, disks, clocks, .. } = options;
        let script = Script::new(make_folder()?, &images, binary, disks, clocks);
        let guard = Guard::start(&script)?;
        let count = nodes.to_string();
        let mut arguments = vec!["up", &count];
        match options.start {
            Start::Joined => {}
            Start::First => arguments.push("--first"),
            Start::Alone => arguments.push("--alone"),
            Start::Bare => arguments.push("--bare"),
        }
        script.run(&arguments).await?;
        let run = read_run(&script.folder)?;
        Ok(Self { script, guard, run, nodes })
    }

    /// One of its nodes, the first of which is 1.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, number: usize) -> Node<'_> {
        assert!((1..=self.nodes).contains(&number), "there is no node {number} of {}", self.nodes);
        Node { script: &self.script, number, address: self.address(number) }
    }

    /// All of its nodes.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (1..=self.nodes).map(|number| self.node(number))
    }

    /// This host's own address on the machines' network, which they reach it at.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.run, HOST_PART)
    }

    /// The edges of these nodes, with the nodes' numbers.
    #[must_use]
    pub fn edges(&self, nodes: &[usize]) -> Vec<(usize, SocketAddr)> {
        nodes.iter().map(|&number| (number, self.node(number).edge())).collect()
    }

    /// Lets only machines of the same group reach each other; this process reaches all of them still.
    ///
    /// # Errors
    /// When the rules cannot be set; then none is.
    pub async fn partition(&self, groups: &[&[usize]]) -> Result<(), GroundError> {
        let text =
            |group: &&[usize]| group.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let groups: Vec<String> = groups.iter().map(text).collect();
        let mut arguments = vec!["partition"];
        arguments.extend(groups.iter().map(String::as_str));
        self.script.run(&arguments).await.map(drop)
    }

    /// Loses what one machine sends to another, but not what comes back.
    ///
    /// # Errors
    /// When the rule cannot be set.
    pub async fn cut(&self, from: usize, to: usize) -> Result<(), GroundError> {
        self.script.run(&["cut", &format!("{from}:{to}")]).await.map(drop)
    }

    /// Loses what this process sends to one machine, which the others reach still.
    ///
    /// # Errors
    /// When the rule cannot be set.
    pub async fn cut_clients(&self, to: usize) -> Result<(), GroundError> {
        self.script.run(&["cut", &format!("{HOST_PART}:{to}")]).await.map(drop)
    }

    /// Leads what machines send each other through a bad network, with these options of `deploy/fabric.py`.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn shake(&self, options: &[&str]) -> Result<(), GroundError> {
        self.script.run(&[&["shake"], options].concat()).await.map(drop)
    }

    /// What machines send to this port of this host goes to another port of it, or is refused.
    ///
    /// # Errors
    /// When the rule cannot be set.
    pub async fn lead_port_away(&self, port: u16, to: Option<u16>) -> Result<(), GroundError> {
        let way = to.map_or_else(|| port.to_string(), |to| format!("{port}:{to}"));
        self.script.run(&["divert", &way]).await.map(drop)
    }

    /// Lets all ports of this host be where they are.
    ///
    /// # Errors
    /// When the rules cannot be removed.
    pub async fn lead_ports_back(&self) -> Result<(), GroundError> {
        self.script.run(&["divert"]).await.map(drop)
    }

    /// Makes every link work again.
    ///
    /// # Errors
    /// When the rules cannot be removed.
    pub async fn heal(&self) -> Result<(), GroundError> {
        self.script.run(&["heal"]).await.map(drop)
    }

    /// How many packets were lost since links were cut.
    ///
    /// # Errors
    /// When the router does not say.
    pub async fn lost_packets(&self) -> Result<u64, GroundError> {
        self.count(&["lost"], "").await
    }

    /// How many packets the bad network that stands now has `taken`, or `lost`, or sent `late`, or `doubled`, or `held`.
    ///
    /// # Errors
    /// When it does not say, which may be because it stands no longer.
    pub async fn shaken(&self, what: &str) -> Result<u64, GroundError> {
        self.count(&["shaken"], what).await
    }

    /// How many packets machines have sent to this port of this host since this was asked before.
    ///
    /// # Errors
    /// When the router does not say.
    pub async fn asked(&self, port: u16) -> Result<u64, GroundError> {
        self.count(&["asked", &port.to_string()], "").await
    }

    /// The number behind a word of what the script says; the first there is, behind no word.
    async fn count(&self, arguments: &[&str], word: &str) -> Result<u64, GroundError> {
        let found = self.script.run(arguments).await?;
        let behind = found.split_once(word).map(|(_, behind)| behind.split_whitespace().next());
        let number = behind.flatten().and_then(|number| number.parse().ok());
        let path = PathBuf::from(format!("cluster.sh {}", arguments.join(" ")));
        number.ok_or_else(|| GroundError::Malformed { path, wanted: "a number", found })
    }

    /// Runs the CLI, logged in, against the first node that is ready; returns what it printed.
    ///
    /// # Errors
    /// When it fails, with all that it said.
    pub async fn temps(&self, arguments: &[&str]) -> Result<String, GroundError> {
        self.script.run(&[&["temps"], arguments].concat()).await
    }

    /// A token that lets one node join.
    ///
    /// # Errors
    /// When none is drawn, or what was printed has none.
    pub async fn token(&self) -> Result<String, GroundError> {
        let said = self.temps(&["nodes", "token", "--json"]).await?;
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let malformed = || GroundError::Malformed {
            path: "temps nodes token --json".into(),
            wanted: "a token",
            found: "none".into(),
        };
        said["token"].as_str().map(str::to_owned).ok_or_else(malformed)
    }

    /// Asks any node's REST API, logged in.
    ///
    /// # Errors
    /// When no node has been logged in to.
    pub fn client(&self) -> Result<Client, GroundError> {
        Client::new(&self.script.folder, self.nodes().map(|node| (node.number, node.api())))
    }

    /// The number that tells this ground from others that stand at the same time.
    #[must_use]
    pub fn run(&self) -> u8 {
        self.run
    }

    /// Where everything of this ground is kept.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.script.folder
    }

    /// Removes every trace, and says if that failed.
    ///
    /// # Errors
    /// When something could not be removed.
    pub async fn down(mut self) -> Result<(), GroundError> {
        let removed = tokio::task::spawn_blocking(move || self.guard.release()).await;
        removed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn address(&self, number: usize) -> Ipv4Addr {
        let part = u8::try_from(number).expect("cluster.sh has far fewer machines than 255");
        Ipv4Addr::new(10, 77, self.run, part)
    }
}

/// An empty folder that is removed with the ground.
fn make_folder() -> Result<PathBuf, GroundError> {
    let made = tempfile::Builder::new().prefix("temps-ground-").tempdir_in(FOLDERS);
    made.map(tempfile::TempDir::keep)
        .map_err(|source| GroundError::Folder { path: FOLDERS.into(), source })
}

/// The number that the script has taken for this ground.
fn read_run(folder: &Path) -> Result<u8, GroundError> {
    let path = folder.join("run");
    let text = fs::read_to_string(&path)
        .map_err(|source| GroundError::Folder { path: path.clone(), source })?;
    let malformed = |_| GroundError::Malformed { path, wanted: "a number", found: text.clone() };
    text.trim().parse().map_err(malformed)
}
