//! JSON bodies: bounded, without unknown fields, with errors that name the field.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::ApiError;
use crate::context::Shared;
use crate::idempotency::Fingerprint;

/// The longest JSON body, in octets.
pub const JSON_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Shared) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMedia { expected: "application/json" });
        }
        let fingerprint = request.extensions().get::<Fingerprint>().cloned();
        let body = read(request, context).await?;
        if let Some(fingerprint) = fingerprint {
            fingerprint.take(&body);
        }
        parse(&body).map(Self)
    }
}

/// Reads a whole body; how long it may be says the router's limit.
pub(crate) async fn read(request: Request, context: &Shared) -> Result<Bytes, ApiError> {
    let reading = Bytes::from_request(request, context);
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::BodyTooLarge { max: JSON_BYTES_MAX as u64 })
        }
        _ => Err(ApiError::BodyInterrupted),
    }
}

/// Reads JSON text; an error names the field it is about.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let why = error.into_inner();
        match why.is_data() {
            true => ApiError::Invalid { field, why: without_place(&why.to_string()).into() },
            false => ApiError::NotJson { why: why.to_string() },
        }
    })?;
    reader.end().map_err(|error| ApiError::NotJson { why: error.to_string() })?;
    Ok(value)
}

/// The field says where; line and column of a body that nobody typed tell people nothing.
fn without_place(why: &str) -> &str {
    why.rfind(" at line ").map_or(why, |end| &why[..end])
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media = value.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/json") || media.ends_with("+json")
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code)]
        items: Vec<u8>,
    }

    #[test]
    fn errors_name_the_field() {
        let of = |text: &str| match parse::<Order>(text.as_bytes()) {
            Err(ApiError::Invalid { field, why }) => format!("{field}: {why}"),
            Err(error) => error.kind().1.into(),
            Ok(_) => "fine".into(),
        };
        assert_eq!(of(r#"{"items": [1, 2]}"#), "fine");
        let wrong = of(r#"{"items": [1, "x"]}"#);
        assert!(wrong.starts_with("items[1]: invalid type") && !wrong.contains("line"), "{wrong}");
        assert!(of(r#"{"item": []}"#).contains("unknown field `item`, expected `items`"));
        assert!(of("{}").contains("missing field `items`"));
        assert_eq!(of("{"), "not_json");
        assert_eq!(of(r#"{"items": []} x"#), "not_json");
    }
}
