//! The machine's own resolvers, as resolv.conf(5) names them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::limits::{REREAD_PAUSE, UPSTREAMS_MAX};

/// Where systemd-resolved names the resolvers behind its own on loopback.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The machine's resolvers, in the order in which they are asked.
pub(crate) type Upstreams = Arc<[SocketAddr]>;

/// The resolvers that a configuration names; the machine itself where it names none.
pub(crate) fn nameservers(text: &str) -> Vec<IpAddr> {
    let named = |line: &str| {
        let mut words = line.split_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next()).flatten()?;
        address.parse().ok()
    };
    let found: Vec<IpAddr> = text.lines().filter_map(named).take(UPSTREAMS_MAX).collect();
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

/// What containers ask beside the node, while it is away: what is reached from their network too.
pub(crate) fn stand_ins(own: Ipv4Addr, upstreams: &[SocketAddr], behind_stub: &str) -> Vec<IpAddr> {
    let usable = |ip: &IpAddr| ip.is_ipv4() && !ip.is_loopback() && *ip != own;
    let direct: Vec<IpAddr> = upstreams.iter().map(SocketAddr::ip).filter(usable).collect();
    if direct.is_empty() {
        nameservers(behind_stub).into_iter().filter(usable).collect()
    } else {
        direct
    }
}

/// What is behind a resolver on loopback; nothing on machines without systemd-resolved.
pub(crate) async fn behind_stub() -> String {
    tokio::fs::read_to_string(BEHIND_STUB).await.unwrap_or_default()
}

/// Reads the configuration now, and again and again for as long as somebody wants to know.
pub(crate) fn follow(path: PathBuf, port: u16) -> watch::Receiver<Upstreams> {
    let (tell, upstreams) = watch::channel(read(&path, port).unwrap_or_else(|error| {
        warn!(path = %path.display(), %error, "cannot read the machine's resolvers");
        Upstreams::default()
    }));
    tokio::spawn(async move {
        let unwanted = tell.clone();
        tokio::select! {
            () = unwanted.closed() => {}
            () = reread(&path, port, &tell) => {}
        }
    });
    upstreams
}

async fn reread(path: &Path, port: u16, tell: &watch::Sender<Upstreams>) {
    loop {
        sleep(REREAD_PAUSE).await;
        let (path, port) = (path.to_owned(), port);
        let read = tokio::task::spawn_blocking(move || read(&path, port)).await;
        // While it is being written it may be away: what it said last holds.
        let Ok(Ok(now)) = read else { continue };
        tell.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                info!(resolvers = ?now, "the machine's resolvers changed");
                *known = now;
            }
            changed
        });
    }
}

pub(crate) fn read(path: &Path, port: u16) -> std::io::Result<Upstreams> {
    let found = nameservers(&std::fs::read_to_string(path)?);
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_machine_reads_them() {
        for (text, found) in [
            ("nameserver 192.0.2.1\n", "192.0.2.1"),
            (
                "# x\nsearch lan\nnameserver\t192.0.2.1 # y\nnameserver ::1\noptions edns0",
                "192.0.2.1 ::1",
            ),
            (
                "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4",
                "1.1.1.1 2.2.2.2 3.3.3.3",
            ),
            ("#nameserver 192.0.2.1\nnameserver nowhere\nnameserver", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            let texts: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
            assert_eq!(texts.join(" "), found, "{text}");
        }
    }

    #[test]
    fn containers_ask_others_only_where_they_reach_them() {
        let own = Ipv4Addr::new(172, 19, 0, 1);
        for (upstreams, behind_stub, found) in [
            (vec!["192.0.2.1:53", "192.0.2.2:53"], "", "192.0.2.1 192.0.2.2"),
            (vec!["127.0.0.53:53", "192.0.2.2:53"], "nameserver 192.0.2.9", "192.0.2.2"),
            (vec!["127.0.0.53:53"], "nameserver 192.0.2.9", "192.0.2.9"),
            (vec!["127.0.0.1:53"], "", ""),
            (vec!["172.19.0.1:53", "[2001:db8::1]:53"], "", ""),
        ] {
            let upstreams: Vec<SocketAddr> = upstreams.iter().map(|u| u.parse().unwrap()).collect();
            let texts: Vec<String> =
                stand_ins(own, &upstreams, behind_stub).iter().map(ToString::to_string).collect();
            assert_eq!(texts.join(" "), found, "{upstreams:?}");
        }
    }
}
