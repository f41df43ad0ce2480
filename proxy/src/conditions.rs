//! Conditional and partial requests for one file (RFC 9110 §13 and §14). Pure.

use http::header::{
    ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE,
};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use temps_state::{Encoding, StaticFile};

use crate::accept_encoding::choose;
use crate::error_page::Fault;
use crate::headers::text;

/// Codings in the order that serves clients best when they like several equally: all are ready on disk.
const PREFERRED: [Encoding; 3] = [Encoding::Brotli, Encoding::Zstd, Encoding::Gzip];

/// What to answer for a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All of it, as kept in this coding.
    Whole(Option<Encoding>),
    /// These octets of it, from the first to the last, without coding.
    Part {
        /// The first octet.
        first: u64,
        /// The last octet.
        last: u64,
    },
    /// The client has it already, in this coding.
    NotModified(Option<Encoding>),
}

/// The strong `ETag` of a file in a coding.
pub(crate) fn etag(file: &StaticFile, encoding: Option<Encoding>) -> String {
    match encoding {
        Some(encoding) => format!("\"{}-{}\"", file.sha256, encoding.extension()),
        None => format!("\"{}\"", file.sha256),
    }
}

/// A time as HTTP writes it.
pub(crate) fn http_date(at: Timestamp) -> String {
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

/// Decides how a request for a file is answered.
pub(crate) fn answer(
    file: &StaticFile,
    modified: Timestamp,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Answer, Fault> {
    let range = text(headers, RANGE);
    let partial = method == Method::GET && !range.is_empty() && if_range(file, modified, headers);
    let encoding = if partial { None } else { encoding(file, headers) };
    let tag = etag(file, encoding);
    precondition(&tag, modified, headers)?;
    if is_known(&tag, modified, headers) {
        return Ok(Answer::NotModified(encoding));
    }
    match parse_range(range, file.bytes).filter(|_| partial) {
        Some(Some((first, last))) => Ok(Answer::Part { first, last }),
        Some(None) => Err(Fault::RangeNotSatisfiable(file.bytes)),
        None => Ok(Answer::Whole(encoding)),
    }
}

fn encoding(file: &StaticFile, headers: &HeaderMap) -> Option<Encoding> {
    let kept = PREFERRED.into_iter().filter(|encoding| file.encodings.contains(encoding));
    choose(text(headers, ACCEPT_ENCODING), &kept.collect::<Vec<_>>())
}

fn precondition(tag: &str, modified: Timestamp, headers: &HeaderMap) -> Result<(), Fault> {
    let holds = if headers.contains_key(IF_MATCH) {
        lists(text(headers, IF_MATCH), |listed| listed == tag)
    } else {
        time(text(headers, IF_UNMODIFIED_SINCE)).is_none_or(|since| seconds(modified) <= since)
    };
    if holds { Ok(()) } else { Err(Fault::PreconditionFailed) }
}

fn is_known(tag: &str, modified: Timestamp, headers: &HeaderMap) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        let same = |listed: &str| listed.strip_prefix("W/").unwrap_or(listed) == tag;
        return lists(text(headers, IF_NONE_MATCH), same);
    }
    time(text(headers, IF_MODIFIED_SINCE)).is_some_and(|since| seconds(modified) <= since)
}

fn lists(value: &str, is_it: impl Fn(&str) -> bool) -> bool {
    value.trim() == "*" || value.split(',').map(str::trim).any(is_it)
}

/// Whether a part is still of what the client has.
fn if_range(file: &StaticFile, modified: Timestamp, headers: &HeaderMap) -> bool {
    match text(headers, IF_RANGE) {
        "" => !headers.contains_key(IF_RANGE),
        tag if tag.starts_with('"') => tag == etag(file, None),
        date => time(date) == Some(seconds(modified)),
    }
}

fn time(date: &str) -> Option<i64> {
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok().map(seconds)
}

fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

