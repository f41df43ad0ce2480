//! What a node is not given for a while, as REST shows it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::when::span;

/// What a node is not given for a while.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Avoided {
    /// The only deployment; anything when there is none.
    pub deployment: Option<String>,
    /// What was the matter the last time.
    pub why: String,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl Avoided {
    /// What it is, why and for how long, in words.
    pub fn sentence(&self) -> String {
        let what = self.deployment.as_deref().unwrap_or("anything");
        let left = self.until.map_or(0, |until| until.duration_since(Timestamp::now()).as_secs());
        let left = span(u64::try_from(left).unwrap_or(0));
        format!("not given {what} for {left} yet ({})", self.why.replace('_', " "))
    }
}
