//! Judges a request's target: a path, `*`, or a whole URL (RFC 9112 §3.2). Pure.

use http::uri::PathAndQuery;

use crate::error_page::Fault;
use crate::host::is_authority;

/// Passes a target that everything behind the edge reads alike; gives the authority of one that is a whole URL.
pub(crate) fn judge_target(target: &[u8]) -> Result<Option<&[u8]>, Fault> {
    if target == b"*" {
        return Ok(None);
    }
    let (authority, path) = split(target);
    let begins = match authority {
        Some(_) => path.is_empty() || path.starts_with(b"/") || path.starts_with(b"?"),
        None => path.starts_with(b"/"),
    };
    if !begins {
        return Err(Fault::BadRequest("the target is neither a path nor an http URL"));
    }
    if authority.is_some_and(|authority| !is_authority(authority)) {
        return Err(Fault::BadRequest("the target's host is not a host name"));
    }
    if !is_plain(path) && !is_readable(path) {
        return Err(Fault::BadRequest("the target has characters that must be percent-encoded"));
    }
    Ok(authority)
}

/// The authority of a whole URL, and what follows it.
fn split(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    for scheme in [&b"http://"[..], b"https://"] {
        let (begin, rest) = target.split_at(scheme.len().min(target.len()));
        if begin.eq_ignore_ascii_case(scheme) {
            let end = rest.iter().position(|o| matches!(o, b'/' | b'?')).unwrap_or(rest.len());
            return (Some(&rest[..end]), &rest[end..]);
        }
    }
    (None, target)
}

/// Whether the very parser that reads it later will: what that refuses must be refused here, with a page that says why.
fn is_readable(path: &[u8]) -> bool {
    let readable = path.is_empty() || PathAndQuery::try_from(path).is_ok();
    readable && path.iter().all(|octet| is_path_octet(*octet))
}

/// Whether a path is short and of octets that every parser takes: most are, and that parser takes ten times as long.
fn is_plain(path: &[u8]) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"/-._~%?=&+".contains(octet);
    path.len() <= PLAIN_MAX && path.iter().all(is_plain)
}

/// Octets of a path that is short.
const PLAIN_MAX: usize = 1_024;

fn is_path_octet(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f && octet != b'#'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_is_readable(path in "/[a-zA-Z0-9/._~%?=&+-]{0,1100}") {
            prop_assert!(is_readable(path.as_bytes()));
            prop_assert_eq!(is_plain(path.as_bytes()), path.len() <= PLAIN_MAX);
        }
    }

    #[test]
    fn paths_and_urls_pass() {
        for (target, authority) in [
            (&b"/"[..], None),
            (b"*", None),
            (b"//a/b", None),
            (b"/a?b=c/d?e", None),
            (b"/%3C{\"a\"}?{1}", None),
            ("/\u{e4}".as_bytes(), None),
            (b"http://a.b:80/c", Some(&b"a.b:80"[..])),
            (b"HTTPS://a", Some(b"a")),
            (b"http://a?b", Some(b"a")),
        ] {
            assert_eq!(judge_target(target), Ok(authority), "{}", target.escape_ascii());
        }
    }

    #[test]
    fn what_is_read_in_two_ways_is_refused() {
        for target in [
            &b"a"[..],
            b"?a",
            b"a:80",
            b"ftp://a/",
            b"http:/a",
            b"http:///a",
            b"http://a@b/",
            b"http://a\\b/",
            b"/a#b",
            b"/a b",
            b"/<",
            b"/?<",
            b"/?\"",
            b"/\xff",
            b"/\x7f",
            b"/\0",
        ] {
            assert!(judge_target(target).is_err(), "{}", target.escape_ascii());
        }
    }
}