/// Reads `bytes=first-last`. The outer `None` is a range that must be ignored: another unit, several ranges, or
/// nonsense. The inner one is a range that the file does not have.
#[expect(clippy::option_option, reason = "three outcomes, explained above")]
fn parse_range(value: &str, bytes: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = value.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let end = bytes.checked_sub(1);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(end.filter(|_| suffix > 0).map(|end| (bytes.saturating_sub(suffix), end)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(end.filter(|end| first <= *end).map(|end| (first, last.min(end))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const EARLIER: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const LATER: &str = "Wed, 15 Nov 2023 22:13:20 GMT";

    fn file() -> StaticFile {
        let encodings = vec![Encoding::Gzip, Encoding::Brotli];
        StaticFile { sha256: "ab".into(), bytes: 100, encodings }
    }

    fn modified() -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_500).unwrap()
    }

    fn asked(method: &str, headers: &[(&'static str, &str)]) -> Result<Answer, Fault> {
        let map = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        answer(&file(), modified(), &method.parse().unwrap(), &map.collect())
    }

    #[test]
    fn http_dates_are_read_and_written() {
        assert_eq!(http_date(modified()), DATE);
        assert_eq!(time(DATE), Some(1_700_000_000));
        assert_eq!(time("yesterday"), None);
        assert_eq!(time(""), None);
    }

    #[test]
    fn the_coding_that_the_client_likes_is_sent() {
        use Encoding::*;
        for (accept, encoding) in [
            ("gzip, br, zstd", Some(Brotli)),
            ("gzip", Some(Gzip)),
            ("zstd", None),
            ("br;q=0.1, gzip", Some(Gzip)),
        ] {
            assert_eq!(asked("GET", &[("accept-encoding", accept)]), Ok(Answer::Whole(encoding)));
        }
        assert_eq!(asked("GET", &[]), Ok(Answer::Whole(None)));
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let known = Ok(Answer::NotModified(None));
        let whole = Ok(Answer::Whole(None));
        for (headers, expected) in [
            (vec![("if-none-match", "\"ab\"")], &known),
            (vec![("if-none-match", "W/\"ab\"")], &known),
            (vec![("if-none-match", "\"x\", \"ab\"")], &known),
            (vec![("if-none-match", "*")], &known),
            (vec![("if-none-match", "\"ab-gz\"")], &whole),
            (vec![("if-none-match", "ab")], &whole),
            (vec![("if-modified-since", DATE)], &known),
            (vec![("if-modified-since", LATER)], &known),
            (vec![("if-modified-since", EARLIER)], &whole),
            (vec![("if-modified-since", "nonsense")], &whole),
            (vec![("if-none-match", "\"x\""), ("if-modified-since", LATER)], &whole),
        ] {
            assert_eq!(&asked("GET", &headers), expected, "{headers:?}");
            assert_eq!(&asked("HEAD", &headers), expected, "{headers:?}");
        }
        let coded = asked("GET", &[("accept-encoding", "gzip"), ("if-none-match", "\"ab-gz\"")]);
        assert_eq!(coded, Ok(Answer::NotModified(Some(Encoding::Gzip))));
    }

    #[test]
    fn preconditions_are_checked() {
        let failed = Err(Fault::PreconditionFailed);
        let whole = Ok(Answer::Whole(None));
        for (header, expected) in [
            (("if-match", "\"ab\""), &whole),
            (("if-match", "*"), &whole),
            (("if-match", "W/\"ab\""), &failed),
            (("if-match", "\"x\""), &failed),
            (("if-unmodified-since", DATE), &whole),
            (("if-unmodified-since", EARLIER), &failed),
        ] {
            assert_eq!(&asked("GET", &[header]), expected, "{header:?}");
        }
    }

    #[test]
    fn parts_are_sent_on_request() {
        let part = |first, last| Ok(Answer::Part { first, last });
        let whole = || Ok(Answer::Whole(None));
        let beyond = || Err(Fault::RangeNotSatisfiable(100));
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 99)),
            ("bytes=10-", part(10, 99)),
            ("bytes=10-1000", part(10, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=100-", beyond()),
            ("bytes=-0", beyond()),
            ("bytes=5-4", whole()),
            ("bytes=0-1,5-6", whole()),
            ("bytes=-", whole()),
            ("bytes=a-b", whole()),
            ("bytes=+1-2", whole()),
            ("bytes", whole()),
            ("lines=1-2", whole()),
        ] {
            assert_eq!(asked("GET", &[("range", range)]), expected, "{range}");
        }
        assert_eq!(asked("HEAD", &[("range", "bytes=0-0")]), whole());
        assert_eq!(asked("GET", &[("range", "bytes=0-0"), ("accept-encoding", "br")]), part(0, 0));
    }

    #[test]
    fn a_part_is_sent_only_of_what_the_client_has() {
        let part = Ok(Answer::Part { first: 0, last: 0 });
        let whole = Ok(Answer::Whole(None));
        for (condition, expected) in [
            ("\"ab\"", &part),
            ("\"x\"", &whole),
            ("W/\"ab\"", &whole),
            (DATE, &part),
            (LATER, &whole),
        ] {
            let asked = asked("GET", &[("range", "bytes=0-0"), ("if-range", condition)]);
            assert_eq!(&asked, expected, "{condition}");
        }
    }

    #[test]
    fn an_empty_file_has_no_part() {
        assert_eq!(parse_range("bytes=0-", 0), Some(None));
        assert_eq!(parse_range("bytes=-5", 0), Some(None));
    }

    proptest! {
        #[test]
        fn a_part_is_within_the_file(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", bytes: u64) {
            if let Some(Some((first, last))) = parse_range(&range, bytes) {
                prop_assert!(first <= last && last < bytes);
            }
        }
    }
}
