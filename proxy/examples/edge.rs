//! An edge in front of one app, to be measured: `edge UPSTREAM [ROUTES]`, as `bench/edge.py` starts it.
//!
//! Prints the addresses of HTTP and HTTPS, and ends with its standard input. With `ACCESS_LOG=FILE`, the access log is
//! written there. ROUTES is how many other routes there are.

#![expect(clippy::expect_used, reason = "what cannot be measured should end at once")]

use std::fs::File;
use std::net::SocketAddr;

use temps_proxy::{AccessLines, Edge};
use temps_state::{Command, Domain, EnvironmentId, Id, Project, ProjectId, Settings};
use tokio::io::AsyncReadExt;

#[path = "../tests/support/mod.rs"]
mod support;

use support::TestEdge;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// More than any measurement opens.
const CONNECTIONS_MAX: usize = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let upstream = arguments.next().expect("UPSTREAM is missing");
    let upstream: SocketAddr = upstream.parse().expect("UPSTREAM is no address");
    let routes = arguments.next().map_or(0, |routes| routes.parse().expect("ROUTES is no number"));
    let limits = |settings: &mut Settings| {
        settings.edge.connections_max = CONNECTIONS_MAX;
        settings.edge.connections_per_client_max = CONNECTIONS_MAX;
    };
    let mut edge = TestEdge::start_as(limits, log_to_file).await;
    edge.apply_all(others(routes)).await;
    edge.app("bench", &[upstream]).await;
    println!("{} {}", edge.http, edge.https);
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
}

fn log_to_file(edge: Edge) -> Edge {
    let Some(path) = std::env::var_os("ACCESS_LOG") else { return edge };
    let file = File::create(path).expect("the log's folder is there");
    edge.with_access_lines(AccessLines::Text, Box::new(file)).expect("a thread")
}

/// How many projects there are before routes are those of domains: a cluster has no more than 10,000.
const PROJECTS: u64 = 9_000;
/// Routes of a domain: its own, and that of a path.
const ROUTES_OF_A_DOMAIN: u64 = 2;

/// So many routes that lead to nothing yet.
fn others(routes: u64) -> Vec<Command> {
    let projects = routes.min(PROJECTS);
    let domains = (routes - projects) / ROUTES_OF_A_DOMAIN;
    (0..projects).map(project).chain((0..domains).map(domain)).collect()
}

fn environment(number: u64) -> EnvironmentId {
    Id::from_parts(1_600_000_000_000, u128::from(number))
}

fn project(number: u64) -> Command {
    let project = Project {
        id: ProjectId::from_parts(1_600_000_000_000, u128::from(number)),
        name: format!("other-{number}").parse().expect("a name"),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        disabled: false,
        repository: None,
        webhook_secret: support::cluster_key().seal([0; 12], "place", "value").expect("short"),
        previews: true,
        deployments_made: 0,
        callers: Default::default(),
    };
    Command::CreateProject { project, production: environment(number) }
}

fn domain(number: u64) -> Command {
    let environment = environment(number % PROJECTS);
    let domain = Domain {
        name: format!("other-{number}.example.com").parse().expect("a name"),
        environment,
        redirect: None,
        paths: [("/other".parse().expect("a path"), environment)].into(),
        proof: "proof".into(),
        verified_at: None,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    Command::CreateDomain { domain }
}
