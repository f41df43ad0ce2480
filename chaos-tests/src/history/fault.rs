//! What is done to a cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// One node's process ends at once.
    KillOne,
    /// The leader's does.
    KillLeader,
    /// All nodes' do.
    KillAll,
    /// One node's process ends while it writes a snapshot.
    KillInSnapshot,
    /// One node's process stands still.
    PauseOne,
    /// The leader's does.
    PauseLeader,
    /// One machine loses power.
    PowerOff,
    /// A minority is cut off from the others.
    Halves,
    /// The leader is cut off from all others.
    LeaderAlone,
    /// Every node reaches only its two neighbours.
    Ring,
    /// What one node sends to one other is lost.
    OneWay,
    /// Clients no longer reach one node, and the other nodes do.
    ClientSide,
    /// Some of what nodes send each other is lost.
    Loss,
    /// What nodes send each other comes late.
    Delay,
    /// Some of what nodes send each other comes twice.
    Duplication,
    /// Some of what nodes send each other comes after what was sent later.
    Reorder,
    /// A node's calendar is an hour ahead.
    ClockAhead,
    /// A node's calendar is an hour behind.
    ClockBehind,
    /// Nobody is where the certificate authority was.
    AuthorityAway,
    /// The certificate authority stands still.
    AuthorityHangs,
    /// The certificate authority answers with errors of its own.
    AuthorityFails,
    /// A node's engine stands still.
    PauseEngine,
    /// A node's engine ends at once, and starts anew without its containers.
    KillEngine,
    /// Every node gets another program, one after the other.
    Upgrade,
    /// A node is drained.
    Drain,
    /// A node is lost, removed, and another one takes its place with an empty disk.
    Replace,
    /// The same, while the one that takes its place is cut off from one of the others.
    ReplaceCutOff,
    /// One sync of a node fails.
    SyncOnce,
    /// All syncs of a node fail.
    SyncAlways,
    /// A node's disk is full.
    DiskFull,
    /// All nodes end at once, and nothing is left of what they wrote and did not sync.
    LostWrites,
    /// All nodes end at once, in the middle of a write.
    TornWrites,
    /// A bit is turned on the disks of a minority.
    BitFlip,
    /// A file is cut short on the disks of a minority.
    Truncation,
}

/// What of a machine a fault touches. Two faults of one place would undo each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Processes and machines.
    Process,
    /// Links.
    Links,
    /// Engines.
    Engine,
    /// Disks. Processes end with them.
    Disk,
    /// Clocks.
    Clock,
    /// The certificate authority, which is on no machine.
    Authority,
}

impl Place {
    /// Whether faults of the two may be there at the same time.
    #[must_use]
    pub fn goes_with(self, other: Self) -> bool {
        let ends_processes = |place| matches!(place, Self::Process | Self::Disk);
        self != other && !(ends_processes(self) && ends_processes(other))
    }
}

/// What a machine may lack that faults need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Disks by a program: `/dev/fuse`.
    Disks,
    /// A network by a program: `/dev/net/tun`.
    Tunnels,
    /// Calendars that can be set: `libfaketime`.
    Clocks,
}

