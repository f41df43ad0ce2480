//! The dashboard: what `deploy/web.sh` builds from `web/`, part of the binary. It uses the REST API and nothing else.

mod answer;
mod encoding;

use std::borrow::Cow;

use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use rust_embed::RustEmbed;

use crate::ApiError;

/// Below these, nothing is the dashboard's: who asks there is a program, and is told that there is nothing.
const OTHERS: [&str; 9] =
    ["api", "api-docs", "git", "healthz", "internal", "metrics", "readyz", "swagger-ui", "v2"];
/// The folder of the files that have a digest in their names.
const HASHED: &str = "assets/";
/// The page that leads to every other file.
const INDEX: &str = "index.html";
/// The page of a terminal, which has a policy of its own.
const TERMINAL: &str = "terminal.html";

/// What the build has left; empty but for a hidden file where nobody has built it.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Built;

/// A file of the dashboard.
struct File {
    bytes: Cow<'static, [u8]>,
    /// SHA-256 of the octets.
    digest: [u8; 32],
}

/// Finds a file by its path.
type Find = fn(&str) -> Option<File>;

fn built(path: &str) -> Option<File> {
    let file = Built::get(path)?;
    Some(File { bytes: file.data, digest: file.metadata.sha256_hash() })
}

/// Answers what no other route does: with a file of the dashboard, with its page where a browser asks for one of its
/// views, or not at all.
pub(crate) async fn serve(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    respond(built, &method, uri.path(), &headers)
}

fn respond(
    find: Find,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let nothing = || ApiError::NoRoute { path: path.chars().take(200).collect() };
    let name = path.trim_start_matches('/');
    let first = name.split('/').next().unwrap_or_default();
    // Hidden files and folders are none of the dashboard's.
    let hidden = name.split('/').any(|step| step.starts_with('.'));
    if ![Method::GET, Method::HEAD].contains(method) || OTHERS.contains(&first) || hidden {
        return Err(nothing());
    }
    if name.starts_with(HASHED) {
        return answer::asset(find, name, headers).ok_or_else(nothing);
    }
    if !name.is_empty() && name != INDEX {
        if let Some(file) = answer::checked(find, name, headers) {
            return Ok(file);
        }
        if !wants_a_page(headers) {
            return Err(nothing());
        }
    }
    Ok(answer::checked(find, INDEX, headers).unwrap_or_else(answer::not_built))
}

fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests;
