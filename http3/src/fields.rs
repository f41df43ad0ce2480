//! Looks through a head's fields for what the h3 crate passes over. Pure.
//!
//! It takes the last of two pseudo-headers, and those that stand behind a header, though both make a request malformed
//! (RFC 9114 §4.3): whoever looks at the first and whoever looks at the last see different requests.

/// Whether the pseudo-headers of a request stand before all headers, each once. A block that is broken is left to h3.
pub(crate) fn are_in_order(block: &[u8]) -> bool {
    let mut seen = [false; PSEUDO.len()];
    let mut headers = false;
    let mut rest = Rest(block);
    // What refers to a table that changes, which there is none of here (RFC 9204 §4.5.1).
    if rest.integer(8).is_none() || rest.integer(7).is_none() {
        return true;
    }
    while !rest.0.is_empty() {
        match rest.field() {
            Some(Field::Pseudo(which)) => {
                if headers || std::mem::replace(&mut seen[which], true) {
                    return false;
                }
            }
            Some(Field::Unknown) => return false,
            Some(Field::Header) => headers = true,
            None => return true,
        }
    }
    true
}

/// What a request may have.
const PSEUDO: [&[u8]; 5] = [b":authority", b":path", b":method", b":scheme", b":protocol"];

enum Field {
    /// One of [`PSEUDO`].
    Pseudo(usize),
    /// A pseudo-header that no request has.
    Unknown,
    Header,
}

/// By its place in the static table (RFC 9204, appendix A).
fn in_table(index: u64) -> Field {
    match index {
        0 => Field::Pseudo(0),
        1 => Field::Pseudo(1),
        15..=21 => Field::Pseudo(2),
        22 | 23 => Field::Pseudo(3),
        24..=28 | 63..=71 => Field::Unknown,
        _ => Field::Header,
    }
}

fn by_name(name: &[u8], huffman: bool) -> Field {
    // A colon in Huffman's code is 1011100 (RFC 7541, appendix B). No client writes so what the table has.
    let coded = huffman && name.first().is_some_and(|first| first >> 1 == 0b101_1100);
    match PSEUDO.iter().position(|pseudo| !huffman && name == *pseudo) {
        Some(which) => Field::Pseudo(which),
        None if coded => Field::Unknown,
        None if !huffman && name.starts_with(b":") => Field::Unknown,
        None => Field::Header,
    }
}

/// What was not looked at yet. Nothing comes of what is broken.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// The next field line (RFC 9204 §4.5.2 to §4.5.6).
    fn field(&mut self) -> Option<Field> {
        match *self.0.first()? {
            0b1100_0000.. => Some(in_table(self.integer(6)?)),
            first @ 0b0100_0000..0b1000_0000 if first & 0b1_0000 != 0 => {
                let field = in_table(self.integer(4)?);
                self.text(7)?;
                Some(field)
            }
            first @ 0b0010_0000..0b0100_0000 => {
                let field = by_name(self.text(3)?, first & 0b1000 != 0);
                self.text(7)?;
                Some(field)
            }
            // What refers to the table that changes.
            _ => None,
        }
    }

    /// Octets after their number, which has so many bits of the first octet.
    fn text(&mut self, bits: u32) -> Option<&[u8]> {
        let length = usize::try_from(self.integer(bits)?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    /// An integer with a prefix (RFC 7541 §5.1).
    fn integer(&mut self, bits: u32) -> Option<u64> {
        let most = (1 << bits) - 1;
        let mut value = u64::from(self.next()?) & most;
        if value < most {
            return Some(value);
        }
        for shift in (0..u64::BITS - 7).step_by(7) {
            let octet = self.next()?;
            value = value.checked_add(u64::from(octet & 0x7f) << shift)?;
            if octet & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHOD: &[u8] = &[0xc0 | 17];
    const SCHEME: &[u8] = &[0xc0 | 23];
    const PATH: &[u8] = &[0xc0 | 1];
    /// By name and value.
    const AUTHORITY: &[u8] = &[0x50, 1, b'a'];
    const HEADER: &[u8] = &[0x21, b'x', 1, b'y'];
    /// Its index needs a second octet.
    const AGENT: &[u8] = &[0x5f, 80, 1, b'y'];

    fn verdict(fields: &[&[u8]]) -> bool {
        are_in_order(&[&[0, 0], fields.concat().as_slice()].concat())
    }

    #[test]
    fn pseudo_headers_come_once_and_first() {
        let literal: &[u8] = b"\x27\x00:method\x03GET";
        let status: &[u8] = b"\x27\x00:status\x03200";
        let huffman: &[u8] = &[0x29, 0b1011_1001, 1, b'y'];
        for (fields, fine) in [
            (&[METHOD, SCHEME, PATH, AUTHORITY, HEADER, AGENT, HEADER][..], true),
            (&[literal, SCHEME, PATH, AUTHORITY], true),
            (&[METHOD, METHOD, SCHEME, PATH, AUTHORITY], false),
            (&[METHOD, literal, SCHEME, PATH, AUTHORITY], false),
            (&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY], false),
            (&[METHOD, SCHEME, PATH, HEADER, AUTHORITY], false),
            (&[METHOD, SCHEME, PATH, AGENT, AUTHORITY], false),
            (&[METHOD, SCHEME, PATH, AUTHORITY, &[0xc0 | 25]], false),
            (&[METHOD, SCHEME, PATH, AUTHORITY, status], false),
            (&[METHOD, SCHEME, PATH, AUTHORITY, huffman], false),
            (&[], true),
        ] {
            assert_eq!(verdict(fields), fine, "{fields:x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_broken_hurts(block in prop::collection::vec(any::<u8>(), 0..200)) {
            are_in_order(&block);
        }
    }
}
