//! The head of an HTTP/1 request, and where its host and path lead: what the edge passes, another parser reads alike, and
//! it leads to one place however it is spelled.
#![no_main]
#![allow(dead_code, reason = "the files belong to a larger crate")]

#[path = "../../proxy/src/by_name.rs"]
mod by_name;
#[path = "../../proxy/src/domains.rs"]
mod domains;
#[path = "../../proxy/src/error_page.rs"]
mod error_page;
#[path = "../../proxy/src/head.rs"]
mod head;
#[path = "../../proxy/src/host.rs"]
mod host;
#[path = "../../proxy/src/request_target.rs"]
mod request_target;

/// Those bounds of the edge that hold for a head.
mod limits {
    pub(crate) struct Limits {
        pub(crate) header_bytes_max: usize,
        pub(crate) headers_max: usize,
    }

    pub(crate) const LIMITS: Limits = Limits { header_bytes_max: 64 << 10, headers_max: 100 };
}

use std::sync::{Arc, LazyLock};

use domains::Domains;
use head::{Body, Extent, extent, judge};
use host::host_of;
use http::Uri;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use limits::LIMITS;
use temps_state::{Domain, EnvironmentId, Id};

static DOMAINS: LazyLock<Arc<Domains>> = LazyLock::new(|| {
    let names = ["a.example", "*.a.example", "b.a.example"];
    let all = names.iter().enumerate().map(|(at, name)| domain(name, at as u128 * 10));
    Arc::new(Domains::default()).next(&all.map(|domain| (domain.name.clone(), domain)).collect())
});

fn domain(name: &str, first: u128) -> Domain {
    let to = |n: u128| EnvironmentId::from_parts(0, first + n);
    let paths = ["/api", "/api/v1", "/a"].iter().zip(1..);
    Domain {
        name: name.parse().expect("a name"),
        environment: to(0),
        redirect: None,
        paths: paths.map(|(path, n)| (path.parse().expect("a path"), to(n))).collect(),
        proof: "proof".into(),
        verified_at: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fuzz_target!(|octets: &[u8]| {
    let Ok(Extent::Head(length)) = extent(octets, 0, &LIMITS) else { return };
    let arrived = &octets[..length];
    let Ok(body) = judge(arrived, &LIMITS) else { return };

    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(octets).expect("another parser reads it");
    assert_eq!(parsed, httparse::Status::Complete(length), "both see the same end");
    let value = |name: &str| {
        let mut found = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let value = found.next().map(|h| h.value);
        assert!(found.next().is_none(), "{name} is there once");
        value.map(|value| std::str::from_utf8(value).expect("text"))
    };
    let coding = value("transfer-encoding");
    match (body, value("content-length")) {
        (Body::Chunks, None) => assert!(coding.expect("chunked").eq_ignore_ascii_case("chunked")),
        (Body::Octets(n), Some(text)) => assert!(coding.is_none() && text.parse() == Ok(n)),
        (Body::Octets(0) | Body::Upgrade { .. }, None) => assert!(coding.is_none()),
        (Body::Upgrade { .. }, Some(text)) => assert!(coding.is_none() && text.parse() == Ok(0)),
        (body, length) => panic!("{body:?} by {length:?} and {coding:?}"),
    }

    let uri: Uri = request.path.expect("a target").parse().expect("a URI");
    let host = value("host").unwrap_or_default();
    assert!(uri.authority().is_none_or(|authority| authority.as_str() == host), "one host");
    let host = host_of(host);
    assert_eq!(host_of(&host), host, "spelled one way");
    assert_eq!(host_of(&format!("{}:80", host.to_ascii_uppercase())), host, "and found by all");
    if let Some(leads) = DOMAINS.find(&host) {
        let (path, query) = (uri.path(), format!("{}?query", uri.path()));
        let again: Uri = query.parse().expect("a URI");
        assert_eq!(leads.at(path), leads.at(again.path()), "whatever is asked there");
        assert!(host == "a.example" || host.ends_with(".a.example"));
    }
});
