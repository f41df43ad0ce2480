//! Follows the frames of a stream, and bounds what has to be gathered of them. Pure.
//!
//! The h3 crate gathers a frame until it is whole before it looks at it, however long it says that it is; only data it
//! hands on in pieces. So a client could have an edge hold as much as it likes.

/// Frames with data that have none; each costs a client two octets.
const EMPTY_FRAMES_MAX: u32 = 1_000;
/// The stream of the first kind carries frames, those of others do not (RFC 9114 §6.2).
const CONTROL: u64 = 0;
const DATA: u64 = 0;

/// What a client breaks that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Excess {
    #[error("a frame is longer than {0} octets")]
    Length(u64),
    #[error("there are more than {EMPTY_FRAMES_MAX} frames without data")]
    Empty,
}

/// Follows one stream.
#[derive(Debug)]
pub(crate) struct Frames {
    at: At,
    number: Number,
    length_max: u64,
    empty: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    /// The kind of a stream that is no request.
    Stream,
    Kind,
    Length(u64),
    Payload(u64),
    /// Something that is not in frames, and not gathered.
    Other,
}

impl Frames {
    /// The frames of a request.
    pub(crate) fn request(length_max: u64) -> Self {
        Self { at: At::Kind, number: Number::default(), length_max, empty: 0 }
    }

    /// The frames of another stream, which says first what it is.
    pub(crate) fn other(length_max: u64) -> Self {
        Self { at: At::Stream, ..Self::request(length_max) }
    }

    /// Goes on with what has arrived.
    pub(crate) fn follow(&mut self, mut arrived: &[u8]) -> Result<(), Excess> {
        while let Some(first) = arrived.first() {
            match self.at {
                At::Other => return Ok(()),
                At::Payload(left) => {
                    let taken = left.min(arrived.len() as u64);
                    arrived = &arrived[taken as usize..];
                    self.at = if taken == left { At::Kind } else { At::Payload(left - taken) };
                }
                At::Stream | At::Kind | At::Length(_) => {
                    let number = self.number.push(*first);
                    arrived = &arrived[1..];
                    if let Some(number) = number {
                        self.at = self.after(number)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn after(&mut self, number: u64) -> Result<At, Excess> {
        Ok(match self.at {
            At::Stream if number == CONTROL => At::Kind,
            At::Stream => At::Other,
            At::Kind => At::Length(number),
            At::Length(DATA) if number > 0 => At::Payload(number),
            At::Length(_) if number > self.length_max => {
                return Err(Excess::Length(self.length_max));
            }
            At::Length(_) if number > 0 => At::Payload(number),
            At::Length(_) => {
                self.empty += 1;
                if self.empty > EMPTY_FRAMES_MAX {
                    return Err(Excess::Empty);
                }
                At::Kind
            }
            other => other,
        })
    }
}

/// A number of one, two, four or eight octets, as the first two bits say (RFC 9000 §16).
#[derive(Debug, Default)]
struct Number {
    so_far: u64,
    /// Octets still to come.
    left: u32,
}

impl Number {
    /// Takes one more octet; gives the number once it is whole.
    fn push(&mut self, octet: u8) -> Option<u64> {
        if self.left == 0 {
            self.left = 1 << (octet >> 6);
            self.so_far = u64::from(octet & 0x3f);
        } else {
            self.so_far = self.so_far << 8 | u64::from(octet);
        }
        self.left -= 1;
        (self.left == 0).then_some(self.so_far)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 1_000;
    const HEADERS: u64 = 1;

    fn number(value: u64) -> Vec<u8> {
        match value {
            0..0x40 => vec![value as u8],
            0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().into(),
            0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().into(),
            _ => (value | 0xc000_0000_0000_0000).to_be_bytes().into(),
        }
    }

    /// A frame that says to be `length` long, and has as much, but no more than some.
    fn frame(kind: u64, length: u64) -> Vec<u8> {
        let payload = vec![0xff; length.min(5_000) as usize];
        [number(kind), number(length), payload].concat()
    }

    #[test]
    fn what_is_gathered_is_bounded() {
        let long = Err(Excess::Length(MAX));
        for (frames, verdict) in [
            (vec![frame(HEADERS, MAX), frame(DATA, 5_000), frame(HEADERS, 9)], Ok(())),
            (vec![frame(HEADERS, MAX + 1)], long),
            (vec![frame(HEADERS, 9), frame(DATA, 5), frame(HEADERS, 1 << 40)], long),
            (vec![frame(HEADERS, 9), frame(0x21, MAX)], Ok(())),
            (vec![frame(0x21, (1 << 62) - 1)], long),
            (vec![frame(HEADERS, 9), vec![0, 0xc0, 0, 0, 1, 0, 0, 0, 0]], Ok(())),
            (vec![frame(DATA, 0); 1_000], Ok(())),
            (vec![frame(DATA, 0); 1_001], Err(Excess::Empty)),
            (vec![frame(0x21, 0); 1_001], Err(Excess::Empty)),
        ] {
            assert_eq!(Frames::request(MAX).follow(&frames.concat()), verdict, "{frames:?}");
        }
    }

    #[test]
    fn only_the_control_stream_has_frames() {
        let long = frame(4, MAX + 1);
        for (kind, verdict) in
            [(0, Err(Excess::Length(MAX))), (2, Ok(())), (3, Ok(())), (0x54, Ok(()))]
        {
            let octets = [number(kind), long.clone()].concat();
            assert_eq!(Frames::other(MAX).follow(&octets), verdict, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            frames in prop::collection::vec((0_u64..0x50, 0_u64..1_200), 0..9),
            piece in 1_usize..50,
        ) {
            let octets: Vec<u8> = frames.iter().flat_map(|(kind, length)| frame(*kind, *length)).collect();
            let whole = Frames::request(MAX).follow(&octets);
            let mut pieced = Frames::request(MAX);
            let verdict = octets.chunks(piece).try_for_each(|piece| pieced.follow(piece));
            prop_assert_eq!(whole, verdict);
            let fits = frames.iter().all(|(kind, length)| *kind == DATA || *length <= MAX);
            prop_assert_eq!(whole.is_ok(), fits);
        }
    }
}
