//! Who may do what.

use jiff::Timestamp;
use serde::Deserialize;

/// A user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Their id.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: String,
    /// When they were added.
    pub created_at: Option<Timestamp>,
}

/// An API key; the key itself is shown once only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it permits.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The key, in the answer that creates it.
    pub key: Option<String>,
}
