//! The ports a process' network listens on, read from `/proc/<pid>/net/tcp` and `tcp6`, see proc(5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a listening socket in those files.
const LISTEN: &str = "0A";
/// The engine's own resolver listens here in every container of a user-defined network.
const ENGINE_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Where the processes that share a network with `pid` listen; nothing when it cannot be seen.
pub async fn listening(pid: u32) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = tokio::fs::read_to_string(format!("/proc/{pid}/net/{table}")).await;
        found.extend(text.iter().flat_map(|text| parse(text)));
    }
    found.sort();
    found.dedup();
    found
}

fn parse(table: &str) -> Vec<SocketAddr> {
    let listens = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let address = address(local).filter(|address| address.ip() != ENGINE_RESOLVER)?;
        (state == LISTEN).then_some(address)
    };
    table.lines().skip(1).filter_map(listens).collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: each four octets are one number in this machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| {
            Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes())
        })
        .collect();
    let octets = words?.concat();
    let ip = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_and_others_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0B00007F:A1B2 00000000:0000 0A 00000000:00000000\n\
            1: 00000000:1F90 00000000:0000 0A 00000000:00000000\n\
            2: 0100007F:0BB8 00000000:0000 0A 00000000:00000000\n\
            3: 020012AC:1F90 010012AC:D431 01 00000000:00000000\n";
        let text: Vec<String> = parse(table).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["0.0.0.0:8080", "127.0.0.1:3000"]);
        let six = "header\n0: 00000000000000000000000000000000:0BB8 0:0 0A\n";
        assert_eq!(parse(six), ["[::]:3000".parse().expect("an address")]);
    }
}