impl FaultKind {
    /// All there are.
    pub const ALL: [Self; 34] = [
        Self::KillOne,
        Self::KillLeader,
        Self::KillAll,
        Self::KillInSnapshot,
        Self::PauseOne,
        Self::PauseLeader,
        Self::PowerOff,
        Self::Halves,
        Self::LeaderAlone,
        Self::Ring,
        Self::OneWay,
        Self::ClientSide,
        Self::Loss,
        Self::Delay,
        Self::Duplication,
        Self::Reorder,
        Self::ClockAhead,
        Self::ClockBehind,
        Self::AuthorityAway,
        Self::AuthorityHangs,
        Self::AuthorityFails,
        Self::PauseEngine,
        Self::KillEngine,
        Self::Upgrade,
        Self::Drain,
        Self::Replace,
        Self::ReplaceCutOff,
        Self::SyncOnce,
        Self::SyncAlways,
        Self::DiskFull,
        Self::LostWrites,
        Self::TornWrites,
        Self::BitFlip,
        Self::Truncation,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillOne => "kill-one",
            Self::KillLeader => "kill-leader",
            Self::KillAll => "kill-all",
            Self::KillInSnapshot => "kill-in-snapshot",
            Self::PauseOne => "pause-one",
            Self::PauseLeader => "pause-leader",
            Self::PowerOff => "power-off",
            Self::Halves => "halves",
            Self::LeaderAlone => "leader-alone",
            Self::Ring => "ring",
            Self::OneWay => "one-way",
            Self::ClientSide => "client-side",
            Self::Loss => "loss",
            Self::Delay => "delay",
            Self::Duplication => "duplication",
            Self::Reorder => "reorder",
            Self::ClockAhead => "clock-ahead",
            Self::ClockBehind => "clock-behind",
            Self::AuthorityAway => "authority-away",
            Self::AuthorityHangs => "authority-hangs",
            Self::AuthorityFails => "authority-fails",
            Self::PauseEngine => "pause-engine",
            Self::KillEngine => "kill-engine",
            Self::Upgrade => "upgrade",
            Self::Drain => "drain",
            Self::Replace => "replace",
            Self::ReplaceCutOff => "replace-cut-off",
            Self::SyncOnce => "sync-once",
            Self::SyncAlways => "sync-always",
            Self::DiskFull => "disk-full",
            Self::LostWrites => "lost-writes",
            Self::TornWrites => "torn-writes",
            Self::BitFlip => "bit-flip",
            Self::Truncation => "truncation",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::KillOne => "kill -9 of one node",
            Self::KillLeader => "kill -9 of the leader",
            Self::KillAll => "kill -9 of all nodes at once",
            Self::KillInSnapshot => "kill -9 of a node that writes a snapshot",
            Self::PauseOne => "one node stands still",
            Self::PauseLeader => "the leader stands still",
            Self::PowerOff => "a machine loses power",
            Self::Halves => "a minority is cut off",
            Self::LeaderAlone => "the leader is cut off",
            Self::Ring => "each node reaches only its neighbours",
            Self::OneWay => "one direction of a link is lost",
            Self::ClientSide => "clients cannot reach a node that the others reach",
            Self::Loss => "packets between nodes are lost",
            Self::Delay => "packets between nodes come late",
            Self::Duplication => "packets between nodes come twice",
            Self::Reorder => "packets between nodes overtake each other",
            Self::ClockAhead => "a clock jumps an hour ahead, and back",
            Self::ClockBehind => "a clock jumps an hour back, and ahead",
            Self::AuthorityAway => "the certificate authority is away",
            Self::AuthorityHangs => "the certificate authority stands still",
            Self::AuthorityFails => "the certificate authority answers with errors",
            Self::PauseEngine => "a container engine stands still",
            Self::KillEngine => "kill -9 of a container engine",
            Self::Upgrade => "all nodes are upgraded, one after the other",
            Self::Drain => "a node is drained",
            Self::Replace => "a node is lost and replaced by an empty one",
            Self::ReplaceCutOff => "a node is replaced by one that is cut off from another",
            Self::SyncOnce => "a disk fails to sync once",
            Self::SyncAlways => "a disk fails to sync whatever it is asked to",
            Self::DiskFull => "a disk is full",
            Self::LostWrites => "all nodes end, and all that was not synced is lost",
            Self::TornWrites => "all nodes end in the middle of a write",
            Self::BitFlip => "a bit is turned on the disks of a minority",
            Self::Truncation => "a file is cut short on the disks of a minority",
        }
    }

    /// What of a machine it touches.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::KillOne
            | Self::KillLeader
            | Self::KillAll
            | Self::PauseOne
            | Self::PauseLeader
            | Self::PowerOff
            | Self::Upgrade
            | Self::Drain
            | Self::Replace
            | Self::ReplaceCutOff => Place::Process,
            Self::Halves
            | Self::LeaderAlone
            | Self::Ring
            | Self::OneWay
            | Self::ClientSide
            | Self::Loss
            | Self::Delay
            | Self::Duplication
            | Self::Reorder => Place::Links,
            Self::PauseEngine | Self::KillEngine => Place::Engine,
            Self::KillInSnapshot
            | Self::SyncOnce
            | Self::SyncAlways
            | Self::DiskFull
            | Self::LostWrites
            | Self::TornWrites
            | Self::BitFlip
            | Self::Truncation => Place::Disk,
            Self::ClockAhead | Self::ClockBehind => Place::Clock,
            Self::AuthorityAway | Self::AuthorityHangs | Self::AuthorityFails => Place::Authority,
        }
    }

    /// Whether it may be there at the same time as another one. What a damaged log has lost, the others must be able to have.
    #[must_use]
    pub fn goes_with(self, other: Self) -> bool {
        let is_damage = |kind| matches!(kind, Self::BitFlip | Self::Truncation);
        let is_link = |kind: Self| kind.place() == Place::Links;
        let needs_links = |kind| is_damage(kind) || kind == Self::ReplaceCutOff;
        let is_apart =
            !(needs_links(self) && is_link(other) || needs_links(other) && is_link(self));
        is_apart && self.place().goes_with(other.place())
    }

    /// Whether machines are let in when it is undone. Those who let them in need links and clocks that are right.
    #[must_use]
    pub const fn lets_in(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceCutOff | Self::BitFlip | Self::Truncation)
    }

    /// Whether it is to be felt by nodes, whose apps may then miss replicas or requests. Nobody waits for an authority, and
    /// nothing that is served depends on a calendar.
    #[must_use]
    pub const fn is_felt(self) -> bool {
        !matches!(self.place(), Place::Authority | Place::Clock)
    }

    /// Whether it touches its own nodes alone: the others reach each other as ever.
    #[must_use]
    pub const fn is_local(self) -> bool {
        match self.place() {
            Place::Process => {
                !matches!(self, Self::Upgrade | Self::Drain | Self::Replace | Self::ReplaceCutOff)
            }
            Place::Links => matches!(self, Self::Halves | Self::LeaderAlone | Self::ClientSide),
            Place::Engine | Place::Disk => true,
            Place::Clock | Place::Authority => false,
        }
    }

    /// What a machine has to have for it, beside the ground.
    #[must_use]
    pub const fn need(self) -> Option<Need> {
        match self {
            Self::Loss | Self::Delay | Self::Duplication | Self::Reorder => Some(Need::Tunnels),
            Self::ClockAhead | Self::ClockBehind => Some(Need::Clocks),
            Self::KillInSnapshot
            | Self::SyncOnce
            | Self::SyncAlways
            | Self::DiskFull
            | Self::LostWrites
            | Self::TornWrites => Some(Need::Disks),
            _ => None,
        }
    }

    /// Whether its nodes start anew, and know after it only what their disks do.
    #[must_use]
    pub const fn restarts(self) -> bool {
        matches!(
            self,
            Self::KillOne
                | Self::KillLeader
                | Self::KillAll
                | Self::PowerOff
                | Self::Upgrade
                | Self::Replace
                | Self::ReplaceCutOff
        ) || matches!(self.place(), Place::Disk)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no fault `{text}`; choose from {}", names.join(", "))
        })
    }
}

/// A fault of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which one of the run, from 1.
    pub fault: u32,
    /// What it is.
    #[serde(rename = "f")]
    pub kind: FaultKind,
    /// The nodes whose process, machine or links it touches.
    pub nodes: Vec<usize>,
    /// Why it was not made, or what is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub err: Option<String>,
    /// The nodes that are others than before, with empty disks, now that it is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<usize>,
}

impl Fault {
    /// Whether clients get no answer of this node, for its process is dead or stands still, or they cannot reach it. A node whose
    /// log finds no room from one moment to the next ends, too.
    #[must_use]
    pub fn hides(&self, node: usize) -> bool {
        let ends = matches!(self.kind.place(), Place::Process | Place::Disk);
        let serves_on = matches!(self.kind, FaultKind::Drain | FaultKind::Upgrade);
        let is_process = ends && !serves_on;
        (is_process || self.kind == FaultKind::ClientSide) && self.nodes.contains(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_called_the_same_everywhere() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let unknown = "earthquake".parse::<FaultKind>().unwrap_err();
        assert!(unknown.contains("kill-leader"), "{unknown}");
    }
}
