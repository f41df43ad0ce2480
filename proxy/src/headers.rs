//! The headers that the edge adds to requests and takes from answers. Pure.

use std::mem;
use std::net::IpAddr;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use temps_state::{EnvironmentId, ProjectId};

use crate::digits::ip_text;
use crate::guard::strip_passes;
use crate::stamp::Stamp;

/// The header that names a request, towards the app and the client.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const ENVIRONMENT_ID: HeaderName = HeaderName::from_static("x-environment-id");
const CLIENT_IP: HeaderName = HeaderName::from_static("x-client-ip");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// CGI programs take it for a setting of their HTTP client (CVE-2016-5385).
const PROXY: HeaderName = HeaderName::from_static("proxy");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What is the edge's own word to an app: it sets these or takes them away.
const OWN: [HeaderName; 12] = [
    REQUEST_ID,
    PROJECT_ID,
    ENVIRONMENT_ID,
    CLIENT_IP,
    REAL_IP,
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
];
/// What the names of all headers begin with that tell of a request's way.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// What an app is told about a request.
pub(crate) struct Origin<'a> {
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// The environment whose host it names, and its project.
    pub(crate) told: &'a Told,
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// Who opened the connection: the client, or a proxy that is believed about it.
    pub(crate) peer: IpAddr,
    /// Whether it came over TLS.
    pub(crate) https: bool,
}

/// What an app is told about every request alike, ready to be sent.
#[derive(Debug)]
pub(crate) struct Told {
    project: HeaderValue,
    environment: HeaderValue,
}

impl Told {
    /// That it is this environment of this project.
    pub(crate) fn new(project: ProjectId, environment: EnvironmentId) -> Self {
        Self { project: value(&project.to_string()), environment: value(&environment.to_string()) }
    }
}

/// How many headers [`mark_request`] adds at most.
const ADDED_MAX: usize = 8;

/// Tells the app where a request comes from. What the client claimed is replaced, except `X-Forwarded-For`, which
/// grows by the address that the edge saw itself.
pub(crate) fn mark_request(request: &mut RequestHeader, origin: &Origin<'_>) -> Result<()> {
    edit_request(request, |headers| {
        let client = value(&ip_text(origin.client));
        let peer = if origin.peer == origin.client {
            client.clone()
        } else {
            value(&ip_text(origin.peer))
        };
        for claimed in [FORWARDED, PROXY] {
            headers.remove(claimed);
        }
        strip_look_alikes(headers);
        strip_passes(headers);
        headers.reserve(ADDED_MAX);
        let scheme = if origin.https { "https" } else { "http" };
        let forwarded_for = appended(headers, peer);
        headers.insert(REQUEST_ID, value(origin.request_id));
        headers.insert(PROJECT_ID, origin.told.project.clone());
        headers.insert(ENVIRONMENT_ID, origin.told.environment.clone());
        headers.insert(REAL_IP, client.clone());
        headers.insert(CLIENT_IP, client);
        headers.insert(FORWARDED_FOR, forwarded_for);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        match headers.get(HOST).cloned() {
            Some(host) => headers.insert(FORWARDED_HOST, host),
            None => headers.remove(FORWARDED_HOST),
        };
    })
}

/// Takes out what CGI, WSGI, Rack and PHP would take for the edge's own word: to them `X_Real_IP` is `X-Real-IP`.
fn strip_look_alikes(headers: &mut HeaderMap) {
    let forged = headers.keys().filter(|name| is_look_alike(name.as_str()));
    // Mostly there is none, and nothing is allocated.
    for name in forged.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Whether a name is not one of the edge's own, and would be with dashes for its underscores.
fn is_look_alike(name: &str) -> bool {
    if !name.as_bytes().contains(&b'_') {
        return false;
    }
    let dashed = name.replace('_', "-");
    dashed.starts_with(FORWARDED_PREFIX) || OWN.iter().any(|own| own.as_str() == dashed)
}

/// A value of the edge's own making; empty if it could not be one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn appended(headers: &HeaderMap, peer: HeaderValue) -> HeaderValue {
    if !headers.contains_key(FORWARDED_FOR) {
        return peer;
    }
    let claimed = headers.get_all(FORWARDED_FOR).iter().filter_map(|v| v.to_str().ok());
    let mut addresses: Vec<&str> =
        claimed.map(str::trim).filter(|value| !value.is_empty()).collect();
    addresses.extend(peer.to_str());
    value(&addresses.join(", "))
}

