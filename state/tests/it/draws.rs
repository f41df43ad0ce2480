//! Random commands that are mostly about things that exist.

use std::collections::BTreeSet;

use jiff::Timestamp;
use temps_state::*;

/// How many kinds of command there are to draw.
pub const KINDS: u8 = 52;

/// The kind that sets tags of images.
pub const TAGS: u8 = 45;

/// One draw: what to do, and two numbers to choose by.
pub type Draw = (u8, u16, u16);

pub fn at(index: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + index as i64).expect("a plausible time")
}

pub fn fresh<I: Id>(index: u64) -> I {
    I::from_parts(1_700_000_000_000 + index, u128::from(index) << 8)
}

pub fn entry(index: u64, command: Command) -> Entry {
    Entry {
        at: at(index),
        actor: Actor::Node { id: NodeId(1) },
        from: None,
        request: None,
        condition: None,
        command,
    }
}

pub fn sealed() -> Sealed {
    ClusterKey::new([3; 32]).seal([0; 12], "place", "value").expect("short")
}

pub fn project(id: ProjectId, name: &str, at: Timestamp) -> Project {
    Project {
        id,
        name: name.parse().expect("a name"),
        created_at: at,
        disabled: false,
        repository: None,
        webhook_secret: sealed(),
        previews: true,
        deployments_made: 0,
        callers: Default::default(),
    }
}

pub fn run_config(before_deploy: bool) -> RunConfig {
    RunConfig {
        preset: "node".into(),
        port: 3000,
        port_assumed: false,
        command: None,
        health: HealthCheck::default(),
        resources: Resources::default(),
        node_labels: Default::default(),
        before_deploy: if before_deploy { vec!["migrate".into()] } else { vec![] },
        cron: vec![],
        drain_seconds: 30,
    }
}

pub fn failure() -> Failure {
    Failure {
        code: FailureCode::BuildFailed,
        message: "step 3 failed".into(),
        hint: "read the log".into(),
        log_tail: vec!["boom".into()],
    }
}

pub fn node(id: u64) -> Node {
    Node {
        architecture: "amd64".into(),
        capacity: Capacity { cpu_millis: 2_000, memory_mib: 4_096 },
        builds: true,
        ..Node::new(NodeId(id), format!("node-{id}"), at(0))
    }
}

pub fn join_token(index: u64, uses_left: u32) -> JoinToken {
    JoinToken {
        id: fresh(index),
        key: format!("{:064x}", u64::MAX - index),
        created_at: at(index),
        expires_at: at(index + 100),
        uses_left,
    }
}

pub fn tag_name(by: u16) -> TagName {
    let name = ["team/app:1", "team/app:2", "team/app-b:1", "app:1"][usize::from(by) % 4];
    name.parse().expect("a name")
}

/// A guard that checks everything that there is to check.
pub fn guard(by: u16) -> Guard {
    let rate = Rate { requests: 100 + u32::from(by), seconds: 60, burst: 20 };
    let hash = "$argon2id$".to_owned();
    Guard {
        deny: BTreeSet::from(["203.0.113.0/24".parse().expect("a network")]),
        allow: BTreeSet::from(["2001:db8::/32".parse().expect("a network")]),
        deny_countries: BTreeSet::from(["ZZ".parse().expect("a country")]),
        allow_countries: BTreeSet::from(["DE".parse().expect("a country")]),
        rate_per_client: Some(RateLimit::At(rate)),
        rate_in_all: Some(RateLimit::Off),
        attack_mode: Some(AttackMode::Auto { triggers: Trigger::ALL.into() }),
        password: Some(PasswordRule::Asked { hash }),
    }
}

/// An account with a provider.
pub fn dns_provider(index: u64, by: u16) -> DnsProvider {
    DnsProvider {
        id: fresh(index),
        name: ["one", "two", "three"][usize::from(by) % 3].parse().expect("a name"),
        kind: "rfc2136".into(),
        zones: vec![format!("z{}.example.com", by % 4).parse().expect("a name")],
        credentials: sealed(),
        takes_over: by.is_multiple_of(2),
        managed: BTreeSet::new(),
        trouble: None,
        created_at: at(index),
    }
}

fn pick<T: Copy>(of: impl Iterator<Item = T>, by: u16) -> Option<T> {
    let all: Vec<T> = of.collect();
    (!all.is_empty()).then(|| all[usize::from(by) % all.len()])
}

