use axum::body::to_bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode};

use super::*;

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn some_files(path: &str) -> Option<File> {
    let text = match path {
        "index.html" => "page",
        "terminal.html" => "terminal",
        "assets/app-1234.js" => "script",
        "assets/app-1234.js.br" => "small",
        ".secret" => "hidden",
        _ => return None,
    };
    Some(File { bytes: text.as_bytes().into(), digest: [7; 32] })
}

fn none(_: &str) -> Option<File> {
    None
}

fn get(find: Find, path: &str, headers: &[(HeaderName, &'static str)]) -> Option<Response> {
    let headers = headers.iter().cloned();
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    respond(find, &Method::GET, path, &headers).ok()
}

fn field(response: &Response, name: HeaderName) -> &str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn views_get_the_page_and_are_asked_for_again() {
    for path in ["/", "/index.html", "/projects/shop/deployments/3"] {
        let page = get(some_files, path, &[(header::ACCEPT, BROWSER)]).unwrap();
        assert_eq!(field(&page, header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(field(&page, header::CACHE_CONTROL), "no-cache");
        assert_eq!(text(page).await, "page", "{path}");
    }
    let tag = "\"07070707070707070707070707070707\"";
    let same = get(some_files, "/", &[(header::IF_NONE_MATCH, tag)]).unwrap();
    assert_eq!((same.status(), field(&same, header::ETAG)), (StatusCode::NOT_MODIFIED, tag));
}

#[tokio::test]
async fn files_with_a_digest_are_kept_for_ever_in_the_smallest_encoding() {
    let path = "/assets/app-1234.js";
    let whole = get(some_files, path, &[]).unwrap();
    assert_eq!(field(&whole, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    assert_eq!(field(&whole, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
    assert_eq!(field(&whole, header::CONTENT_ENCODING), "");
    assert_eq!(text(whole).await, "script");
    let small = get(some_files, path, &[(header::ACCEPT_ENCODING, "gzip, br")]).unwrap();
    assert_eq!(field(&small, header::CONTENT_ENCODING), "br");
    assert_eq!(field(&small, header::VARY), "accept-encoding");
    assert_eq!(text(small).await, "small");
}

#[test]
fn nothing_foreign_runs_in_the_page_and_nobody_frames_it() {
    for (find, path) in
        [(some_files as Find, "/"), (some_files, "/assets/app-1234.js"), (none, "/")]
    {
        let response = get(find, path, &[]).unwrap();
        let policy = field(&response, header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(field(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(field(&response, header::X_FRAME_OPTIONS), "DENY");
    }
}

#[test]
fn only_the_terminal_may_write_styles_of_its_own() {
    let terminal = get(some_files, "/terminal.html", &[]).unwrap();
    let policy = field(&terminal, header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(policy.contains("style-src 'self' 'unsafe-inline';"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(policy.matches("unsafe").count(), 1, "{policy}");
    let other = get(some_files, "/terminal.html/", &[(header::ACCEPT, BROWSER)]).unwrap();
    assert!(!field(&other, header::CONTENT_SECURITY_POLICY).contains("unsafe"));
}

#[test]
fn programs_are_told_that_there_is_nothing() {
    let browser = [(header::ACCEPT, BROWSER)];
    for path in ["/api/nothing", "/api", "/git/x", "/v2/x", "/internal/x", "/swagger-ui/x"] {
        assert!(get(some_files, path, &browser).is_none(), "{path}");
    }
    for path in ["/assets/gone.js", "/.secret", "/projects/.git/config"] {
        assert!(get(some_files, path, &browser).is_none(), "{path}");
    }
    assert!(get(some_files, "/projects", &[(header::ACCEPT, "*/*")]).is_none());
    assert!(respond(some_files, &Method::POST, "/", &HeaderMap::new()).is_err());
}

#[tokio::test]
async fn a_program_without_dashboard_says_how_it_is_built() {
    let page = get(none, "/", &[]).unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(text(page).await.contains("deploy/web.sh"));
}