/// Edits the headers themselves. What is forgotten is how a client of HTTP/1 wrote their names: nobody may tell names
/// apart by their case (RFC 9110 §5.1), HTTP/2 has none, and Pingora keeps it in a second map that costs more than all
/// that the edge does to a request.
fn edit_request(request: &mut RequestHeader, edit: impl FnOnce(&mut HeaderMap)) -> Result<()> {
    let path = request.uri.path_and_query().map(|path| path.as_str().as_bytes());
    let target = (path != Some(request.raw_path())).then(|| request.raw_path().to_owned());
    let ends = request.send_end_stream();
    let nothing = http::Request::new(()).into_parts().0.into();
    let mut parts: http::request::Parts = mem::replace(request, nothing).into();
    edit(&mut parts.headers);
    *request = parts.into();
    request.set_send_end_stream(ends.unwrap_or(true));
    target.map_or(Ok(()), |target| request.set_raw_path(&target))
}

/// Edits an answer's headers themselves, as [`edit_request`] does.
fn edit_response(response: &mut ResponseHeader, edit: impl FnOnce(&mut HeaderMap)) -> Result<()> {
    let usual = response.status.canonical_reason();
    let reason = response.get_reason_phrase().filter(|reason| Some(*reason) != usual);
    let reason = reason.map(str::to_owned);
    let nothing = http::Response::new(()).into_parts().0.into();
    let mut parts: http::response::Parts = mem::replace(response, nothing).into();
    edit(&mut parts.headers);
    *response = parts.into();
    reason.map_or(Ok(()), |reason| response.set_reason_phrase(Some(&reason)))
}

/// What concerns only the connection to the app.
const HOP_BY_HOP: [HeaderName; 4] = [KEEP_ALIVE, PROXY_CONNECTION, UPGRADE, CONNECTION];

/// Takes what concerns only the connection to the app out of its answer, and stamps it.
pub(crate) fn mark_response(response: &mut ResponseHeader, stamp: Stamp<'_>) -> Result<()> {
    // What comes after a switch of protocols is none of the edge's business, and its clients are the most peculiar.
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        let nominated = nominated(&response.headers);
        edit_response(response, |headers| {
            for name in nominated.iter().chain(&HOP_BY_HOP) {
                headers.remove(name);
            }
        })?;
    }
    stamp.mark(response)
}

/// The headers that `Connection` names, but for those that frame the answer.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !["transfer-encoding", "content-length"].contains(&name.as_str()))
        .collect()
}

