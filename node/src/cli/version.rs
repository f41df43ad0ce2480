//! `temps version`.

use serde_json::json;
use temps_state::FORMAT;

use crate::error::CliError;
use crate::output::Output;

pub fn run(output: &Output) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    output.answer(&json!({"version": version, "format": FORMAT}), || format!("temps {version}"))
}
