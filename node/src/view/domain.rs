//! Names, and what is shown for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A name of a team's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Domain {
    /// The name.
    pub name: String,
    /// The project that it leads to.
    pub project: String,
    /// The environment that it leads to.
    pub environment: String,
    /// Where clients are sent instead.
    pub redirect: Option<Redirect>,
    /// `project/environment` by path.
    pub paths: BTreeMap<String, String>,
    /// What to create in the DNS.
    pub records: Vec<Record>,
    /// When it was last seen to lead to the cluster.
    pub verified_at: Option<Timestamp>,
    /// How it is.
    pub status: String,
    /// What the edges show for it.
    pub certificate: Option<Certificate>,
    /// What is done about a certificate.
    pub order: Option<Order>,
    /// When it was added.
    pub created_at: Option<Timestamp>,
}

/// Where a domain sends its clients.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Redirect {
    /// The URL.
    pub to: String,
    /// How.
    pub status: u16,
}

/// A record of the DNS.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Record {
    /// `A`, `AAAA`, `CNAME`, `TXT` or `NS`.
    pub r#type: String,
    /// Its whole name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether there is no other way.
    pub required: bool,
    /// What it is for.
    pub why: String,
}

/// A certificate that is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Order {
    /// Whether an authority is being asked.
    pub under_way: bool,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// Before when it is not tried again.
    pub retry_at: Option<Timestamp>,
}

/// What came of looking whether a name leads to the cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Whether it does.
    pub proven: bool,
    /// The domain after that.
    pub domain: Domain,
    /// What the node that looked saw.
    pub look: Look,
}

/// What a node sees of a domain.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Look {
    /// The node's id.
    pub node: Value,
    /// Its name.
    pub name: String,
    /// Whether it told.
    pub answered: bool,
    /// Why it did not, or why it has no addresses.
    pub problem: Option<String>,
    /// Where the name leads.
    pub addresses: Vec<Address>,
    /// The texts that may prove whose the name is.
    pub txt: Vec<String>,
    /// Handshakes that its edge refused.
    pub refused: Option<Refused>,
    /// Until when the certificate is valid that its edge shows.
    pub certificate: Option<Timestamp>,
}

/// An address that a name leads to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Address {
    /// The address.
    pub address: String,
    /// Whether the cluster answers there.
    pub leads_here: bool,
    /// Why it does not.
    pub why: Option<String>,
}

/// Handshakes that an edge refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last: Option<Timestamp>,
}

/// What the edges show for names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// Its id.
    pub id: String,
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who vouches for it.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: Option<Timestamp>,
    /// Until when it is valid.
    pub not_after: Option<Timestamp>,
    /// Whether it is valid now.
    pub valid: bool,
    /// Where it comes from.
    pub source: Value,
    /// When it came.
    pub created_at: Option<Timestamp>,
    /// Who may refuse it, and why; told only when it is added.
    pub warnings: Vec<String>,
}

/// The security headers of the cluster, a project or an environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HeaderPolicy {
    /// `cluster`, a project, or `project/environment`.
    pub scope: String,
    /// What was set there.
    pub preset: String,
    /// What holds there.
    pub effective: EffectivePolicy,
}

/// The security headers that hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EffectivePolicy {
    /// Where they were set.
    pub scope: Option<String>,
    /// What was set there.
    pub preset: String,
    /// The headers of a preset of one's own.
    pub headers: BTreeMap<String, String>,
}
