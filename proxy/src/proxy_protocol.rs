//! The header of the PROXY protocol, versions 1 and 2, with which a trusted proxy begins a connection.
//!
//! Exactly the header is taken from the connection, as a TLS handshake may follow.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::error_page::Fault;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of a header of version 2 before what it tells.
const FIXED_LEN: usize = 16;
/// The longest header of version 1, in octets, its end included.
const V1_BYTES_MAX: usize = 107;
/// The longest header of version 2 that is taken: addresses, and what proxies add to them.
const V2_BYTES_MAX: usize = 4 << 10;

const NONE: Fault = Fault::BadRequest("the trusted proxy sent no header of the PROXY protocol");
const BROKEN: Fault = Fault::BadRequest("the header of the PROXY protocol is broken");

/// Reads the header from the beginning of a connection. Tells whom the proxy speaks for; nobody where it speaks for
/// itself.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    within: Duration,
) -> Result<Option<SocketAddr>, Fault> {
    let header = timeout(within, take(stream)).await.map_err(|_| NONE)??;
    parse(&header)
}

async fn take(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Fault> {
    // Shorter than the shortest header of either version.
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await.map_err(|_| NONE)?;
    if header == SIGNATURE {
        take_to(stream, &mut header, FIXED_LEN).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if FIXED_LEN + length > V2_BYTES_MAX {
            return Err(BROKEN);
        }
        take_to(stream, &mut header, FIXED_LEN + length).await?;
        return Ok(header);
    }
    if !header.starts_with(b"PROXY ") {
        return Err(NONE);
    }
    // What follows the line is not ours to take, so it comes octet by octet.
    while !header.ends_with(b"\r\n") {
        if header.len() >= V1_BYTES_MAX {
            return Err(BROKEN);
        }
        let more = header.len() + 1;
        take_to(stream, &mut header, more).await?;
    }
    Ok(header)
}

async fn take_to(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut Vec<u8>,
    length: usize,
) -> Result<(), Fault> {
    let there = header.len();
    header.resize(length.max(there), 0);
    stream.read_exact(&mut header[there..]).await.map(drop).map_err(|_| BROKEN)
}

/// Whom a whole header names.
fn parse(header: &[u8]) -> Result<Option<SocketAddr>, Fault> {
    let client: Option<(IpAddr, u16)> = match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(named) => Some((named.source_address.into(), named.source_port)),
            v1::Addresses::Tcp6(named) => Some((named.source_address.into(), named.source_port)),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(header)) => match (header.command, header.addresses) {
            (v2::Command::Local, _) => None,
            (v2::Command::Proxy, v2::Addresses::IPv4(named)) => {
                Some((named.source_address.into(), named.source_port))
            }
            (v2::Command::Proxy, v2::Addresses::IPv6(named)) => {
                Some((named.source_address.into(), named.source_port))
            }
            (v2::Command::Proxy, _) => None,
        },
        _ => return Err(BROKEN),
    };
    Ok(client.map(SocketAddr::from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read from some octets, and how many of them are left.
    fn taken(octets: &[u8]) -> (Result<Option<SocketAddr>, Fault>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut rest = octets;
        let found = runtime.block_on(read(&mut rest, Duration::from_secs(5)));
        (found, rest.len())
    }

    fn second(command: u8, family: u8, told: &[u8]) -> Vec<u8> {
        let length = u16::try_from(told.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &length, told].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 1, 187];

    #[test]
    fn whoever_a_proxy_speaks_for_is_known_and_nothing_else_is_taken() {
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 28], &[0x12, 0x67, 1, 187]].concat();
        let extra = [&V4[..], &[0x04, 0, 1, 0]].concat();
        let client = "203.0.113.7:4711";
        for (header, named) in [
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n".to_vec(), Some(client)),
            (b"PROXY TCP6 2001:db8:: ::1 4711 443\r\n".to_vec(), Some("[2001:db8::]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (second(1, 0x11, &V4), Some(client)),
            (second(1, 0x11, &extra), Some(client)),
            (second(1, 0x21, &v6), Some("[2001:db8::]:4711")),
            (second(0, 0x11, &V4), None),
            (second(0, 0x00, &[]), None),
        ] {
            let named = named.map(|named| named.parse().unwrap());
            let octets = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(taken(&octets), (Ok(named), 16), "{}", header.escape_ascii());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for header in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(),
            b"PROXY".to_vec(),
            b"".to_vec(),
            b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.700 192.0.2.1 4711 443\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\n\n\n".to_vec(),
            [b"PROXY TCP4 ", &[b'1'; 200][..], b"\r\n"].concat(),
            second(1, 0x11, &V4[..8]),
            second(1, 0x11, &V4)[..20].to_vec(),
            second(7, 0x11, &V4),
            [SIGNATURE, &[0x31, 0x11, 0, 12], &V4].concat(),
            second(1, 0x11, &[0; V2_BYTES_MAX]),
        ] {
            let (found, _) = taken(&header);
            assert!(matches!(found, Err(Fault::BadRequest(_))), "{}", header.escape_ascii());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_sends_nothing_is_not_waited_for() {
        let (mut near, _far) = tokio::io::duplex(64);
        assert_eq!(read(&mut near, Duration::from_secs(10)).await, Err(NONE));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(
            begin in prop_oneof![
                Just(b"PROXY TCP4 ".to_vec()), Just(SIGNATURE.to_vec()), Just(Vec::new()),
            ],
            rest in prop::collection::vec(prop_oneof![Just(b' '), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300),
        ) {
            let octets = [begin, rest].concat();
            let (found, left) = taken(&octets);
            prop_assert!(found.is_err() || left < octets.len());
        }
    }
}
