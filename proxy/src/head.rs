//! Judges the raw head of an HTTP/1 request, before anything else reads it. Pure.
//!
//! Two parsers that see different requests in the same octets are how requests are smuggled past a proxy. So a head
//! passes only where RFC 9112 leaves no room: lines end in CRLF, nothing is folded, one length at most, and the only
//! transfer coding is `chunked`.

use memchr::{memchr, memchr_iter};

use crate::error_page::Fault;
use crate::host::is_authority;
use crate::limits::Limits;
use crate::request_target::judge_target;

/// Octets of a method. Those that are registered have 17 at most.
pub(crate) const METHOD_MAX: usize = 64;

/// What an HTTP/2 client that knows the server sends first (RFC 9113 §3.4).
pub(crate) const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Where a head ends, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// More octets are needed.
    Partial,
    /// The head takes this many octets.
    Head(usize),
    /// HTTP/2 begins.
    H2,
}

/// How much of what follows the head belongs to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Exactly this many octets.
    Octets(u64),
    /// As many as its chunks tell.
    Chunks,
    /// All that follows, once the app agrees to another protocol.
    Upgrade {
        /// Whether that is a WebSocket.
        websocket: bool,
    },
}

/// Finds the end of the head in what has arrived so far; `seen` octets were looked at before.
pub(crate) fn extent(arrived: &[u8], seen: usize, limits: &Limits) -> Result<Extent, Fault> {
    if arrived.starts_with(H2_PREFACE) {
        return Ok(Extent::H2);
    }
    if H2_PREFACE.starts_with(arrived) {
        return Ok(Extent::Partial);
    }
    if arrived.first().is_some_and(|first| !is_token_octet(*first)) {
        return Err(Fault::BadRequest("the request does not begin with a method"));
    }
    let head = end_of_head(arrived, seen)?;
    match head {
        Some(length) if length > limits.header_bytes_max => Err(Fault::HeadersTooLarge),
        Some(length) => Ok(Extent::Head(length)),
        None if arrived.len() > limits.header_bytes_max => Err(Fault::HeadersTooLarge),
        None => Ok(Extent::Partial),
    }
}

fn end_of_head(arrived: &[u8], seen: usize) -> Result<Option<usize>, Fault> {
    // Three octets of an end may have arrived before.
    let from = seen.saturating_sub(3).min(arrived.len());
    for at in memchr_iter(b'\n', &arrived[from..]).map(|at| from + at) {
        if at == 0 || arrived[at - 1] != b'\r' {
            return Err(Fault::BadRequest("a line does not end in CRLF"));
        }
        if arrived[..at].ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

/// Judges a whole head and tells how its body is framed.
pub(crate) fn judge(head: &[u8], limits: &Limits) -> Result<Body, Fault> {
    // The last line keeps its CR, as the others do.
    let text = head.strip_suffix(b"\n\r\n").unwrap_or(head);
    let mut lines = lines_of(text);
    let (version, authority) = judge_request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields { authority, ..Fields::default() };
    for (count, line) in lines.enumerate() {
        if count >= limits.headers_max {
            return Err(Fault::HeadersTooLarge);
        }
        fields.judge(line)?;
    }
    fields.framing(version)
}

/// The lines of a text, without what ends them.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    memchr_iter(b'\n', text).chain([text.len()]).map(move |end| {
        let line = &text[begin..end];
        begin = end + 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// The version, and the authority where the target names one.
fn judge_request_line(line: &[u8]) -> Result<(Version, Option<&[u8]>), Fault> {
    let bad = || Fault::BadRequest("the request line is not `METHOD target HTTP/1.1`");
    let mut words = line.split(|octet| *octet == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().ok_or_else(bad)?);
    let version = match words.next().ok_or_else(bad)? {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(bad()),
    };
    if words.next().is_some() || target.is_empty() {
        return Err(bad());
    }
    if !is_token(method) || method.len() > METHOD_MAX {
        return Err(bad());
    }
    match (method, target) {
        (b"CONNECT", _) => Err(Fault::MethodNotAllowed),
        // A client of HTTP/2 that a middlebox translates wrongly (RFC 9113 §3.4).
        (b"PRI", _) => Err(bad()),
        (_, b"*") if method != b"OPTIONS" => {
            Err(Fault::BadRequest("only OPTIONS may have the target `*`"))
        }
        _ => Ok((version, judge_target(target)?)),
    }
}

/// What the fields say about framing.
#[derive(Default)]
struct Fields<'a> {
    /// Whom the request line names.
    authority: Option<&'a [u8]>,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: Option<Upgrade>,
}

/// What a client would rather speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    WebSocket,
    Other,
}

