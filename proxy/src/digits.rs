//! Numbers and addresses as text: a log writes them for every request, and `format!` takes ten times as long. Pure.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Appends a number.
pub(crate) fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// Appends an address.
pub(crate) fn push_ip(text: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => push_ipv4(text, ip),
        // Writing to a string never fails.
        IpAddr::V6(ip) => drop(write!(text, "{ip}")),
    }
}

/// Appends an address and its port.
pub(crate) fn push_addr(text: &mut String, addr: SocketAddr) {
    match addr {
        SocketAddr::V4(addr) => {
            push_ipv4(text, *addr.ip());
            text.push(':');
            push_number(text, addr.port());
        }
        SocketAddr::V6(addr) => drop(write!(text, "{addr}")),
    }
}

/// Octets of the longest IPv4 address.
const IPV4_MAX: usize = 15;

fn push_ipv4(text: &mut String, ip: Ipv4Addr) {
    let mut digits = [0; IPV4_MAX];
    let mut end = 0;
    let mut push = |digit| {
        if let Some(free) = digits.get_mut(end) {
            *free = digit;
            end += 1;
        }
    };
    for (at, octet) in ip.octets().into_iter().enumerate() {
        if at > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    text.push_str(std::str::from_utf8(&digits[..end]).unwrap_or_default());
}

/// An address as text.
pub(crate) fn ip_text(ip: IpAddr) -> String {
    let mut text = String::with_capacity(IPV4_MAX);
    push_ip(&mut text, ip);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_those_that_display_gives(addr: SocketAddr, number: u64) {
            let mut text = String::new();
            push_addr(&mut text, addr);
            prop_assert_eq!(text, addr.to_string());
            prop_assert_eq!(ip_text(addr.ip()), addr.ip().to_string());
            let mut text = String::new();
            push_number(&mut text, number);
            prop_assert_eq!(text, number.to_string());
        }
    }
}
