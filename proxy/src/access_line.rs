//! How an entry of the access log looks as a line, as the node's log writes its events. Pure.

use std::fmt::Write;

use http::Version;
use jiff::Timestamp;
use serde::Serialize;
use temps_state::Name;

use crate::access_log::{Entry, TARGET};
use crate::digits::{push_addr, push_ip, push_number};

/// How lines of the access log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLines {
    /// For people: `name=value`, texts in quotes.
    Text,
    /// One JSON object a line.
    Json,
}

/// Makes lines of entries. At thousands a second, most have the second of the one before.
pub(crate) struct LineWriter {
    form: AccessLines,
    /// The second that was written last, and how it looks.
    second: (i64, String),
}

impl LineWriter {
    /// One that has written nothing yet.
    pub(crate) fn new(form: AccessLines) -> Self {
        Self { form, second: (i64::MIN, String::new()) }
    }

    /// Appends an entry's line.
    pub(crate) fn append(&mut self, line: &mut String, entry: &Entry) {
        match self.form {
            AccessLines::Text => self.text(line, entry),
            AccessLines::Json => self.json(line, entry),
        }
        line.push('\n');
    }

    /// Appends a time to the microsecond.
    fn stamp(&mut self, line: &mut String, at: Timestamp) {
        let micros = at.subsec_microsecond();
        if self.second.0 != at.as_second() {
            let second = format!("{at:.0}");
            self.second = (at.as_second(), second.trim_end_matches('Z').to_owned());
        }
        line.push_str(&self.second.1);
        line.push('.');
        // Six digits, with the zeros in front.
        let digits = [100_000, 10_000, 1_000, 100, 10, 1].map(|unit| micros / unit % 10);
        line.extend(digits.iter().filter_map(|digit| char::from_digit(digit.unsigned_abs(), 10)));
        line.push('Z');
    }

    fn text(&mut self, line: &mut String, entry: &Entry) {
        self.stamp(line, entry.at);
        for part in ["  INFO ", TARGET, ": request"] {
            line.push_str(part);
        }
        quote(line, "request_id", &entry.request_id);
        quote(line, "method", entry.method.as_str());
        quote(line, "scheme", entry.scheme());
        quote(line, "host", &entry.host);
        quote(line, "path", &entry.path);
        line.push_str(" version=");
        line.push_str(version(entry.version));
        let numbers = [
            (" status=", u64::from(entry.status)),
            (" received_bytes=", entry.received_bytes),
            (" sent_bytes=", entry.sent_bytes as u64),
            (" ms=", entry.milliseconds),
        ];
        for (name, number) in numbers {
            line.push_str(name);
            push_number(line, number);
        }
        line.push_str(" client=");
        push_ip(line, entry.client);
        if let Some(route) = &entry.route {
            quote(line, "project", route.project_name.as_str());
            quote(line, "environment", route.environment_name.as_str());
        }
        if let Some(place) = &entry.endpoint {
            line.push_str(" endpoint=");
            push_addr(line, place.addr);
            line.push_str(" replica_node=");
            push_number(line, place.node.0);
        }
        if let Some(error) = &entry.error {
            quote(line, "error", error);
        }
    }

    fn json(&mut self, line: &mut String, entry: &Entry) {
        let mut timestamp = String::new();
        self.stamp(&mut timestamp, entry.at);
        if let Ok(text) = serde_json::to_string(&Line::of(entry, &timestamp)) {
            line.push_str(&text);
        }
    }
}

/// How a version is written in a request line.
fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "?",
    }
}

/// Appends ` name="value"`; what is not plain is escaped, so that nobody writes lines of their own.
fn quote(line: &mut String, name: &str, value: &str) {
    line.push(' ');
    line.push_str(name);
    line.push('=');
    if is_plain(value) {
        line.push('"');
        line.push_str(value);
        line.push('"');
    } else {
        // Writing to a string never fails.
        let _ = write!(line, "{value:?}");
    }
}

/// Whether a text needs no escapes. Looks at all of it, which compilers turn into a few instructions for many octets.
fn is_plain(text: &str) -> bool {
    let is_plain = |octet| matches!(octet, b' '..=b'~') & (octet != b'"') & (octet != b'\\');
    text.bytes().fold(true, |plain, octet| plain & is_plain(octet))
}

/// The fields of an entry, as events of `tracing` have them in JSON.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    request_id: &'a str,
    method: &'a str,
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
    version: &'a str,
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

impl<'a> Line<'a> {
    fn of(entry: &'a Entry, timestamp: &'a str) -> Self {
        let (route, place) = (entry.route.as_ref(), entry.endpoint.as_ref());
        Line {
            timestamp,
            level: "INFO",
            message: "request",
            request_id: &entry.request_id,
            method: entry.method.as_str(),
            scheme: entry.scheme(),
            host: &entry.host,
            path: &entry.path,
            version: version(entry.version),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn entry() -> Entry {
        Entry {
            at: Timestamp::from_microsecond(1_000_000_000_000_001).unwrap(),
            request_id: "01ID".into(),
            method: http::Method::GET,
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
        LineWriter::new(form).append(&mut line, &entry());
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
    fn every_line_has_its_own_time() {
        let mut writer = LineWriter::new(AccessLines::Text);
        for at in ["1970-01-01T00:00:58.5Z", "2026-11-21T09:00:00Z", "2026-11-21T09:00:00.12Z"] {
            for later in [0, 1, 999_999, 1_000_000] {
                let at = at.parse::<Timestamp>().unwrap() + SignedDuration::from_micros(later);
                let mut line = String::new();
                writer.stamp(&mut line, at);
                assert_eq!(line, format!("{at:.6}"));
            }
        }
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