/// A command about something in `state`, or about something unknown when there is nothing.
pub fn command(state: &State, index: u64, (kind, a, b): Draw) -> Command {
    let projects = || pick(state.projects.keys().copied(), a).unwrap_or_else(|| fresh(0));
    let environments = || pick(state.environments.keys().copied(), a).unwrap_or_else(|| fresh(0));
    let deployments = || pick(state.deployments.keys().copied(), a).unwrap_or_else(|| fresh(0));
    let newest =
        || pick(state.deployments.keys().rev().take(3).copied(), a).unwrap_or_else(|| fresh(0));
    let replicas = || pick(state.replicas.keys().copied(), a).unwrap_or_else(|| fresh(0));
    let nodes = || pick(state.nodes.keys().copied(), a);
    let users = || pick(state.users.keys().copied(), a).unwrap_or_else(|| fresh(0));
    let name = ["shop", "shop-a", "blog", "api"][usize::from(b) % 4];
    let branch = ["main", "a-production", "feature/x", "///"][usize::from(b) % 4];
    let variable: VariableName = ["A", "B", "C"][usize::from(b) % 3].parse().expect("a name");
    match kind % KINDS {
        0 => Command::RecordNode { node: nodes().map_or_else(|| node(1), |id| node(id.0)) },
        1 => {
            let project = project(fresh(index), name, at(index));
            Command::CreateProject { project, production: fresh(index) }
        }
        2 => {
            let change = ProjectChange { disabled: Some(b % 4 == 0), ..Default::default() };
            Command::ChangeProject { id: projects(), change }
        }
        3 if b % 8 == 0 => Command::DeleteProject { id: projects() },
        4 => Command::CreateEnvironment {
            id: fresh(index),
            project: projects(),
            branch: branch.into(),
        },
        5 if b % 4 == 0 => Command::DeleteEnvironment { id: environments() },
        6 => Command::SetReplicas { id: environments(), replicas: u32::from(b % 120) },
        7 => {
            let value = Variable { value: sealed(), secret: b % 2 == 0, updated_at: at(index) };
            Command::SetVariables { id: environments(), variables: vec![(variable, value)] }
        }
        8 => Command::UnsetVariable { id: environments(), name: variable },
        9..=11 => {
            let source = match b % 3 {
                0 => Source::Artifact { of: deployments() },
                1 => Source::Upload { digest: "00".into() },
                _ => Source::Image { reference: "nginx:stable".into() },
            };
            let environment = environments();
            let deployment =
                NewDeployment { id: fresh(index), environment, source, revision: None };
            Command::CreateDeployment { deployment }
        }
        12 | 13 => Command::StartBuild { id: newest(), on: NodeId(1) },
        14 | 15 => {
            let artifact = Artifact::Image { id: "sha256:00".into() };
            let built = Built { artifact, config: run_config(b % 4 == 0), revision: None };
            Command::FinishBuild { id: newest(), built }
        }
        16 => Command::FinishPreparing { id: newest() },
        17 => Command::FailDeployment { id: newest(), failure: failure() },
        18 => Command::CancelDeployment { id: newest(), reason: "called off".into() },
        19..=21 => Command::SwitchRoute { id: newest(), drain_until: at(index + u64::from(b % 5)) },
        22 => {
            let environment = environments();
            let kept = state.environments.get(&environment).and_then(|e| e.kept);
            Command::RollBack { environment, to: kept.unwrap_or_else(deployments) }
        }
        23 => {
            let to = pick(state.nodes.keys().copied(), b).unwrap_or(NodeId(9));
            let places = vec![(fresh(index), to)];
            Command::PlaceReplicas { deployment: newest(), places }
        }
        24 => {
            let endpoint = "10.0.0.1:3000".parse().expect("an address");
            Command::ReportReplica { id: replicas(), observed: Observed::Healthy { endpoint } }
        }
        25 => Command::DrainReplica { id: replicas(), until: at(index) },
        26 => Command::EndDrain { id: replicas() },
        27 => Command::CreateUser {
            user: User {
                id: fresh(index),
                email: format!("{name}@example.com"),
                role: [Role::Admin, Role::User][usize::from(b) % 2],
                password_hash: "$argon2id$".into(),
                created_at: at(index),
            },
        },
        28 => Command::DeleteUser { id: users() },
        30 => Command::CreateJoinToken { token: join_token(index, 1 + u32::from(b) % 3) },
        31 => Command::DeleteJoinToken { id: fresh(index.saturating_sub(1)) },
        32..=34 => {
            let token_key = pick(state.join_tokens.keys().copied(), a)
                .map_or_else(String::new, |id| state.join_tokens[&id].key.clone());
            let key = format!("{:064x}", if b % 8 == 0 { 0 } else { index });
            Command::AdmitNode { token_key, node: Node { key, ..node(0) } }
        }
        35 => match (nodes().unwrap_or(NodeId(9)), b % 2) {
            (id, 0) => Command::LoseNode { id },
            (id, _) => Command::RegainNode { id },
        },
        36 => match (nodes().unwrap_or(NodeId(9)), b % 2) {
            (id, 0) => Command::DrainNode { id },
            (id, _) => Command::UndrainNode { id },
        },
        37 => Command::LabelNode {
            id: nodes().unwrap_or(NodeId(9)),
            set: [("zone".into(), format!("z{}", b % 3))].into(),
            unset: vec!["disk".into()],
        },
        38 if b % 2 == 0 => {
            Command::RemoveNode { id: nodes().unwrap_or(NodeId(9)), beside: [].into() }
        }
        38 => Command::UpgradeNode {
            id: nodes().unwrap_or(NodeId(9)),
            binary: if b % 3 == 0 { "new".into() } else { "0f".repeat(32) },
        },
        39 => {
            let to = pick(state.nodes.keys().copied(), b).unwrap_or(NodeId(9));
            Command::MoveReplica { id: replicas(), to, replacement: fresh(index) }
        }
        40 => Command::HoldArtifact { id: deployments(), node: nodes().unwrap_or(NodeId(9)) },
        41 => Command::ReleaseArtifact { id: deployments(), node: nodes().unwrap_or(NodeId(9)) },
        42 => {
            let authority = Authority { certificate: "PEM".into(), key: sealed() };
            Command::FoundAuthority { authority }
        }
        43 => Command::HandOverNode { id: nodes().unwrap_or(NodeId(9)) },
        44 => Command::ReturnBuild { id: newest(), by: NodeId(1), failure: failure() },
        TAGS => Command::SetImageTag {
            name: tag_name(b),
            manifest: format!("{:064x}", a % 3),
            holder: nodes().unwrap_or(NodeId(9)),
        },
        46 if a % 4 == 3 => {
            let hosts = state.hosts.keys().nth(usize::from(b) % state.hosts.len().max(1));
            let host = format!("{}.localho.st", hosts.map_or("none", String::as_str));
            Command::WantCertificate { name: host.parse().expect("a name") }
        }
        46 => {
            let name = pick(state.image_tags.keys(), a).cloned().unwrap_or_else(|| tag_name(b));
            let manifest = format!("{:064x}", b / 3 % 3);
            let node = nodes().unwrap_or(NodeId(9));
            match b % 3 {
                0 => Command::RemoveImageTag { name },
                1 => Command::HoldImage { name, manifest, node },
                _ => Command::ReleaseImage { name, manifest, node },
            }
        }
        47 => {
            let scope = match b % 3 {
                0 => Scope::Cluster,
                1 => Scope::Project(projects()),
                _ => Scope::Environment(environments()),
            };
            Command::SetGuard { scope, guard: (b % 5 != 4).then(|| guard(b)) }
        }
        48 => {
            let id = pick(state.dns_providers.keys().copied(), a).unwrap_or_else(|| fresh(0));
            let kind = RecordKind::ALL[usize::from(b) % 3];
            let managed = ManagedRecord { name: "www.example.com".into(), kind };
            match b % 5 {
                4 => {
                    let DnsProvider { zones, credentials, takes_over, .. } = dns_provider(index, a);
                    let (zones, takes_over) = (Some(zones), Some(takes_over));
                    let credentials = (a % 3 == 0).then_some(credentials);
                    let change = DnsProviderChange { zones, credentials, takes_over };
                    Command::ChangeDnsProvider { id, change }
                }
                0 | 1 => Command::AddDnsProvider { provider: dns_provider(index, a) },
                2 => {
                    let error = (a % 2 == 0).then(|| "it does not answer".to_owned());
                    Command::KeepDnsRecords { id, managed: [managed].into(), error }
                }
                _ => Command::DeleteDnsProvider { id },
            }
        }
        49 => Command::ReportEngine { id: nodes().unwrap_or(NodeId(9)), away: b % 2 == 0 },
        50 => {
            let caller = pick(state.projects.keys().copied(), b / 4).unwrap_or_else(|| fresh(0));
            match b % 4 {
                0 => Command::DenyCaller { id: projects(), caller },
                _ => Command::AllowCaller { id: projects(), caller },
            }
        }
        51 => Command::YieldReplica { id: replicas() },
        _ => Command::CreateApiKey {
            key: ApiKey {
                id: fresh(index),
                user: users(),
                name: "ci".into(),
                hash: format!("{index:064x}"),
                prefix: "tk_".into(),
                permissions: BTreeSet::from([Permission::Deploy]),
                created_at: at(index),
                expires_at: None,
            },
        },
    }
}

/// Applies draws from an empty state; entry `i` gets index `i + 1`.
pub fn run(draws: &[Draw]) -> State {
    let mut state = State::default();
    for (i, draw) in draws.iter().enumerate() {
        let index = i as u64 + 1;
        let command = command(&state, index, *draw);
        let _ = state.apply(index, entry(index, command));
    }
    state
}
