//! Becoming a node of a cluster that is there already.

use std::collections::BTreeMap;

use temps_raft::{JoinConfig, JoinError, join};

use crate::node_config::NodeConfig;
use crate::output::Output;
use crate::record;

/// The peer port where none is named.
const PEER_PORT: u16 = 3001;

/// What to join, and with what.
pub struct Joining {
    /// Any node of the cluster, as it was named.
    pub member: String,
    /// The join token. Secret.
    pub token: String,
    /// What people say about this node.
    pub labels: BTreeMap<String, String>,
    /// Where the steps are shown.
    pub output: Output,
}

impl Joining {
    /// Joins, unless this machine has joined before. Steps go to standard error.
    pub async fn join(&self, config: &NodeConfig) -> Result<(), JoinError> {
        let mut facts = record::facts(config);
        facts.labels.clone_from(&self.labels);
        let settings = JoinConfig {
            data_dir: config.data_dir.clone(),
            peer: with_port(&self.member),
            token: self.token.clone(),
            facts,
            listen: config.peer,
            advertise: config.advertise,
        };
        self.output.note(&format!("Joining the cluster of {}", settings.peer));
        join(settings, |step| self.output.note(&format!("ok {step}"))).await.map(drop)
    }

    /// The last step: the cluster counts on this node.
    pub fn finish(&self) {
        self.output.note("ok The cluster has sent its state, and counts on this machine");
    }
}

/// The member's address with the peer port that nodes have unless told otherwise.
fn with_port(member: &str) -> String {
    let has_port = match member.rsplit_once(':') {
        Some((host, port)) => {
            port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']'))
        }
        None => false,
    };
    match has_port {
        true => member.into(),
        false if member.contains(':') && !member.starts_with('[') => {
            format!("[{member}]:{PEER_PORT}")
        }
        false => format!("{member}:{PEER_PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_port_may_be_left_out() {
        for (given, meant) in [
            ("10.0.0.1:7900", "10.0.0.1:7900"),
            ("10.0.0.1", "10.0.0.1:3001"),
            ("n1.example.com", "n1.example.com:3001"),
            ("[fd00::1]:5", "[fd00::1]:5"),
            ("fd00::1", "[fd00::1]:3001"),
            ("[fd00::1]", "[fd00::1]:3001"),
        ] {
            assert_eq!(with_port(given), meant);
        }
    }
}
