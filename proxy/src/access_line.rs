//! How an entry of the access log looks as a line, as the node's log writes its events. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use temps_state::Name;

use crate::access_log::{Entry, TARGET};

/// How lines of the access log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLines {
    /// For people: `name=value`, texts in quotes.
    Text,
    /// One JSON object a line.
    Json,
}

impl AccessLines {
    /// Appends an entry's line.
    pub(crate) fn append(self, line: &mut String, entry: &Entry) {
        match self {
            Self::Text => text(line, entry),
            Self::Json => json(line, entry),
        }
        line.push('\n');
    }
}

fn text(line: &mut String, entry: &Entry) {
    // Writing to a string never fails.
    let _ = write!(line, "{:.6}  INFO {TARGET}: request", entry.at);
    let quoted = [
        ("request_id", entry.request_id.as_str()),
        ("method", &entry.method),
        ("scheme", entry.scheme()),
        ("host", &entry.host),
        ("path", &entry.path),
    ];
    for (name, value) in quoted {
        quote(line, name, value);
    }
    let Entry { version, status, received_bytes, sent_bytes, milliseconds, client, .. } = entry;
    let _ = write!(
        line,
        " version={version:?} status={status} received_bytes={received_bytes} \
         sent_bytes={sent_bytes} ms={milliseconds} client={client}"
    );
    if let Some(route) = &entry.route {
        quote(line, "project", route.project_name.as_str());
        quote(line, "environment", route.environment_name.as_str());
    }
    if let Some(place) = &entry.endpoint {
        let _ = write!(line, " endpoint={} replica_node={}", place.addr, place.node);
    }
    if let Some(error) = &entry.error {
        quote(line, "error", error);
    }
}

/// Appends ` name="value"`; what is not plain is escaped, so that nobody writes lines of their own.
fn quote(line: &mut String, name: &str, value: &str) {
    let plain = |octet: u8| matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\';
    line.push(' ');
    line.push_str(name);
    line.push('=');
    if value.bytes().all(plain) {
        line.push('"');
        line.push_str(value);
        line.push('"');
    } else {
        let _ = write!(line, "{value:?}");
    }
}

/// The fields of an entry, as events of `tracing` have them in JSON.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: &'a str,
    request_id: &'a str,
    method: &'a str,
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
    version: String,
    status: u16,
    received_bytes: u64,
    sent_bytes: usize,
    ms: u64,
    client: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replica_node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    target: &'a str,
}

fn json(line: &mut String, entry: &Entry) {
    let route = entry.route.as_ref();
    let place = entry.endpoint.as_ref();
    let fields = Line {
        timestamp: stamp(entry.at),
        level: "INFO",
        message: "request",
        request_id: &entry.request_id,
        method: &entry.method,
        scheme: entry.scheme(),
        host: &entry.host,
        path: &entry.path,
        version: format!("{:?}", entry.version),
        status: entry.status,
        received_bytes: entry.received_bytes,
        sent_bytes: entry.sent_bytes,
        ms: entry.milliseconds,
        client: entry.client,
        project: route.map(|route| &route.project_name),
        environment: route.map(|route| &route.environment_name),
        endpoint: place.map(|place| place.addr.to_string()),
        replica_node: place.map(|place| place.node.to_string()),
        error: entry.error.as_deref(),
        target: TARGET,
    };
    if let Ok(text) = serde_json::to_string(&fields) {
        line.push_str(&text);
    }
}

fn stamp(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            at: Timestamp::from_microsecond(1_000_000_000_000_001).unwrap(),
            request_id: "01ID".into(),
            method: "GET".into(),
            host: "a.example.com".into(),
            path: "/a \"b\"\n".into(),
            version: http::Version::HTTP_2,
            status: 200,
            received_bytes: 1,
            sent_bytes: 2,
            milliseconds: 3,
            client: [192, 0, 2, 1].into(),
            https: true,
            route: None,
            endpoint: None,
            error: Some("it left".into()),
        }
    }

    fn line(form: AccessLines) -> String {
        let mut line = String::new();
        form.append(&mut line, &entry());
        line
    }

    #[test]
    fn a_line_of_text_is_one_line_whatever_the_request_says() {
        assert_eq!(
            line(AccessLines::Text),
            "2001-09-09T01:46:40.000001Z  INFO temps::access: request request_id=\"01ID\" \
             method=\"GET\" scheme=\"https\" host=\"a.example.com\" path=\"/a \\\"b\\\"\\n\" \
             version=HTTP/2.0 status=200 received_bytes=1 sent_bytes=2 ms=3 client=192.0.2.1 \
             error=\"it left\"\n"
        );
    }

    #[test]
    fn a_line_of_json_has_the_same_fields() {
        let line = line(AccessLines::Json);
        assert!(line.ends_with("}\n") && line.lines().count() == 1);
        let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(fields["timestamp"], "2001-09-09T01:46:40.000001Z");
        assert_eq!((&fields["target"], &fields["level"]), (&TARGET.into(), &"INFO".into()));
        assert_eq!((&fields["path"], &fields["status"]), (&"/a \"b\"\n".into(), &200.into()));
        assert_eq!((&fields["version"], &fields["ms"]), (&"HTTP/2.0".into(), &3.into()));
        assert!(fields.get("project").is_none() && fields["error"] == "it left");
    }
}