/// A header's value as text; empty when it is not there or not ASCII.
pub(crate) fn text(headers: &http::HeaderMap, name: HeaderName) -> &str {
    headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    fn marked(claimed: &[(&'static str, &str)], client: &str, https: bool) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.insert_header("host", "shop.localho.st:8080").unwrap();
        for (name, value) in claimed {
            request.append_header(*name, *value).unwrap();
        }
        let origin = Origin {
            request_id: "01H",
            told: &Told::new(ProjectId::from_parts(1, 1), EnvironmentId::from_parts(1, 2)),
            client: client.parse().unwrap(),
            peer: client.parse().unwrap(),
            https,
        };
        mark_request(&mut request, &origin).unwrap();
        request
    }

    const STAMP: Stamp<'static> =
        Stamp { request_id: "01H", https: false, http3_port: None, security: None };

    fn get<'a>(request: &'a RequestHeader, name: &'static str) -> &'a str {
        assert!(request.headers.get_all(name).iter().count() <= 1, "{name} is there once");
        text(&request.headers, HeaderName::from_static(name))
    }

    #[test]
    fn an_app_is_told_who_asks() {
        let request = marked(&[], "192.0.2.7", false);
        assert_eq!(get(&request, "x-request-id"), "01H");
        assert!(get(&request, "x-project-id").starts_with("prj_"));
        assert!(get(&request, "x-environment-id").starts_with("env_"));
        assert_eq!(get(&request, "x-client-ip"), "192.0.2.7");
        assert_eq!(get(&request, "x-real-ip"), "192.0.2.7");
        assert_eq!(get(&request, "x-forwarded-for"), "192.0.2.7");
        assert_eq!(get(&request, "x-forwarded-proto"), "http");
        assert_eq!(get(&request, "x-forwarded-host"), "shop.localho.st:8080");
    }

    #[test]
    fn claims_are_replaced_and_the_chain_grows() {
        let claimed = [
            ("x-request-id", "mine"),
            ("x-project-id", "prj_0"),
            ("x-client-ip", "127.0.0.1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2, 10.0.0.3"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=127.0.0.1"),
            ("proxy", "http://evil.example"),
        ];
        let request = marked(&claimed, "2001:db8::7", true);
        assert_eq!(get(&request, "x-request-id"), "01H");
        assert!(get(&request, "x-project-id").len() > 20);
        assert_eq!(get(&request, "x-client-ip"), "2001:db8::7");
        assert_eq!(get(&request, "x-forwarded-for"), "10.0.0.1, 10.0.0.2, 10.0.0.3, 2001:db8::7");
        assert_eq!(get(&request, "x-forwarded-proto"), "https");
        assert_eq!(get(&request, "x-forwarded-host"), "shop.localho.st:8080");
        assert_eq!(get(&request, "forwarded"), "");
        assert_eq!(get(&request, "proxy"), "");
    }

    #[test]
    fn nothing_passes_that_programs_take_for_the_edges_word() {
        let forged = [
            "x_client_ip",
            "x-client_ip",
            "x_real_ip",
            "x_forwarded_for",
            "x_forwarded-for",
            "x_forwarded_port",
            "x_request_id",
            "x_environment_id",
            "content_length",
            "transfer_encoding",
        ];
        let others = ["x_other", "x-forwarded", "_", "x_forwardedfor", "x_client_ip_"];
        let claimed: Vec<_> = forged.iter().chain(&others).map(|name| (*name, "1")).collect();
        let request = marked(&claimed, "192.0.2.7", false);
        for name in forged {
            assert!(!request.headers.contains_key(name), "{name} passed");
        }
        for name in others {
            assert_eq!(get(&request, name), "1", "{name}");
        }
        assert_eq!(get(&request, "x-client-ip"), "192.0.2.7");
    }

    #[test]
    fn a_target_outlives_the_marks() {
        for target in [&b"/a?b=c"[..], b"*", b"http://shop.localho.st/a", b"/\xff"] {
            let mut request = RequestHeader::build("GET", target, None).unwrap();
            request.set_send_end_stream(false);
            request.set_version(http::Version::HTTP_2);
            edit_request(&mut request, |_| {}).unwrap();
            assert_eq!(request.raw_path(), target);
            assert_eq!(request.send_end_stream(), Some(false));
        }
    }

    #[test]
    fn a_reason_outlives_the_marks() {
        for reason in ["Fine", "OK"] {
            let mut response = ResponseHeader::build(200, None).unwrap();
            response.set_reason_phrase(Some(reason)).unwrap();
            mark_response(&mut response, STAMP).unwrap();
            assert_eq!(response.get_reason_phrase(), Some(reason));
        }
    }

    #[test]
    fn answers_lose_what_concerned_only_the_app() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("connection", "keep-alive, x-internal"),
            ("keep-alive", "timeout=5"),
            ("x-internal", "1"),
            ("upgrade", "h2c"),
            ("x-other", "stays"),
        ] {
            response.append_header(name, value).unwrap();
        }
        mark_response(&mut response, STAMP).unwrap();
        let names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-other", "x-request-id"]);
    }

    #[test]
    fn a_switch_of_protocols_keeps_its_connection_headers() {
        let mut response = ResponseHeader::build(101, None).unwrap();
        response.insert_header("connection", "Upgrade").unwrap();
        response.insert_header("upgrade", "websocket").unwrap();
        mark_response(&mut response, STAMP).unwrap();
        assert_eq!(text(&response.headers, UPGRADE), "websocket");
        assert_eq!(text(&response.headers, CONNECTION), "Upgrade");
    }
}
