//! Reads the head of an HTTP/3 request as one that means the same to everything behind the edge. Pure.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request};
use pingora_http::RequestHeader;

use crate::headers::text;
use crate::request_target::judge_target;

/// What concerns a connection of HTTP/1 only (RFC 9114 §4.2).
pub(super) const OF_CONNECTIONS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A request's head, and the length of its body where it tells one.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) header: RequestHeader,
    pub(crate) length: Option<u64>,
}

/// Gives a head as HTTP/1 would have it, with a path and one `Host`; nothing where it is malformed (RFC 9114 §4.1.2). What
/// it shares with other versions is judged in [`http2_head`](crate::http2_head).
pub(crate) fn read(request: Request<()>) -> Option<Head> {
    let (mut parts, ()) = request.into_parts();
    let connects = parts.method == Method::CONNECT;
    // `:protocol` is for CONNECT alone, which nobody was told to use with it (RFC 9220 §3).
    let extended = parts.extensions.get::<temps_http3::Protocol>().is_some();
    if extended || OF_CONNECTIONS.iter().any(|name| parts.headers.contains_key(name)) {
        return None;
    }
    if parts.headers.contains_key(TE) && text(&parts.headers, TE) != "trailers" {
        return None;
    }
    let length = length(&parts.headers)?;
    let host = host(&parts.uri, &parts.headers)?;
    parts.uri = match connects {
        true => Uri::from_static("/"),
        false => target(&parts.uri)?.clone().into(),
    };
    parts.headers.insert(HOST, host);
    join_cookies(&mut parts.headers);
    Some(Head { header: parts.into(), length })
}

/// Some length, or none; nothing where it is not clear.
fn length(headers: &HeaderMap) -> Option<Option<u64>> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => {
            let digits = value.as_bytes().iter().all(u8::is_ascii_digit);
            let length = value.to_str().ok().filter(|_| digits)?.parse().ok()?;
            Some(Some(length))
        }
        _ => None,
    }
}

/// The one host that a request names.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let authority = uri.authority()?.as_str();
    let agrees = |host: &HeaderValue| host.as_bytes() == authority.as_bytes();
    let hosts = headers.get_all(HOST);
    (hosts.iter().count() <= 1 && hosts.iter().all(agrees)).then_some(())?;
    HeaderValue::from_str(authority).ok()
}

fn target(uri: &Uri) -> Option<&PathAndQuery> {
    let target = uri.path_and_query().filter(|_| uri.scheme() == Some(&Scheme::HTTPS))?;
    let origin = judge_target(target.as_str().as_bytes()).ok()?.is_none();
    origin.then_some(target)
}

/// Clients send each cookie by itself, which HTTP/1 does not know (RFC 9114 §4.2.1).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies = headers.get_all(http::header::COOKIE);
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let joined = cookies.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(http::header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_head_has_a_path_and_one_host() {
        for (method, uri, headers, path, length) in [
            ("GET", "https://a/b?c=d", &[][..], "/b?c=d", None),
            ("GET", "https://a/b", &[("host", "a")], "/b", None),
            ("GET", "https://a/b", &[("te", "trailers")], "/b", None),
            ("POST", "https://a/", &[("content-length", "5")], "/", Some(5)),
            ("CONNECT", "a:80", &[], "/", None),
        ] {
            let head = read(request(method, uri, headers)).unwrap();
            assert_eq!((head.header.raw_path(), head.length), (path.as_bytes(), length), "{uri}");
            assert_eq!(head.header.headers.get_all(HOST).iter().count(), 1);
            assert!(text(&head.header.headers, HOST).starts_with('a'));
            assert!(head.header.uri.authority().is_none());
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (uri, headers) in [
            ("http://a/", &[][..]),
            ("https://a/", &[("host", "b")]),
            ("https://a/", &[("host", "a"), ("host", "a")]),
            ("https://a/", &[("connection", "close")]),
            ("https://a/", &[("transfer-encoding", "chunked")]),
            ("https://a/", &[("upgrade", "websocket")]),
            ("https://a/", &[("keep-alive", "timeout=5")]),
            ("https://a/", &[("proxy-connection", "keep-alive")]),
            ("https://a/", &[("te", "gzip")]),
            ("https://a/", &[("content-length", "5"), ("content-length", "5")]),
            ("https://a/", &[("content-length", "5, 5")]),
            ("https://a/", &[("content-length", "+5")]),
            ("https://a/", &[("content-length", "")]),
            ("https://a/", &[("content-length", "99999999999999999999")]),
        ] {
            assert!(read(request("POST", uri, headers)).is_none(), "{uri} {headers:?}");
        }
    }

    #[test]
    fn cookies_are_joined() {
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
        let head = read(request("GET", "https://a/", &crumbs)).unwrap();
        assert_eq!(text(&head.header.headers, http::header::COOKIE), "a=1; b=2; c=3");
        assert_eq!(head.header.headers.get_all(http::header::COOKIE).iter().count(), 1);
    }
}
