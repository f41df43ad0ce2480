//! `temps version`.

use serde_json::json;

use crate::error::CliError;
use crate::output::Output;

pub fn run(output: &Output) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    output.answer(&json!({"version": version}), || format!("temps {version}"))
}
