//! Formats: what nodes of different versions know of the state, and what may be written while they live together.
//!
//! A format is a number that grows by one whenever a command, or a value of one, is added that older versions cannot
//! read. Nothing is written before every node of the cluster knows it; how that works is in
//! `docs/decisions/009-formats.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::row::Value;
use crate::{Command, Node, NodeId, State};

/// The newest format that this version knows.
pub const FORMAT: u8 = 5;
/// The first format there was. Nodes that tell none are of it.
pub(crate) const FIRST: u8 = 1;
/// Handovers between two processes of a node, builds that go to another one, domains and their certificates,
/// pushed images.
pub(crate) const SECOND: u8 = 2;
/// Zones that the nodes answer for, records kept at DNS providers, what is checked before a request is forwarded,
/// whether a node's container engine answers, which projects may call another, and kept replicas that give way.
pub(crate) const THIRD: u8 = 3;
/// Removals that are judged by the nodes there are.
pub(crate) const FOURTH: u8 = 4;
/// Changes of accounts with DNS providers, certificates that outlive where their wildcard was kept, and accounts with
/// authorities that are bound to others.
pub(crate) const FIFTH: u8 = 5;
/// The format that [`Command::RemoveNode`] needs to name the nodes that must still be there.
pub const JUDGED_REMOVALS_SINCE: u32 = FOURTH as u32;
/// How many nodes a message names.
const NAMED_MAX: usize = 5;

/// Why a command is not written yet: some nodes could not read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooNew {
    /// The format that the command needs.
    pub needed: u32,
    /// The nodes that know older ones only.
    pub behind: Vec<Behind>,
}

/// A node that knows an older format only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Which node.
    pub node: NodeId,
    /// What people call it.
    pub name: String,
    /// The newest format that it knows.
    pub knows: u32,
}

/// Whether every one of the nodes can read what needs a format.
pub fn admits<'a>(nodes: impl IntoIterator<Item = &'a Node>, needed: u32) -> Result<(), TooNew> {
    let behind = nodes.into_iter().filter(|node| node.knows() < needed);
    let behind: Vec<Behind> = behind
        .map(|node| Behind { node: node.id, name: node.name.clone(), knows: node.knows() })
        .collect();
    if behind.is_empty() { Ok(()) } else { Err(TooNew { needed, behind }) }
}

impl Node {
    /// The newest format that it knows.
    pub fn knows(&self) -> u32 {
        self.format.max(FIRST.into())
    }
}

impl State {
    /// The newest format that every node of the cluster knows: lost ones come back, and must read what was written
    /// meanwhile. The first one where there are no nodes.
    pub fn format(&self) -> u32 {
        self.nodes.values().map(Node::knows).min().unwrap_or(FIRST.into())
    }
}

impl Command {
    /// The format that a node must know to read this command: the first one that had it, and every value in it.
    pub fn format(&self) -> u32 {
        let since = match self {
            Self::HandOverNode { .. }
            | Self::SetImageTag { .. }
            | Self::RemoveImageTag { .. }
            | Self::HoldImage { .. }
            | Self::ReleaseImage { .. }
            | Self::ReturnBuild { .. }
            | Self::CreateDomain { .. }
            | Self::ChangeDomain { .. }
            | Self::VerifyDomain { .. }
            | Self::DeleteDomain { .. }
            | Self::AddCertificate { .. }
            | Self::DeleteCertificate { .. }
            | Self::KeepAccount { .. }
            | Self::LeaseOrder { .. }
            | Self::KeepAttempt { .. }
            | Self::FailOrder { .. }
            | Self::FinishOrder { .. }
            | Self::SetHeaderPolicy { .. }
            | Self::RotateTicketKey { .. } => SECOND,
            Self::SetGuard { .. }
            | Self::AddDnsProvider { .. }
            | Self::DeleteDnsProvider { .. }
            | Self::KeepDnsRecords { .. }
            | Self::AdviseRenewal { .. }
            | Self::WantCertificate { .. }
            | Self::AllowCaller { .. }
            | Self::DenyCaller { .. }
            | Self::YieldReplica { .. }
            | Self::ReportEngine { .. } => THIRD,
            Self::ChangeSettings { settings } => settings.since(),
            Self::CreateProject { project, .. } => project.since(),
            Self::ChangeProject { change, .. } if change.no_repository => SECOND,
            Self::RemoveNode { beside, .. } if !beside.is_empty() => FOURTH,
            Self::ChangeDnsProvider { .. } => FIFTH,
            Self::RecordNode { node } | Self::AdmitNode { node, .. } => node.since(),
            _ => FIRST,
        };
        since.into()
    }
}

impl fmt::Display for TooNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, behind } = self;
        write!(
            f,
            "this change needs format {needed} of the state, which not every node knows yet:"
        )?;
        for (at, Behind { node, name, knows }) in behind.iter().take(NAMED_MAX).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma} node {node} ({name}) knows {knows}")?;
        }
        match behind.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl std::error::Error for TooNew {}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn nodes(formats: &[u32]) -> Vec<Node> {
        let node = |(id, format): (u64, &u32)| Node {
            format: *format,
            ..Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH)
        };
        (1..).zip(formats).map(node).collect()
    }

    #[test]
    fn what_some_node_does_not_know_is_not_admitted() {
        /// What the nodes know, what is needed, and who is behind.
        type Case = (&'static [u32], u32, &'static [(u64, u32)]);
        let cases: [Case; 8] = [
            (&[], 9, &[]),
            (&[0], 1, &[]),
            (&[1, 1, 1], 1, &[]),
            (&[2, 1, 2], 1, &[]),
            (&[2, 1, 2], 2, &[(2, 1)]),
            (&[2, 2, 3], 2, &[]),
            (&[0, 2, 3], 3, &[(1, 1), (2, 2)]),
            (&[0], 2, &[(1, 1)]),
        ];
        for (formats, needed, behind) in cases {
            let refused = admits(&nodes(formats), needed).err();
            let found = refused.map_or(vec![], |TooNew { behind, .. }| behind);
            let found: Vec<_> = found.iter().map(|one| (one.node.0, one.knows)).collect();
            assert_eq!(found, behind, "{formats:?} for {needed}");
        }
    }

    #[test]
    fn a_cluster_knows_what_its_oldest_node_knows() {
        let cases: [(&[u32], u32); 5] =
            [(&[], 1), (&[0], 1), (&[3], 3), (&[3, 0], 1), (&[3, 2, 4], 2)];
        for (formats, known) in cases {
            let mut state = State::default();
            for node in nodes(formats) {
                state.nodes.insert(node.id, node);
            }
            assert_eq!(state.format(), known, "{formats:?}");
        }
    }

    #[test]
    fn whoever_is_refused_hears_which_nodes_are_behind() {
        let refused = admits(&nodes(&[2, 1, 1, 2]), 2).unwrap_err().to_string();
        let said = "needs format 2 of the state, which not every node knows yet: node 2 (n2) knows \
                    1, node 3 (n3) knows 1";
        assert!(refused.ends_with(said), "{refused}");
        let many = admits(&nodes(&[1; 9]), 2).unwrap_err().to_string();
        assert!(many.ends_with("node 5 (n5) knows 1, and 4 more"), "{many}");
    }
}
