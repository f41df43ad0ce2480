//! Which requests somebody wants to see.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{RequestQuery, RequestSeen};
use crate::ApiError;

/// What must hold of a request. Nothing, where there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    since: Option<Timestamp>,
    status: Option<Status>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    client: Option<IpAddr>,
    min_ms: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// With this one.
    Exactly(u16),
    /// With one of this hundred.
    Class(u16),
    /// The client left before.
    None,
}

impl Status {
    fn read(text: &str) -> Option<Self> {
        let is_status = |status: &u16| (100..600).contains(status);
        match text.strip_suffix("xx") {
            _ if text == "none" => Some(Self::None),
            Some(class) => {
                class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class)
            }
            None => text.parse().ok().filter(is_status).map(Self::Exactly),
        }
    }

    fn takes(self, status: Option<u16>) -> bool {
        match self {
            Self::Exactly(wanted) => status == Some(wanted),
            Self::Class(class) => status.is_some_and(|status| status / 100 == class),
            Self::None => status.is_none(),
        }
    }
}

impl Filter {
    /// What a query asks for.
    pub fn read(query: &RequestQuery) -> Result<Self, ApiError> {
        let status = query.status.as_deref().map(|text| {
            let why = "name a status such as 404, a class such as 5xx, or `none`";
            Status::read(text).ok_or_else(|| ApiError::invalid("status", why))
        });
        let client = query.client.as_deref().map(|text| {
            text.parse().map_err(|_| ApiError::invalid("client", "name an IPv4 or IPv6 address"))
        });
        Ok(Self {
            since: query.since,
            status: status.transpose()?,
            method: query.method.as_ref().map(|method| method.to_ascii_uppercase()),
            path: query.path.clone(),
            host: query.host.as_ref().map(|host| host.to_ascii_lowercase()),
            client: client.transpose()?,
            min_ms: query.min_ms.unwrap_or_default(),
        })
    }

    /// Whether it takes a request.
    pub fn takes(&self, seen: &RequestSeen) -> bool {
        self.since.is_none_or(|since| seen.at > since)
            && self.status.is_none_or(|status| status.takes(seen.status))
            && self.method.as_ref().is_none_or(|method| *method == seen.method)
            && self.path.as_ref().is_none_or(|path| seen.path.starts_with(path.as_str()))
            && self.host.as_ref().is_none_or(|host| host.eq_ignore_ascii_case(&seen.host))
            && self.client.is_none_or(|client| client == seen.client)
            && seen.milliseconds >= self.min_ms
    }
}

#[cfg(test)]
mod tests {
    use temps_state::NodeId;

    use super::*;

    fn seen() -> RequestSeen {
        RequestSeen {
            at: Timestamp::from_second(100).unwrap(),
            node: NodeId(1),
            request_id: "01".into(),
            method: "POST".into(),
            host: "app.example.com".into(),
            path: "/orders/7".into(),
            https: true,
            status: Some(503),
            received_bytes: 1,
            sent_bytes: 2,
            milliseconds: 250,
            client: "203.0.113.7".parse().unwrap(),
            replica_node: None,
            error: None,
        }
    }

    fn filter(set: impl FnOnce(&mut RequestQuery)) -> Result<Filter, ApiError> {
        let mut query = RequestQuery::default();
        set(&mut query);
        Filter::read(&query)
    }

    #[test]
    fn what_is_named_must_hold() {
        let at = |second| Timestamp::from_second(second).ok();
        let text = |text: &str| Some(text.to_owned());
        type Set = Box<dyn FnOnce(&mut RequestQuery)>;
        let cases: Vec<(&str, bool, Set)> = vec![
            ("nothing", true, Box::new(|_| {})),
            ("before", true, Box::new(move |query| query.since = at(99))),
            ("not since", false, Box::new(move |query| query.since = at(100))),
            ("its status", true, Box::new(move |query| query.status = text("503"))),
            ("its class", true, Box::new(move |query| query.status = text("5xx"))),
            ("another class", false, Box::new(move |query| query.status = text("4xx"))),
            ("none", false, Box::new(move |query| query.status = text("none"))),
            ("its method", true, Box::new(move |query| query.method = text("post"))),
            ("another method", false, Box::new(move |query| query.method = text("GET"))),
            ("its path", true, Box::new(move |query| query.path = text("/orders"))),
            ("another path", false, Box::new(move |query| query.path = text("/order/"))),
            ("its host", true, Box::new(move |query| query.host = text("App.example.com"))),
            ("another host", false, Box::new(move |query| query.host = text("example.com"))),
            ("its client", true, Box::new(move |query| query.client = text("203.0.113.7"))),
            ("another client", false, Box::new(move |query| query.client = text("::1"))),
            ("as slow", true, Box::new(|query| query.min_ms = Some(250))),
            ("slower", false, Box::new(|query| query.min_ms = Some(251))),
        ];
        for (name, taken, set) in cases {
            assert_eq!(filter(set).unwrap().takes(&seen()), taken, "{name}");
        }
        let left = RequestSeen { status: None, ..seen() };
        assert!(filter(|query| query.status = Some("none".into())).unwrap().takes(&left));
        assert!(!filter(|query| query.status = Some("2xx".into())).unwrap().takes(&left));
    }

    #[test]
    fn what_nobody_understands_is_refused() {
        for status in ["", "6xx", "xx", "99", "600", "5XX", "-1"] {
            assert!(filter(|query| query.status = Some(status.into())).is_err(), "{status}");
        }
        assert!(filter(|query| query.client = Some("localhost".into())).is_err());
    }
}
