use super::*;
use crate::NodeId;

const ZONE: &str = "apps.example.com";

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).unwrap()
}

/// Nodes `n<id>` at `192.0.2.<id>`, some lost since an hour of the day.
fn state(nodes: &[(u64, Option<i64>)]) -> State {
    let mut state = State::default();
    for (id, lost) in nodes {
        let mut node = Node::new(NodeId(*id), format!("n{id}"), Timestamp::UNIX_EPOCH);
        node.address = format!("192.0.2.{id}:3001").parse().ok();
        node.dns = "0.0.0.0:53".parse().ok();
        node.lost_since = lost.map(at);
        state.nodes.insert(node.id, node);
    }
    state
}

/// Lines of `ns-1 192.0.2.1`; names end in a dot where they are not in the zone.
fn delegation(lines: &[&str]) -> Delegation {
    let mut found = Delegation::default();
    for line in lines {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let whole = name.strip_suffix('.').map(str::to_owned);
        let name = whole.unwrap_or_else(|| format!("{name}.{ZONE}"));
        found.0.insert(name, words.map(|word| word.parse().unwrap()).collect());
    }
    found
}

fn text(record: &DelegationRecord) -> String {
    let text = match record {
        DelegationRecord::Server(server) => format!("NS {server}"),
        DelegationRecord::Address(server, address) => format!("{server} {address}"),
    };
    text.replace(&format!(".{ZONE}"), "")
}

/// What is wrong at 10 o'clock, and what to do, in short.
fn told(state: &State, found: &[&str]) -> (Vec<String>, Vec<String>) {
    let (zone, found) = (ZONE.parse().unwrap(), delegation(found));
    let faults = state.delegation_faults(&zone, &found, at(10));
    let fault = |fault: &DelegationFault| match fault {
        DelegationFault::Missing { server, node } => format!("{server} missing, {node}"),
        DelegationFault::Nowhere { server } => format!("{server} nowhere"),
        DelegationFault::Wrong { server, address } => format!("{server} wrong {address}"),
    };
    let faults = faults.iter().map(|one| fault(one).replace(&format!(".{ZONE}"), ""));
    let DelegationChange { remove, add } = state.delegation_change(&zone, &found, at(10));
    let remove = remove.iter().map(|record| format!("- {}", text(record)));
    let add = add.iter().map(|record| format!("+ {}", text(record)));
    (faults.collect(), remove.chain(add).collect())
}

#[test]
fn a_delegation_is_compared_with_the_nodes_that_live() {
    let three = &[(1, None), (2, None), (3, None)][..];
    let all = &["ns-1 192.0.2.1", "ns-2 192.0.2.2", "ns-3 192.0.2.3"][..];
    let replaced = &[(1, None), (3, None), (4, None)][..];
    for (nodes, found, faults, change) in [
        (three, all, &[][..], &[][..]),
        // It is not handed over yet: everything is to be done.
        (
            &[(1, None), (2, None)],
            &[],
            &["ns-1 missing, n1", "ns-2 missing, n2"],
            &["+ NS ns-1", "+ NS ns-2", "+ ns-1 192.0.2.1", "+ ns-2 192.0.2.2"],
        ),
        // A node went, and another one came: its name stays.
        (
            replaced,
            all,
            &["ns-2 wrong 192.0.2.2", "ns-4 missing, n4"],
            &["- ns-2 192.0.2.2", "+ ns-2 192.0.2.4"],
        ),
        (replaced, &["ns-1 192.0.2.1", "ns-2 192.0.2.4", "ns-3 192.0.2.3"], &[], &[]),
        // One went, none came.
        (&three[..2], all, &["ns-3 wrong 192.0.2.3"], &["- NS ns-3", "- ns-3 192.0.2.3"]),
        // One came.
        (three, &all[..2], &["ns-3 missing, n3"], &["+ NS ns-3", "+ ns-3 192.0.2.3"]),
        // A node's own address changed; two changed places, which harms nobody.
        (
            three,
            &["ns-1 192.0.2.9", "ns-2 192.0.2.3", "ns-3 192.0.2.2"],
            &["ns-1 wrong 192.0.2.9", "ns-1 missing, n1"],
            &["- ns-1 192.0.2.9", "+ ns-1 192.0.2.1"],
        ),
        // Names without addresses, and names in the zone that are no node's.
        (
            &three[..1],
            &["ns-1", "ns1 192.0.2.1", "dns.example.net."],
            &["ns-1 nowhere", "ns1 nowhere", "dns.example.net nowhere", "ns-1 missing, n1"],
            &["- NS dns.example.net", "- NS ns1", "- ns1 192.0.2.1", "+ ns-1 192.0.2.1"],
        ),
        // The zone's own name may have the addresses of all, and so may a name elsewhere.
        (three, &["apps.example.com. 192.0.2.1 192.0.2.2 192.0.2.3"], &[], &[]),
        (
            &three[..1],
            &["apps.example.com. 192.0.2.9"],
            &["apps.example.com wrong 192.0.2.9", "ns-1 missing, n1"],
            &["- apps.example.com 192.0.2.9", "+ apps.example.com 192.0.2.1"],
        ),
        (three, &["dns.example.net. 192.0.2.1 192.0.2.2 192.0.2.3"], &[], &[]),
        // Of another one's servers none is left.
        (
            &three[..1],
            &["ns.example.net. 198.51.100.1"],
            &["ns.example.net wrong 198.51.100.1", "ns-1 missing, n1"],
            &[
                "- NS ns.example.net",
                "- ns.example.net 198.51.100.1",
                "+ NS ns-1",
                "+ ns-1 192.0.2.1",
            ],
        ),
    ] {
        let (told, done) = told(&state(nodes), found);
        let sorted = |texts: &[&str]| {
            let mut texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            texts.sort();
            texts
        };
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let done: Vec<&str> = done.iter().map(String::as_str).collect();
        assert_eq!(sorted(&told), sorted(faults), "{nodes:?} {found:?}");
        assert_eq!(sorted(&done), sorted(change), "{nodes:?} {found:?}");
    }
}

