//! The host that a request names. Pure.

use std::net::Ipv6Addr;

/// Octets of a name (RFC 1035 §2.3.4), without the dot at its end.
const NAME_MAX: usize = 253;

/// Whether this is a host as the Internet has them, with or without a port: a name of letters, digits, dashes, dots and
/// underscores, or an address. What RFC 3986 §3.2.2 allows beyond that, no client sends and every server reads in its own
/// way.
pub(crate) fn is_authority(octets: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(octets) else { return false };
    if let Some(inside) = text.strip_prefix('[') {
        let literal = inside.split_once(']');
        return literal.is_some_and(|(address, rest)| {
            address.parse::<Ipv6Addr>().is_ok() && ends_in_port(rest)
        });
    }
    let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    is_name(name) && ends_in_port(rest)
}

/// Whether this is nothing, or a colon and perhaps a port.
fn ends_in_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_port)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || (text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    name.len() <= NAME_MAX && name.split('.').all(is_label)
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
