//! Zones that the nodes answer for.

use jiff::Timestamp;
use serde::Deserialize;

/// A zone that the nodes answer for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsZone {
    /// The zone.
    pub zone: String,
    /// Whether it is delegated to the nodes there are.
    pub status: String,
    /// When somebody looked.
    pub looked_at: Option<Timestamp>,
    /// Whether the servers of the zone above were asked.
    pub by_parent: bool,
    /// Why it could not be looked up.
    pub error: Option<String>,
    /// The servers that the zone above names.
    pub servers: Vec<DnsZoneServer>,
    /// What is wrong about them.
    pub faults: Vec<DnsZoneFault>,
    /// Records to delete at the zone above.
    pub remove: Vec<DnsZoneRecord>,
    /// Records to create there.
    pub add: Vec<DnsZoneRecord>,
}

/// A server that the zone above names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsZoneServer {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addresses: Vec<String>,
}

/// What is wrong about a delegation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsZoneFault {
    /// In words.
    pub why: String,
}

/// A record at the zone above.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsZoneRecord {
    /// Its type.
    pub r#type: String,
    /// Its whole name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl DnsZone {
    /// Whether the zone above names no servers for it.
    pub fn is_undelegated(&self) -> bool {
        self.status == "undelegated"
    }

    /// Whether something about its servers is missing or leads nowhere.
    pub fn is_wrong(&self) -> bool {
        self.status == "wrong"
    }

    /// How it is.
    pub fn in_short(&self) -> String {
        match (self.status.as_str(), &self.error) {
            ("right", _) => "as it should be".into(),
            ("wrong", _) => "not as it should be".into(),
            ("undelegated", _) => "not delegated to the nodes yet".into(),
            (_, Some(error)) => format!("not known: {error}"),
            (_, None) => "not known yet".into(),
        }
    }
}
