//! The host that a request names. Pure.

use std::net::Ipv6Addr;

use memchr::memchr;

/// Octets of a name (RFC 1035 §2.3.4), without the dot at its end.
pub(crate) const NAME_MAX: usize = 253;

/// Whether this is a host as the Internet has them, with or without a port: a name of letters, digits, dashes, dots and
/// underscores, or an address. What RFC 3986 §3.2.2 allows beyond that, no client sends and every server reads in its own
/// way.
pub(crate) fn is_authority(octets: &[u8]) -> bool {
    if let Some(inside) = octets.strip_prefix(b"[") {
        let Some(end) = inside.iter().position(|octet| *octet == b']') else { return false };
        let address = std::str::from_utf8(&inside[..end]).ok().map(str::parse::<Ipv6Addr>);
        return matches!(address, Some(Ok(_))) && ends_in_port(&inside[end + 1..]);
    }
    let (name, rest) = octets.split_at(memchr(b':', octets).unwrap_or(octets.len()));
    is_name(name) && ends_in_port(rest)
}

/// Whether this is nothing, or a colon and perhaps a port.
fn ends_in_port(octets: &[u8]) -> bool {
    octets.is_empty() || octets.strip_prefix(b":").is_some_and(is_port)
}

fn is_port(octets: &[u8]) -> bool {
    let number = || std::str::from_utf8(octets).is_ok_and(|text| text.parse::<u16>().is_ok());
    octets.is_empty() || (octets.iter().all(u8::is_ascii_digit) && number())
}

/// Whether this is one label or more, with dots between them and perhaps one behind.
fn is_name(octets: &[u8]) -> bool {
    let name = octets.strip_suffix(b".").unwrap_or(octets);
    let mut before = b'.';
    let is_next = |octet: &u8| {
        let follows = *octet != b'.' || before != b'.';
        before = *octet;
        follows && (octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
    };
    name.len() <= NAME_MAX && name.iter().all(is_next) && before != b'.'
}

/// The host in an authority such as `Shop.Example.com.:8080`: lower-case, without port and trailing dot.
/// An IPv6 literal keeps its brackets.
pub(crate) fn host_of(authority: &str) -> String {
    let host = without_port(authority);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn without_port(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    match authority.split_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The port in an authority, where it has one.
pub(crate) fn port_of(authority: &str) -> Option<u16> {
    authority.strip_prefix(without_port(authority))?.strip_prefix(':')?.parse().ok()
}

/// Whether `host` is directly under `domain`, one label deep, as a wildcard certificate covers it.
pub(crate) fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_loses_case_port_and_dot() {
        for (authority, host) in [
            ("shop.localho.st", "shop.localho.st"),
            ("Shop.LocalHo.st:8080", "shop.localho.st"),
            ("shop.localho.st.", "shop.localho.st"),
            ("shop.localho.st.:80", "shop.localho.st"),
            ("shop.localho.st:", "shop.localho.st"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::1", "[::1"),
            ("::1", "::1"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("a:b", "a:b"),
            ("", ""),
            (".", ""),
            (":80", ""),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn an_authority_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in [
            "a",
            "shop.localho.st",
            "A_b-c.d.",
            "a:80",
            "a:",
            "a:00080",
            "a:65535",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::1]:443",
            "xn--bcher-kva.example",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a..",
            "a:b",
            "a:65536",
            "a:+1",
            "a:-1",
            "a:80:81",
            "a b",
            "a,b",
            "*.a",
            "a%2f",
            "a@b",
            "a/b",
            "[::1",
            "::1",
            "::1]",
            "[::1]a",
            "[a]",
            "[:",
            "[:80",
            "[::1]:a",
            "[::1%eth0]",
            "\u{e4}",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
        assert!(!is_authority("a.".repeat(130).as_bytes()));
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(is_under("a.localho.st", "localho.st"));
        for not in ["localho.st", "a.b.localho.st", "alocalho.st", ".localho.st", "example.com", ""]
        {
            assert!(!is_under(not, "localho.st"), "{not}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_host(text in "\\PC*") {
            let host = host_of(&text);
            prop_assert!(host.len() <= text.len());
            is_under(&host, "localho.st");
        }
    }
}
