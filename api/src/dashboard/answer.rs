//! Answers with files of the dashboard, and what browsers may do with them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::encoding::{self, Encoding};
use super::{File, Find};

/// Nothing that is not a file of the dashboard's runs or is loaded, and no page frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
/// As strict, but for styles: the emulator of the terminal's page writes its own.
const TERMINAL_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
/// For files that have their digest in their names, and so never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For files that the next version has under the same names.
const CHECKED: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_BUILT: &str = "<!doctype html><html lang=en><title>Temps</title><h1>This program was built without its dashboard</h1>\
    <p>In the repository, <code>deploy/web.sh</code> builds it, and the next <code>cargo build</code> embeds it. \
    The API answers at <a href=/swagger-ui/>/swagger-ui</a>.</p></html>";

/// A file whose name says what is in it.
pub(super) fn asset(find: Find, name: &str, headers: &HeaderMap) -> Option<Response> {
    let (file, encoding) = encoded(find, name, headers)?;
    Some(with_headers(file.bytes.into_response(), name, encoding, FOR_EVER))
}

/// A file that browsers ask for again, and get again only if it has changed.
pub(super) fn checked(find: Find, name: &str, headers: &HeaderMap) -> Option<Response> {
    let (file, encoding) = encoded(find, name, headers)?;
    let tag = format!("\"{}\"", hex::encode(&file.digest[..16]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let response = match is_known {
        true => (StatusCode::NOT_MODIFIED, Body::empty()).into_response(),
        false => file.bytes.into_response(),
    };
    let mut response = with_headers(response, name, encoding, CHECKED);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Some(response)
}

/// What stands in for a dashboard that nobody has built.
pub(super) fn not_built() -> Response {
    with_headers(NOT_BUILT.into_response(), super::INDEX, None, CHECKED)
}

fn encoded(find: Find, name: &str, headers: &HeaderMap) -> Option<(File, Option<Encoding>)> {
    let small = encoding::taken(headers)
        .find_map(|one| Some((find(&format!("{name}{}", one.suffix))?, Some(one))));
    small.or_else(|| Some((find(name)?, None)))
}

fn with_headers(
    mut response: Response,
    name: &str,
    encoding: Option<Encoding>,
    cached: HeaderValue,
) -> Response {
    let media = mime_guess::from_path(name).first_or_octet_stream();
    let media = match media.type_() {
        mime_guess::mime::TEXT => format!("{}; charset=utf-8", media.essence_str()),
        _ => media.essence_str().to_owned(),
    };
    let headers = response.headers_mut();
    if let Ok(media) = HeaderValue::from_str(&media) {
        headers.insert(header::CONTENT_TYPE, media);
    }
    if let Some(Encoding { name, .. }) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, cached);
    let policy = if name == super::TERMINAL { TERMINAL_POLICY } else { POLICY };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