#[test]
fn a_lost_node_may_be_back_soon() {
    let found = &["ns-1 192.0.2.1", "ns-2 192.0.2.2"];
    let lost_at = |hour| told(&state(&[(1, None), (2, Some(hour))]), found).0;
    assert_eq!(lost_at(10), [""; 0]);
    assert_eq!(lost_at(9), ["ns-2 wrong 192.0.2.2"]);
    assert_eq!(told(&state(&[(1, None), (2, Some(10))]), &found[..1]).0, [""; 0], "not asked for");
    let none = told(&state(&[(1, Some(1)), (2, Some(1))]), found).0;
    assert_eq!(none, [""; 0], "who asks knows no less than they");
}

#[test]
fn no_more_servers_are_asked_for_than_are_named() {
    let many: Vec<(u64, Option<i64>)> = (1..=12).map(|id| (id, None)).collect();
    let missing = |found: &[&str]| told(&state(&many), found).0.len();
    assert_eq!(missing(&[]), NAME_SERVERS_MAX);
    assert_eq!(missing(&["ns-11 192.0.2.11"]), NAME_SERVERS_MAX - 1);
    let eight: Vec<String> = (5..=12).map(|id| format!("ns-{id} 192.0.2.{id}")).collect();
    let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
    assert_eq!(missing(&eight), 0);
}

/// Whatever is found, doing what is told leaves nothing wrong.
#[test]
fn what_is_told_mends_it() {
    let zone = ZONE.parse().unwrap();
    for (nodes, found) in [
        (&[(1, None), (3, None), (4, None)][..], &["ns-1 192.0.2.1", "ns-2 192.0.2.2"][..]),
        (&[(5, None), (6, None)], &["ns-1 192.0.2.1", "ns-2", "x 192.0.2.5"]),
        (&[(1, None), (2, None)], &["ns-1 192.0.2.2", "a.example.net. 192.0.2.7 192.0.2.2"]),
        (&[(4, None)], &["ns-4 192.0.2.9", "ns-9 192.0.2.8"]),
        (&[(1, None), (2, None)], &["ns-2 192.0.2.1"]),
    ] {
        let (state, mut now) = (state(nodes), delegation(found));
        let DelegationChange { remove, add } = state.delegation_change(&zone, &now, at(10));
        let (names, addresses): (Vec<_>, Vec<_>) =
            remove.into_iter().partition(|one| matches!(one, DelegationRecord::Server(_)));
        for record in addresses.into_iter().chain(names) {
            match record {
                DelegationRecord::Server(server) => {
                    let left = now.0.remove(&server).unwrap();
                    assert!(left.is_empty(), "{server} {left:?}");
                }
                DelegationRecord::Address(server, address) => {
                    assert!(now.0.get_mut(&server).unwrap().remove(&address));
                }
            }
        }
        for record in add {
            match record {
                DelegationRecord::Server(server) => {
                    assert_eq!(now.0.insert(server, BTreeSet::new()), None);
                }
                DelegationRecord::Address(server, address) => {
                    assert!(now.0.get_mut(&server).unwrap().insert(address));
                }
            }
        }
        assert_eq!(state.delegation_faults(&zone, &now, at(10)), [], "{nodes:?} {now:?}");
    }
}
