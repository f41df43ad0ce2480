//! How zones are handed over, by a real server of the zone above: Debian's `knot`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use temps_dns::{Delegations, Lookup};
use temps_raft::Applied;
use temps_state::{
    Delegation, DelegationChange, DelegationFault, DelegationRecord, DelegationSight, DnsSettings,
    DomainName, Node, NodeId, Settings, State,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::held_port::HeldPort;
use crate::knot_config::config;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of the zones `example.com`, where it is found itself, and `example.net`, whose server nobody finds. It is the
/// machine's resolver, too.
struct Parent {
    port: u16,
    _held: HeldPort,
    data: TempDir,
    server: Child,
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Parent {
    async fn start(records: &str) -> Self {
        let (data, held) = (tempfile::tempdir().unwrap(), HeldPort::take());
        let (path, port) = (data.path(), held.number);
        let own = config(path, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "example.com");
        let other =
            format!("  - domain: example.net\n    storage: {}\n    file: other\n", path.display());
        std::fs::write(path.join("knot.conf"), own + &other).unwrap();
        let zone = "@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.9.9.9\n\
                    apps NS ns-1.apps\nns-1.apps A 192.0.2.1\n";
        std::fs::write(path.join("other"), format!("$ORIGIN example.net.\n$TTL 60\n{zone}"))
            .unwrap();
        std::fs::write(path.join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        write(path, 1, records);
        let mut server = Command::new("knotd");
        server.arg("-c").arg(path.join("knot.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().expect("knotd is installed");
        let parent = Self { port, _held: held, data, server };
        parent.until(1).await;
        parent
    }

    /// Has other records from now on.
    async fn change(&self, serial: u32, records: &str) {
        write(self.data.path(), serial, records);
        let mut control = Command::new("knotc");
        control.arg("-c").arg(self.data.path().join("knot.conf")).arg("reload");
        assert!(control.output().expect("knotc is installed").status.success());
        self.until(serial).await;
    }

    /// Waits until the zone is served with a serial.
    async fn until(&self, serial: u32) {
        let until = Instant::now() + PATIENCE;
        let port = self.port.to_string();
        loop {
            let mut dig = Command::new("dig");
            dig.args(["+short", "+tries=1", "+timeout=1", "@127.0.0.1", "-p", &port]);
            let said = dig.args(["example.com", "SOA"]).output().expect("dig is installed").stdout;
            if String::from_utf8_lossy(&said).contains(&format!(" {serial} 3600 ")) {
                return;
            }
            assert!(Instant::now() < until, "no serial {serial}: {said:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn delegations(&self) -> Delegations {
        Delegations::new(Lookup::new(self.data.path().join("resolv.conf"), self.port))
    }
}

fn write(folder: &std::path::Path, serial: u32, records: &str) {
    let zone = format!(
        "$ORIGIN example.com.\n$TTL 60\n@ SOA ns hostmaster {serial} 3600 600 86400 1\n@ NS ns\n\
         ns A 127.0.0.1\n{records}"
    );
    std::fs::write(folder.join("zone"), zone).unwrap();
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

/// Nodes `n<id>` at `192.0.2.<id>` that answer for `apps.example.com`.
fn state(ids: &[u64]) -> State {
    let mut state = State::default();
    for id in ids {
        let mut node = Node::new(NodeId(*id), format!("n{id}"), Timestamp::UNIX_EPOCH);
        node.address = format!("192.0.2.{id}:3001").parse().ok();
        node.dns = "0.0.0.0:53".parse().ok();
        state.nodes.insert(node.id, node);
    }
    let dns = DnsSettings { zones: vec![name("apps.example.com")] };
    state.settings.insert(0, Settings { dns, ..Settings::default() });
    state
}

/// What was found, in short.
fn found(sight: &DelegationSight) -> String {
    let Delegation(servers) = sight.found.as_ref().unwrap();
    let server = |(name, addresses): (&String, &std::collections::BTreeSet<_>)| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        format!("{name} {}", addresses.join(" ")).trim_end().to_owned()
    };
    servers.iter().map(server).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn the_zone_above_says_how_a_zone_is_handed_over() {
    let many: String = (1..=30)
        .map(|n| {
            format!(
                "many NS ns-{n}.many\nns-{n}.many A 192.0.2.{n}\nns-{n}.many AAAA 2001:db8::{n}\n"
            )
        })
        .collect();
    let parent = Parent::start(&format!(
        "apps NS ns-1.apps\napps NS ns-2.apps\nns-1.apps A 192.0.2.1\nns-1.apps AAAA 2001:db8::1\n\
         ns-2.apps A 192.0.2.2\nfar NS dns.example.com.\ndns A 192.0.2.9\nlame NS ns-1.lame\n\
         deep.er NS ns-1.deep.er\nns-1.deep.er A 192.0.2.3\n{many}"
    ))
    .await;
    let looks = parent.delegations();
    for (zone, by_parent, seen) in [
        (
            "apps.example.com",
            true,
            "ns-1.apps.example.com 192.0.2.1 2001:db8::1, ns-2.apps.example.com 192.0.2.2",
        ),
        ("far.example.com", true, "dns.example.com 192.0.2.9"),
        ("lame.example.com", true, "ns-1.lame.example.com"),
        ("deep.er.example.com", true, "ns-1.deep.er.example.com 192.0.2.3"),
        ("none.example.com", true, ""),
        ("none.at.all.example.com", true, ""),
        // Its server is not there: what the resolver says must do.
        ("apps.example.net", false, "ns-1.apps.example.net 192.0.2.1"),
    ] {
        let zone = name(zone);
        assert_eq!(looks.last(&zone), None);
        let sight = looks.look(&zone).await;
        assert_eq!((found(&sight).as_str(), sight.by_parent), (seen, by_parent), "{zone}");
        assert_eq!(looks.last(&zone), Some(sight));
    }
    // More than fits in a datagram.
    let many = looks.look(&name("many.example.com")).await;
    assert_eq!(many.found.unwrap().0.values().map(|all| all.len()).sum::<usize>(), 60);
    // Nobody knows the zone above.
    let unknown = looks.look(&name("apps.example.org")).await;
    assert!(unknown.found.is_err(), "{unknown:?}");
}

#[tokio::test]
async fn a_node_that_was_replaced_is_told_until_the_zone_above_knows() {
    let parent = Parent::start(
        "apps NS ns-1.apps\napps NS ns-2.apps\nns-1.apps A 192.0.2.1\nns-2.apps A 192.0.2.2\n",
    )
    .await;
    let (looks, zone) = (parent.delegations(), name("apps.example.com"));
    let faults = |state: &State| {
        let sight = looks.last(&zone)?;
        Some(state.delegation_faults(&zone, &sight.found.ok()?, sight.at))
    };
    let (_tell, applied) =
        watch::channel(Arc::new(Applied { index: 1, state: state(&[1, 2]), ..Applied::default() }));
    let keeping = tokio::spawn(looks.clone().keep(applied));
    let until = Instant::now() + PATIENCE;
    while faults(&state(&[1, 2])) != Some(vec![]) {
        assert!(Instant::now() < until, "{:?}", looks.last(&zone));
        sleep(Duration::from_millis(20)).await;
    }
    // Nobody looks again: what was seen is compared with the nodes there are.
    let replaced = state(&[1, 3]);
    let (server, address) = ("ns-2.apps.example.com".to_owned(), "192.0.2.2".parse().unwrap());
    let missing = ("ns-3.apps.example.com".into(), "n3".into());
    let wrong = DelegationFault::Wrong { server: server.clone(), address };
    let missing = DelegationFault::Missing { server: missing.0, node: missing.1 };
    assert_eq!(faults(&replaced), Some(vec![wrong, missing]));
    let seen = looks.last(&zone).unwrap();
    let change = replaced.delegation_change(&zone, &seen.found.unwrap(), seen.at);
    let record = |at: &str| DelegationRecord::Address(server.clone(), at.parse().unwrap());
    let wanted =
        DelegationChange { remove: vec![record("192.0.2.2")], add: vec![record("192.0.2.3")] };
    assert_eq!(change, wanted);

    let mended =
        "apps NS ns-1.apps\napps NS ns-2.apps\nns-1.apps A 192.0.2.1\nns-2.apps A 192.0.2.3\n";
    parent.change(2, mended).await;
    looks.look(&zone).await;
    assert_eq!(faults(&replaced), Some(vec![]));
    keeping.abort();
}
