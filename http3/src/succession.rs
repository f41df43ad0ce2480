//! Two processes at one port, while one follows the other: each gets the packets of its own connections, and who calls
//! anew reaches the one that came last. The kernel sorts them by the connection's id, which says whose it is.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::AttachReusePortCbpf;
use quinn::{ConnectionId, ConnectionIdGenerator};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// What the ids of all connections to a port of ours begin with.
const OURS: u16 = 0x7e3a;
/// Octets of an id: those of its mark, and others that nobody can guess.
const ID_OCTETS: usize = 12;
const MARK_OCTETS: usize = size_of::<u32>();

/// Where packets have what they are sorted by (RFC 8999 §5): whether the header is a long one, and the id in either.
const FORM_AT: u32 = 0;
const LONG_FORM: u32 = 0x80;
const ID_AT_IN_LONG: u32 = 6;
const ID_AT_IN_SHORT: u32 = 1;

/// Steps of a filter of the kernel's (bpf(4)).
const LOAD_OCTET: u16 = 0x30;
const LOAD_WORD: u16 = 0x20;
const SHIFT_RIGHT: u16 = 0x74;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Which socket gets a packet, in the order in which they were bound. One that is not there leaves the other.
const FIRST: u32 = 0;
const SECOND: u32 = 1;

/// What tells connections to one port from those to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u32);

impl Mark {
    /// One that another process has hardly drawn.
    pub(crate) fn draw() -> Self {
        Self(u32::from(OURS) << u16::BITS | u32::from(rand::random::<u16>()))
    }

    /// What sorts packets for the socket of this mark, and one that was there before: the latter gets those of connections
    /// that are not of this mark, but no first packets, whose ids clients choose.
    fn filter(self) -> [sock_filter; 10] {
        let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
        [
            step(LOAD_OCTET, 0, 0, FORM_AT),
            step(IF_ANY_BIT, 0, 4, LONG_FORM),
            step(LOAD_WORD, 0, 0, ID_AT_IN_LONG),
            step(IF_EQUAL, 5, 0, self.0),
            step(SHIFT_RIGHT, 0, 0, u16::BITS),
            step(IF_EQUAL, 2, 3, OURS.into()),
            step(LOAD_WORD, 0, 0, ID_AT_IN_SHORT),
            step(IF_EQUAL, 1, 0, self.0),
            step(RETURN, 0, 0, FIRST),
            step(RETURN, 0, 0, SECOND),
        ]
    }
}

/// Takes a port, beside another process of the same user that has it by this function. A system that cannot sort packets
/// gives it to one process at a time.
pub(crate) fn take(address: SocketAddr, mark: Mark) -> io::Result<UdpSocket> {
    let shared = share(address)?;
    match sort(&shared, mark) {
        Ok(()) => Ok(shared),
        Err(_) => {
            drop(shared);
            UdpSocket::bind(address)
        }
    }
}

fn share(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

fn sort(socket: &UdpSocket, mark: Mark) -> nix::Result<()> {
    let mut filter = mark.filter();
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    AttachReusePortCbpf.set(socket, &program)
}

/// Draws the ids of a port's connections.
pub(crate) struct Ids(pub(crate) Mark);

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id: [u8; ID_OCTETS] = rand::random();
        id[..MARK_OCTETS].copy_from_slice(&self.0.0.to_be_bytes());
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_OCTETS
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: u8 = 0x40;
    const LONG: u8 = 0xc0;

    fn packet(form: u8, id: u32) -> Vec<u8> {
        let version = if form == LONG { &[0, 0, 0, 1, ID_OCTETS as u8][..] } else { &[] };
        [&[form], version, &id.to_be_bytes(), &[7; 30]].concat()
    }

    /// Whether a packet arrives at the one and not the other.
    fn reaches(one: &UdpSocket, other: &UdpSocket, packet: &[u8]) -> bool {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(packet, one.local_addr().unwrap()).unwrap();
        let mut octets = [0; 100];
        // On loopback, what was sent is there.
        let arrived = [one, other].map(|socket| socket.recv(&mut octets).is_ok());
        assert_ne!(arrived[0], arrived[1], "it arrives once");
        arrived[0]
    }

    #[test]
    fn packets_are_sorted_by_whose_connection_it_is() {
        let [before, after] = [1, 2].map(|mark| Mark(u32::from(OURS) << 16 | mark));
        let first = take(([127, 0, 0, 1], 0).into(), before).unwrap();
        let second = take(first.local_addr().unwrap(), after).unwrap();
        for socket in [&first, &second] {
            socket.set_nonblocking(true).unwrap();
        }
        // From many ports, for without the filter that is what decides.
        for _ in 0..20 {
            for form in [SHORT, LONG] {
                assert!(reaches(&first, &second, &packet(form, before.0)));
                assert!(reaches(&second, &first, &packet(form, after.0)));
            }
            assert!(reaches(&second, &first, &packet(LONG, 0x0102_0304)), "somebody new");
        }
        drop(first);
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other.set_nonblocking(true).unwrap();
        for id in [before.0, after.0, 0x0102_0304] {
            assert!([SHORT, LONG].iter().all(|form| reaches(&second, &other, &packet(*form, id))));
        }
    }

    #[test]
    fn ids_bear_the_mark_and_are_never_the_same() {
        let mark = Mark::draw();
        let mut ids = Ids(mark);
        let [one, two] = [ids.generate_cid(), ids.generate_cid()];
        assert_ne!(one, two);
        assert!([one, two].iter().all(|id| id.starts_with(&mark.0.to_be_bytes())));
    }
}
