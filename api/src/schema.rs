//! `/api/schema/temps.json`: the JSON Schema of the file that configures an app.

use axum::Json;

/// The JSON Schema of `temps.json` and `.temps.yaml`.
#[utoipa::path(
    get, path = "/api/schema/temps.json", tag = "schema", security(()),
    responses((status = 200, body = Object))
)]
pub(crate) async fn temps_json() -> Json<serde_json::Value> {
    Json(temps_presets::json_schema())
}
