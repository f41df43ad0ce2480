//! Accounts with DNS providers.

use jiff::Timestamp;
use serde::Deserialize;

/// An account with a DNS provider.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsProvider {
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub r#type: String,
    /// The zones that the cluster keeps records in.
    pub zones: Vec<String>,
    /// The sets of records that the cluster made.
    pub records: Vec<KeptRecord>,
    /// What keeps the records from being as they should.
    pub trouble: Option<Trouble>,
}

/// All records of a name and type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct KeptRecord {
    /// The whole name.
    pub name: String,
    /// Their type.
    pub r#type: String,
}

/// What keeps records from being as they should.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// In words.
    pub error: String,
    /// Since when.
    pub since: Option<Timestamp>,
}
