//! Follows a request body in chunks, octet by octet, before anything else reads it. Pure.
//!
//! Parsers differ most in what they let pass between chunks: bare line feeds in extensions, sizes that are empty or end in
//! spaces, lines after the last chunk. Nothing of that passes here (RFC 9112 §7.1).

use crate::head::{is_token_octet, is_value_octet};

/// Digits of a chunk's size.
const DIGITS_MAX: u8 = 16;
/// Octets of a chunk's extensions.
const EXTENSION_MAX: u16 = 1 << 10;
/// Octets of all trailers.
const TRAILERS_MAX: u16 = 8 << 10;

/// How far a body has come.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    at: At,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A digit of a size, or what ends it.
    Size { size: u64, digits: u8 },
    /// More of an extension of this many octets so far, or its end.
    Extension { size: u64, octets: u16 },
    /// The line feed after a size.
    SizeEnd(u64),
    /// This much of a chunk.
    Data(u64),
    /// The end of a chunk's data.
    DataEnd,
    /// Its line feed.
    DataLf,
    /// A trailer, or the end of all; so many octets of trailers so far.
    Line(u16),
    /// More of a trailer's name.
    Name(u16),
    /// More of its value.
    Value(u16),
    /// Its line feed.
    LineLf(u16),
    /// The line feed that ends the body.
    LastLf,
    /// Nothing.
    Over,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// Something is not as RFC 9112 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl Chunks {
    /// Takes what has arrived, and tells how much of it belongs to the body: all of it, or as much as there is.
    pub(crate) fn follow(&mut self, arrived: &[u8]) -> Result<usize, Broken> {
        let mut taken = 0;
        while taken < arrived.len() && self.at != At::Over {
            if let At::Data(left) = self.at {
                let now = left.min((arrived.len() - taken) as u64);
                self.at = if now == left { At::DataEnd } else { At::Data(left - now) };
                taken += now as usize;
            } else {
                self.at = self.at.next(arrived[taken]).ok_or(Broken)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Whether the body has ended.
    pub(crate) fn are_over(&self) -> bool {
        self.at == At::Over
    }
}

impl At {
    fn next(self, octet: u8) -> Option<Self> {
        match (self, octet) {
            (Self::Size { size, digits: 1.. }, b'\r') => Some(Self::SizeEnd(size)),
            (Self::Size { size, digits: 1.. }, b';') => Some(Self::Extension { size, octets: 0 }),
            (Self::Size { size, digits }, _) if digits < DIGITS_MAX => {
                let digit = char::from(octet).to_digit(16)?;
                Some(Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
            }
            (Self::Extension { size, .. }, b'\r') => Some(Self::SizeEnd(size)),
            (Self::Extension { size, octets }, _) => {
                let passes = is_value_octet(octet) && octets < EXTENSION_MAX;
                passes.then_some(Self::Extension { size, octets: octets + 1 })
            }
            (Self::SizeEnd(0), b'\n') => Some(Self::Line(0)),
            (Self::SizeEnd(size), b'\n') => Some(Self::Data(size)),
            (Self::DataEnd, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::default()),
            _ => self.next_of_trailers(octet),
        }
    }

    fn next_of_trailers(self, octet: u8) -> Option<Self> {
        match (self, octet) {
            (Self::Line(_), b'\r') => Some(Self::LastLf),
            (Self::LastLf, b'\n') => Some(Self::Over),
            (Self::Name(octets), b':') => Self::Value(octets + 1).within_bounds(),
            (Self::Line(octets) | Self::Name(octets), _) if is_token_octet(octet) => {
                Self::Name(octets + 1).within_bounds()
            }
            (Self::Value(octets), b'\r') => Some(Self::LineLf(octets)),
            (Self::Value(octets), _) if is_value_octet(octet) => {
                Self::Value(octets + 1).within_bounds()
            }
            (Self::LineLf(octets), b'\n') => Some(Self::Line(octets)),
            _ => None,
        }
    }

    fn within_bounds(self) -> Option<Self> {
        match self {
            Self::Name(octets) | Self::Value(octets) if octets > TRAILERS_MAX => None,
            _ => Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body's length, `None` where it has not ended.
    fn length(octets: &[u8]) -> Result<Option<usize>, Broken> {
        let mut chunks = Chunks::default();
        let taken = chunks.follow(octets)?;
        Ok(chunks.are_over().then_some(taken))
    }

    #[test]
    fn a_body_ends_where_its_chunks_say() {
        for (body, rest) in [
            ("0\r\n\r\n", ""),
            ("0\r\n\r\n", "GET / HTTP/1.1\r\n"),
            ("5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n"),
            ("A;a=\"b\"\r\n0123456789\r\n000\r\n\r\n", "x"),
            ("5\r\n0\r\n\r\n\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "x"),
        ] {
            assert_eq!(
                length(format!("{body}{rest}").as_bytes()),
                Ok(Some(body.len())),
                "{body:?}"
            );
            assert_eq!(length(&body.as_bytes()[..body.len() - 1]), Ok(None), "{body:?}");
        }
    }

    #[test]
    fn what_chunks_leave_open_is_broken() {
        for body in [
            "\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\n",
            "5\r\r",
            "0x5\r\n",
            "+5",
            "-5",
            ";a\r\n",
            "5;a\n",
            "5;\0\r\n",
            "5\r\nhello0",
            "5\r\nhello\n",
            "0\r\nX\r\n",
            "0\r\nX Y: z\r\n",
            "0\r\nX: y\r\n z",
            "0\r\nX: y\n",
            "0\r\nXX\r\n",
            "0\r\n\n",
            "00000000000000005\r\n",
        ] {
            assert_eq!(length(body.as_bytes()), Err(Broken), "{body:?}");
        }
        assert_eq!(length(format!("5;{}", "a".repeat(2_000)).as_bytes()), Err(Broken));
        assert_eq!(length(format!("0\r\nX: {}", "a".repeat(9_000)).as_bytes()), Err(Broken));
    }

    proptest! {
        #[test]
        fn octets_in_any_pieces_are_followed_alike(
            octets in "[0-9a-f;\r\n: x]{0,60}|(1\r\n[a-z]\r\n){0,4}0\r\n\r\n[a-z]{0,4}",
            piece in 1_usize..5,
        ) {
            let whole = length(octets.as_bytes());
            let mut chunks = Chunks::default();
            let mut taken = 0;
            let pieced = octets.as_bytes().chunks(piece).try_for_each(|piece| {
                taken += chunks.follow(piece)?;
                Ok(())
            });
            prop_assert_eq!(pieced.map(|()| chunks.are_over().then_some(taken)), whole);
        }
    }
}
