//! The JSON Schema of `temps.json`.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::config::AppConfig;

/// The JSON Schema (draft 2020-12) of `temps.json` and `.temps.yaml`.
pub fn json_schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<AppConfig>().to_value()
}
