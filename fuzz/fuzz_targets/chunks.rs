//! A request body in chunks: what the edge passes ends at one octet, whichever pieces it comes in, and another parser reads
//! the same sizes.
#![no_main]
#![allow(dead_code, reason = "the files belong to a larger crate")]

#[path = "../../proxy/src/chunks.rs"]
mod chunks;

/// Those parts of the edge's head that chunks are made of.
mod head {
    pub(crate) fn is_token_octet(octet: u8) -> bool {
        octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
    }

    pub(crate) fn is_value_octet(octet: u8) -> bool {
        octet == b'\t' || (octet >= b' ' && octet != 0x7f)
    }
}

use chunks::Chunks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((piece, octets)) = octets.split_first() else { return };
    let mut whole = Chunks::default();
    let taken = whole.follow(octets);

    let mut pieced = Chunks::default();
    let pieces = octets.chunks(usize::from(*piece).max(1));
    let sum = pieces.map(|piece| pieced.follow(piece)).sum::<Result<usize, _>>();
    assert_eq!((sum, pieced.are_over()), (taken, whole.are_over()), "pieces do not matter");

    let Ok(taken) = taken else { return };
    assert!(taken == octets.len() || whole.are_over(), "all of it, or as much as there is");
    if whole.are_over() {
        assert_eq!(&octets[taken - 2..taken], b"\r\n");
        assert_eq!(length(octets).expect("another parser reads it"), taken);
    }
});

/// The length of a body by the parser that Pingora uses, trailers by their lines.
fn length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) =
            httparse::parse_chunk_size(&octets[at..])
        else {
            return None;
        };
        at += line;
        if size == 0 {
            break;
        }
        at += usize::try_from(size).ok()? + 2;
        (octets.get(at - 2..at)? == b"\r\n").then_some(())?;
    }
    loop {
        let line = octets[at..].windows(2).position(|two| two == b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}
