//! What a lookup takes among few names and many: `just bench-lookups`.

use std::hint::black_box;
use std::time::Instant;

use super::*;

/// How many names there are.
const NAMES: [u128; 3] = [10, 1_000, 100_000];
/// The most of them that are of projects; the others are domains of teams' own. A cluster has no more than 10,000 projects.
const PROJECTS_MAX: u128 = 9_000;
/// Each round asks for as many names as there are, for so many lookups in all.
const LOOKUPS: usize = 2_000_000;
const ROUNDS: usize = 5;

/// Projects and domains, half and half as far as that goes, and the hosts that lead to them.
fn state_of(names: u128) -> (State, Vec<String>) {
    let projects = (names / 2).min(PROJECTS_MAX);
    let (mut state, mut hosts) = (State::default(), Vec::new());
    for n in 1..=projects {
        add_project(&mut state, n, &format!("project-{n}"), None);
        hosts.push(format!("project-{n}-production.localho.st"));
    }
    for n in projects..names {
        let name = format!("shop-{n}.example.com");
        let environment = id(1 + n % projects);
        let domain = Domain {
            name: name.parse().unwrap(),
            environment,
            redirect: None,
            paths: [("/other".parse().unwrap(), environment)].into(),
            proof: "proof".into(),
            verified_at: None,
            created_at: AT,
        };
        state.domains.insert(domain.name.clone(), domain);
        hosts.push(name);
    }
    (state, hosts)
}

/// Nanoseconds for each of the hosts, asked for in an order that no cache foresees.
fn nanoseconds(table: &RouteTable, hosts: &[String]) -> u128 {
    // A step that shares no divisor with their number meets every one of them.
    let step = hosts.len() * 6 / 10 + 1;
    let mut at = 0;
    let begun = Instant::now();
    for _ in 0..LOOKUPS {
        at = (at + step) % hosts.len();
        black_box(table.find(black_box(&hosts[at]), "/other/page").is_some());
    }
    begun.elapsed().as_nanos() / LOOKUPS as u128
}

#[test]
#[ignore = "it measures, and asserts nothing of it"]
fn a_lookup_takes_so_long() {
    let connector = Arc::new(Connector { node: NodeId(1), reach: Arc::new(Nowhere) });
    let vicinity = Vicinity::new(connector, None);
    for names in NAMES {
        let (state, hosts) = state_of(names);
        let begun = Instant::now();
        let table = RouteTable::new(&state, &RouteTable::default(), &vicinity);
        let made = begun.elapsed();
        let strangers: Vec<String> = hosts.iter().map(|host| format!("no-{host}")).collect();
        assert!(hosts.iter().all(|host| table.find(host, "/").is_some()));
        assert!(!strangers.iter().any(|host| table.find(host, "/").is_some()));
        let mut known = [(); ROUNDS].map(|()| nanoseconds(&table, &hosts));
        let mut unknown = [(); ROUNDS].map(|()| nanoseconds(&table, &strangers));
        known.sort_unstable();
        unknown.sort_unstable();
        println!(
            "{names:7} names: {} ns for one of them ({}-{}), {} ns for another; table made in {made:.1?}",
            known[ROUNDS / 2],
            known[0],
            known[ROUNDS - 1],
            unknown[ROUNDS / 2]
        );
    }
}
