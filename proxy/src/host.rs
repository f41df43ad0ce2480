//! The host that a request names. Pure.

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