impl Fields<'_> {
    fn judge(&mut self, line: &[u8]) -> Result<(), Fault> {
        let colon = memchr(b':', line);
        let (name, value) = line.split_at(colon.ok_or(Fault::BadRequest("a header has no colon"))?);
        if !is_token(name) {
            return Err(Fault::BadRequest("a header's name is not a token, or a header is folded"));
        }
        let value = trim(&value[1..]);
        if !value.iter().all(|octet| is_value_octet(*octet)) {
            return Err(Fault::BadRequest("a header's value has control characters"));
        }
        self.note(name, value)
    }

    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length =
                length(value).ok_or(Fault::BadRequest("Content-Length is not a number"))?;
            if self.length.replace(length).is_some() {
                return Err(Fault::BadRequest("there is more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::BadRequest("Transfer-Encoding is not exactly `chunked`"));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if !is_authority(value) {
                return Err(Fault::BadRequest("Host is not a host name"));
            }
            if self.authority.is_some_and(|authority| authority != value) {
                return Err(Fault::BadRequest("the target and Host name different hosts"));
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            let websocket = value.eq_ignore_ascii_case(b"websocket");
            self.upgrade = Some(if websocket { Upgrade::WebSocket } else { Upgrade::Other });
        }
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Body, Fault> {
        let needs_one = version == Version::Http11 || self.authority.is_some();
        if self.hosts > 1 || (self.hosts == 0 && needs_one) {
            return Err(Fault::BadRequest("there is not exactly one Host"));
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => {
                Err(Fault::BadRequest("both Transfer-Encoding and Content-Length are there"))
            }
            (true, None) if version == Version::Http10 => {
                Err(Fault::BadRequest("HTTP/1.0 knows no Transfer-Encoding"))
            }
            (true, None) => Ok(Body::Chunks),
            (false, length @ (None | Some(0))) => Ok(match self.upgrade {
                Some(upgrade) => Body::Upgrade { websocket: upgrade == Upgrade::WebSocket },
                None => Body::Octets(length.unwrap_or(0)),
            }),
            (false, Some(length)) => Ok(Body::Octets(length)),
        }
    }
}

/// Takes the spaces and tabs around a value, and nothing else that some parsers take for space.
fn trim(value: &[u8]) -> &[u8] {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let begin = value.iter().position(|octet| !is_space(octet)).unwrap_or(value.len());
    let end = value.iter().rposition(|octet| !is_space(octet)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// Whether this is a `token` of RFC 9110 §5.6.2.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|octet| is_token_octet(*octet))
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_token_octet(octet: u8) -> bool {
    TOKEN_OCTETS[octet as usize]
}

/// Which octets a token may have: each octet of each head is looked up here.
static TOKEN_OCTETS: [bool; 256] = {
    let mut octets = [false; 256];
    let mut octet = 0;
    while octet < octets.len() {
        octets[octet] = (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        octets[others[at] as usize] = true;
        at += 1;
    }
    octets
};

/// What a header's value may have, RFC 9110 §5.5.
pub(crate) fn is_value_octet(octet: u8) -> bool {
    octet == b'\t' || (octet >= b' ' && octet != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(head: &str) -> Result<Body, u16> {
        let limits = Limits::default();
        match extent(head.as_bytes(), 0, &limits) {
            Ok(Extent::Head(length)) => {
                judge(&head.as_bytes()[..length], &limits).map_err(|fault| fault.status())
            }
            Ok(_) => Err(0),
            Err(fault) => Err(fault.status()),
        }
    }

    #[test]
    fn clear_requests_pass() {
        for (head, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body::Octets(0)),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Body::Octets(0)),
            ("GET / HTTP/1.0\r\n\r\n", Body::Octets(0)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Body::Octets(5)),
            ("POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:Chunked\r\n\r\n", Body::Chunks),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\n",
                Body::Upgrade { websocket: true },
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", Body::Upgrade { websocket: false }),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Body::Octets(0)),
            ("GET / HTTP/1.1\r\nHost: [::1]:80\r\nX: a\tb \u{e4}\r\n\r\n", Body::Octets(0)),
        ] {
            assert_eq!(verdict(head), Ok(body), "{head:?}");
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\n";
        for (why, head) in [
            ("CL and TE", format!("{post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")),
            ("TE and CL", format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n")),
            ("two lengths", format!("{post}Content-Length: 3\r\nContent-Length: 4\r\n\r\n")),
            ("same lengths", format!("{post}Content-Length: 3\r\nContent-Length: 3\r\n\r\n")),
            ("list of lengths", format!("{post}Content-Length: 3, 3\r\n\r\n")),
            ("signed length", format!("{post}Content-Length: +3\r\n\r\n")),
            ("hex length", format!("{post}Content-Length: 0x3\r\n\r\n")),
            ("empty length", format!("{post}Content-Length:\r\n\r\n")),
            ("huge length", format!("{post}Content-Length: 99999999999999999999\r\n\r\n")),
            ("TE identity", format!("{post}Transfer-Encoding: identity\r\n\r\n")),
            ("TE gzip, chunked", format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n")),
            ("TE xchunked", format!("{post}Transfer-Encoding: xchunked\r\n\r\n")),
            ("TE with a tab", format!("{post}Transfer-Encoding: chunked\x0b\r\n\r\n")),
            (
                "two TE",
                format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ),
            ("space before colon", format!("{post}Transfer-Encoding : chunked\r\n\r\n")),
            ("folded", format!("{post}X: a\r\n b\r\n\r\n")),
            ("folded with a tab", format!("{post}X: a\r\n\tb\r\n\r\n")),
            ("bare LF", "POST / HTTP/1.1\nHost: a\n\n".into()),
            ("one bare LF", format!("{post}X: a\nY: b\r\n\r\n")),
            ("bare CR", format!("{post}X: a\rY: b\r\n\r\n")),
            ("CR at the end", format!("{post}X: a\r\r\n\r\n")),
            ("form feed at the end", format!("{post}X: a\x0c\r\n\r\n")),
            ("form feed at the beginning", format!("{post}Content-Length:\x0c3\r\n\r\n")),
            ("NUL", format!("{post}X: a\0b\r\n\r\n")),
            ("no colon", format!("{post}X\r\n\r\n")),
            ("empty name", format!("{post}: x\r\n\r\n")),
            ("leading CRLF", format!("\r\n{post}\r\n")),
            ("1.0 and TE", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
            ("no Host", "GET / HTTP/1.1\r\n\r\n".into()),
            ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into()),
            ("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into()),
            ("Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into()),
            ("version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into()),
            ("version 0.9", "GET /\r\n\r\n".into()),
            ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("other host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("control in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("tab in the line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("method", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            ("long method", format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(65))),
            ("TLS", "\x16\x03\x01\x02\r\n\r\n".into()),
        ] {
            assert_eq!(verdict(&head), Err(400), "{why}");
        }
        assert_eq!(verdict("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), Err(405));
    }

    #[test]
    fn heads_are_bounded() {
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
        assert_eq!(verdict(&many), Err(431));
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(70_000));
        assert_eq!(verdict(&long), Err(431));
        let endless = "GET /".to_owned() + &"y".repeat(70_000);
        assert_eq!(verdict(&endless), Err(431));
    }

    #[test]
    fn http2_is_told_by_its_preface() {
        let limits = Limits::default();
        for length in 0..H2_PREFACE.len() {
            assert_eq!(extent(&H2_PREFACE[..length], 0, &limits), Ok(Extent::Partial));
        }
        assert_eq!(extent(H2_PREFACE, 0, &limits), Ok(Extent::H2));
    }

    proptest! {
        #[test]
        fn octets_in_any_pieces_get_the_same_verdict(
            octets in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200),
            piece in 1_usize..9,
        ) {
            let limits = Limits::default();
            let whole = extent(&octets, 0, &limits);
            let mut seen = 0;
            let mut pieced = Ok(Extent::Partial);
            while pieced == Ok(Extent::Partial) && seen < octets.len() {
                let arrived = &octets[..octets.len().min(seen + piece)];
                pieced = extent(arrived, seen, &limits);
                seen = arrived.len();
            }
            prop_assert_eq!(&pieced, &whole);
            let _ = judge(&octets, &limits);
        }
    }
}
