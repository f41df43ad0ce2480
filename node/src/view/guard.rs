//! What is checked before requests are forwarded.

use serde::Deserialize;

/// What is checked for the cluster, a project or an environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Guard {
    /// `cluster`, a project, or `project/environment`.
    pub scope: String,
    /// What holds there.
    pub effective: Checks,
    /// What does not hold although it was set, and why.
    pub warnings: Vec<String>,
}

/// What holds, and where it was set.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Checks {
    /// Networks that are kept out.
    pub deny: Vec<Held>,
    /// The only networks that are let in.
    pub allow: Vec<Held>,
    /// Countries that are kept out.
    pub deny_countries: Vec<Held>,
    /// The only countries that are let in.
    pub allow_countries: Vec<Held>,
    /// How often one client may ask.
    pub rate_per_client: Option<Held>,
    /// How often all clients together may ask.
    pub rate_in_all: Option<Held>,
    /// Who must solve a challenge.
    pub attack_mode: Option<Held>,
    /// Whether clients must know a password.
    pub password: Option<Held>,
}

/// A value, and where it was set.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Held {
    /// The value.
    pub value: String,
    /// Where it was set.
    pub scope: String,
}
