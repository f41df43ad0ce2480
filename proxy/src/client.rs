//! Who sent a request that came through proxies. Pure.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use crate::headers::{FORWARDED_FOR, FORWARDED_PROTO, text};
use crate::networks::Networks;

/// The client of a request that came from `peer`: the right-most address that no trusted proxy has, as each proxy adds
/// to the right whom it took the request from. What stands left of it is anybody's claim. `Forwarded` (RFC 7239) is read
/// only where there is no `X-Forwarded-For`, so that a client cannot add the one that its proxy does not know.
pub(crate) fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let (name, read): (HeaderName, fn(&str) -> Option<IpAddr>) =
        match headers.contains_key(FORWARDED_FOR) {
            true => (FORWARDED_FOR, address),
            false => (FORWARDED, forwarded_address),
        };
    let mut client = peer;
    for line in headers.get_all(name).iter().rev() {
        for hop in line.to_str().unwrap_or_default().rsplit(',') {
            match read(hop.trim()) {
                Some(hop) if trusted.contains(hop) => client = hop,
                Some(hop) => return hop,
                None => return client,
            }
        }
    }
    client
}

/// Whether a trusted proxy took a request over HTTPS.
pub(crate) fn was_https(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> bool {
    trusted.contains(peer) && text(headers, FORWARDED_PROTO).eq_ignore_ascii_case("https")
}

/// An address, with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    let socket = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(socket).or_else(bracketed).map(|address| address.to_canonical())
}

/// The address of `for=` in one element of `Forwarded`.
fn forwarded_address(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    address(named.next()?.1.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use temps_state::Network;

    use super::*;

    fn trusted() -> Networks {
        let networks: Vec<Network> =
            ["10.0.0.0/8", "2001:db8::/32"].iter().map(|text| text.parse().unwrap()).collect();
        networks.iter().collect()
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        const XFF: &str = "x-forwarded-for";
        for (peer, fields, client) in [
            ("192.0.2.1", &[(XFF, "203.0.113.7")][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[(XFF, "203.0.113.7")], "203.0.113.7"),
            ("::ffff:10.0.0.1", &[(XFF, "203.0.113.7")], "203.0.113.7"),
            ("10.0.0.1", &[(XFF, "198.51.100.1, 203.0.113.7")], "203.0.113.7"),
            ("10.0.0.1", &[(XFF, "203.0.113.7, 10.0.0.2")], "203.0.113.7"),
            ("10.0.0.1", &[(XFF, "203.0.113.7"), (XFF, "10.0.0.2")], "203.0.113.7"),
            ("10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("10.0.0.1", &[(XFF, "203.0.113.7, unknown, 10.0.0.2")], "10.0.0.2"),
            ("10.0.0.1", &[(XFF, "garbage")], "10.0.0.1"),
            ("10.0.0.1", &[(XFF, "")], "10.0.0.1"),
            ("10.0.0.1", &[(XFF, "203.0.113.7:4711")], "203.0.113.7"),
            ("10.0.0.1", &[(XFF, "[2001:db9::7]:4711")], "2001:db9::7"),
            ("2001:db8::1", &[(XFF, "2001:db9::7, 2001:db8::2")], "2001:db9::7"),
            ("10.0.0.1", &[("forwarded", "for=203.0.113.7;proto=https")], "203.0.113.7"),
            (
                "10.0.0.1",
                &[("forwarded", "for=198.51.100.1, For=\"[2001:db9::7]:1\";by=_x, for=10.0.0.2")],
                "2001:db9::7",
            ),
            ("10.0.0.1", &[("forwarded", "for=_hidden")], "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1"), (XFF, "203.0.113.7")], "203.0.113.7"),
        ] {
            let found = client_of(peer.parse().unwrap(), &headers(fields), &trusted());
            assert_eq!(
                found.to_canonical(),
                client.parse::<IpAddr>().unwrap(),
                "{peer} {fields:?}"
            );
        }
    }

    #[test]
    fn only_trusted_proxies_say_how_a_request_came() {
        for (peer, proto, https) in [
            ("10.0.0.1", "https", true),
            ("10.0.0.1", "HTTPS", true),
            ("10.0.0.1", "http", false),
            ("10.0.0.1", "http, https", false),
            ("192.0.2.1", "https", false),
        ] {
            let headers = headers(&[("x-forwarded-proto", proto)]);
            assert_eq!(was_https(peer.parse().unwrap(), &headers, &trusted()), https, "{peer}");
        }
    }
}
