//! What the tests of pure parts are about.

use std::net::IpAddr;

use jiff::Timestamp;
use temps_state::{
    Actor, Certificate, CertificateSource, Command, Domain, Entry, EnvironmentId, Id, NodeId,
    Project, ProjectId, State,
};

fn production() -> EnvironmentId {
    EnvironmentId::from_parts(1, 1)
}

/// A domain of production's.
pub(crate) fn domain(name: &str) -> Domain {
    Domain {
        name: name.parse().unwrap(),
        environment: production(),
        redirect: None,
        paths: Default::default(),
        proof: "pr00f".into(),
        verified_at: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// An uploaded certificate, valid since 1970.
pub(crate) fn certificate(id: u128, names: &[&str], not_after: Timestamp) -> Certificate {
    Certificate {
        id: Id::from_parts(1, id),
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        chain: String::new(),
        key: serde_json::from_str("\"\"").unwrap(),
        not_before: Timestamp::UNIX_EPOCH,
        not_after,
        issuer: "ca".into(),
        source: CertificateSource::Uploaded,
        created_at: Timestamp::UNIX_EPOCH,
        renewal: None,
    }
}

/// A state with the project `shop`, whose production is the domains'.
pub(crate) fn with_environment() -> State {
    let project = Project {
        id: ProjectId::from_parts(1, 1),
        name: "shop".parse().unwrap(),
        created_at: Timestamp::UNIX_EPOCH,
        disabled: false,
        repository: None,
        webhook_secret: serde_json::from_str("\"\"").unwrap(),
        previews: false,
        deployments_made: 0,
        callers: Default::default(),
    };
    let entry = Entry {
        at: Timestamp::UNIX_EPOCH,
        actor: Actor::Node { id: NodeId(1) },
        from: None::<IpAddr>,
        request: None,
        condition: None,
        command: Command::CreateProject { project, production: production() },
    };
    let mut state = State::default();
    state.apply(1, entry).unwrap();
    state
}
