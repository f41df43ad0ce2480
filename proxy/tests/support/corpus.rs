//! Reads the corpora of requests: `tests/corpus/http1.txt` says how they are written.

use std::collections::HashMap;

use super::recorder::Got;

/// A case of a corpus: what is sent, and what must happen.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub wanted: Wanted,
    pub octets: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This status, and no whole request at the app.
    Status(u16),
    /// Any status of 400 or above, or none.
    Refused,
    /// Whatever smuggles nothing.
    Harmless,
    /// These requests at the app.
    Requests(Vec<WantedRequest>),
}

/// What the app must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRequest {
    pub line: String,
    pub body: Vec<u8>,
    /// The name of a header that must not be there.
    pub without: Option<String>,
}

impl Case {
    /// Whether what the app got is right for a request on a stream of its own, which was answered or not.
    pub fn is_met(&self, answered: bool, got: &Got) -> bool {
        let lines: Vec<_> = got.whole.iter().map(|r| (r.line.as_str(), &r.body)).collect();
        let right = match &self.wanted {
            Wanted::Requests(wanted) => {
                let wanted: Vec<_> = wanted.iter().map(|w| (w.line.as_str(), &w.body)).collect();
                answered && lines == wanted
            }
            Wanted::Harmless => lines.iter().all(|(line, _)| !line.contains("/smuggled")),
            _ => !answered && lines.is_empty(),
        };
        right && got.broken.is_empty()
    }
}

/// Every case of a corpus, and one for each octet where it names several.
pub fn cases(corpus: &str) -> Vec<Case> {
    let mut words = HashMap::new();
    let mut cases = Vec::new();
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some((word, meaning)) = line.strip_prefix('@').and_then(|l| l.split_once(" = ")) {
            words.insert(word.to_owned(), filled(meaning, &words));
            continue;
        }
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().unwrap_or_else(|| panic!("three parts: {line}"));
        let (name, wanted, octets) = (part(), part(), part());
        let wanted = read_wanted(&filled(wanted, &words));
        for (suffix, text) in each_octet(&filled(octets, &words)) {
            let name = format!("{name}{suffix}");
            cases.push(Case { name, wanted: wanted.clone(), octets: repeated(&text) });
        }
    }
    cases
}

fn filled(text: &str, words: &HashMap<String, String>) -> String {
    words.iter().fold(text.to_owned(), |t, (word, is)| t.replace(&format!("{{{word}}}"), is))
}

fn read_wanted(text: &str) -> Wanted {
    match text.parse() {
        Ok(status) => Wanted::Status(status),
        Err(_) if text == "refused" => Wanted::Refused,
        Err(_) if text == "harmless" => Wanted::Harmless,
        Err(_) => Wanted::Requests(text.split(" & ").map(read_request).collect()),
    }
}

fn read_request(text: &str) -> WantedRequest {
    let (text, without) = match text.rsplit_once(" ! ") {
        Some((text, name)) => (text, Some(name.to_owned())),
        None => (text, None),
    };
    let (line, body) = text.split_once(" < ").unwrap_or((text, ""));
    let line = String::from_utf8(repeated(line)).expect("text");
    WantedRequest { line: format!("{line} HTTP/1.1"), body: repeated(body), without }
}

/// `{octets 00-08 7f}`, as one text for each of them.
fn each_octet(text: &str) -> Vec<(String, String)> {
    let Some((before, rest)) = text.split_once("{octets ") else {
        return vec![(String::new(), text.to_owned())];
    };
    let (ranges, after) = rest.split_once('}').expect("a closing brace");
    let octet = |text| u8::from_str_radix(text, 16).expect("an octet");
    let octets = ranges.split(' ').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        octet(first)..=octet(last)
    });
    octets.map(|o| (format!(", {o:#04x}"), format!("{before}\\x{o:02x}{after}"))).collect()
}

/// `{3*ab}` is `ababab`; what is left are escapes.
fn repeated(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((before, count, what, after)) = repetition(rest) {
        octets.extend(unescaped(before));
        octets.extend(unescaped(what).repeat(count));
        rest = after;
    }
    octets.extend(unescaped(rest));
    octets
}

fn repetition(text: &str) -> Option<(&str, usize, &str, &str)> {
    for (at, _) in text.match_indices('{') {
        let inner = &text[at + 1..];
        let (count, rest) = inner.split_once('*')?;
        if let (Ok(count), Some((what, after))) = (count.parse(), rest.split_once('}')) {
            return Some((&text[..at], count, what, after));
        }
    }
    None
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next().expect("an escape") {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next(), rest.next()].map(|d| d.expect("two digits"));
                    let digits = std::str::from_utf8(&digits).expect("digits");
                    u8::from_str_radix(digits, 16).expect("an octet")
                }
                other => other,
            },
            other => other,
        });
    }
    octets
}
