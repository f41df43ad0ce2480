//! Joins against a real cluster of one over real connections.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use temps_state::{Actor, Command, FORMAT, JoinToken, Node, NodeId, Standing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use super::client::{get_admitted, join_at};
use super::files::{files, write};
use super::*;
use crate::folder::Folder;
use crate::identity;
use crate::trust::{Caller, Token, Trust, draw_authority, peer_of};
use crate::{Cluster, Committed, Config, Proposal, ProposeError, RaftError};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A cluster of one that lets others in.
struct Member {
    cluster: Cluster,
    trust: Arc<Trust>,
    address: SocketAddr,
    listening: JoinHandle<()>,
    _dir: TempDir,
}

impl Proposer for Cluster {
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Committed, ProposeError>> {
        Box::pin(Self::propose(self, proposal))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Member {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_path_buf();
        let cluster = Cluster::start(Config { data_dir, peer: None }).await.unwrap();
        let folder = Folder { root: dir.path().into() };
        let (identity, key) = identity::open(&folder).unwrap();
        let trust = Trust::open(&folder, &identity, cluster.watch(), &key).unwrap();
        let authority = draw_authority(&key, trust.cluster(), Timestamp::now()).unwrap();
        propose(&cluster, Command::FoundAuthority { authority }).await;
        trust.ensure_certificate(Timestamp::now()).unwrap();
        let own =
            Node { key: trust.fingerprint(), ..Node::new(NodeId(1), "one", Timestamp::now()) };
        propose(&cluster, own.into()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(listen(listener, trust.clone(), cluster.clone()));
        Self { cluster, trust, address, listening, _dir: dir }
    }

    /// A token that is in the state, and its text.
    async fn token(&self, uses: u32) -> (JoinToken, String) {
        let (token, text) =
            self.trust.token_of(rand::random(), Timestamp::now(), HOUR, uses).unwrap();
        propose(&self.cluster, Command::CreateJoinToken { token: token.clone() }).await;
        (token, text)
    }

    /// What a machine with this folder is told to join with.
    fn config(&self, dir: &Path, token: &str) -> JoinConfig {
        JoinConfig {
            data_dir: dir.into(),
            peer: self.address.to_string(),
            token: token.into(),
            facts: Node {
                version: VERSION.into(),
                format: u32::from(FORMAT),
                ..Node::new(NodeId(0), "two", Timestamp::UNIX_EPOCH)
            },
            listen: "0.0.0.0:4711".parse().unwrap(),
            advertise: None,
        }
    }

    fn nodes(&self) -> usize {
        self.cluster.state().nodes.len()
    }
}

async fn propose(cluster: &Cluster, command: Command) {
    let actor = Actor::Node { id: NodeId(1) };
    cluster.propose(Proposal::new(actor, command)).await.unwrap();
}

async fn listen(listener: TcpListener, trust: Arc<Trust>, cluster: Cluster) {
    let acceptor = TlsAcceptor::from(trust.server(&[b"h2"]));
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, trust, cluster) = (acceptor.clone(), trust.clone(), cluster.clone());
        tokio::spawn(async move { serve(tcp, acceptor, trust, cluster).await });
    }
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, trust: Arc<Trust>, cluster: Cluster) {
    let (remote, local) = (tcp.peer_addr().unwrap(), tcp.local_addr().unwrap());
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    let identity = tls.get_ref().1.peer_certificates().and_then(peer_of).unwrap();
    let caller = Caller { identity, remote, local };
    let port = local.port();
    let service = InterceptedService::new(
        server(trust, cluster, port, None),
        move |mut request: tonic::Request<()>| {
            request.extensions_mut().insert(caller.clone());
            Ok(request)
        },
    );
    let (mut here, there) = duplex(64 * 1024);
    let incoming = stream::iter([Ok::<_, std::io::Error>(there)]);
    let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
    let _ = tokio::join!(serving, copy_bidirectional(&mut tls, &mut here));
}

async fn join_quietly(config: JoinConfig) -> Result<Joined, JoinError> {
    join(config, drop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_step_by_step_and_joining_again_does_nothing() {
    let member = Member::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (_, text) = member.token(1).await;
    let config = member.config(dir.path(), &text);
    let mut steps = Vec::new();
    let joined = join(config.clone(), |step| steps.push(step)).await.unwrap();
    let node = joined.node;
    let reached = JoinStep::Reached { peer: member.address };
    assert_eq!(steps, [JoinStep::KeyReady, reached, JoinStep::Admitted { node }, JoinStep::Kept]);
    assert_eq!((joined.cluster_id.as_str(), joined.already), (member.trust.cluster(), false));

    let state = member.cluster.state();
    let known = &state.nodes[&node];
    assert_eq!(known.standing, Standing::Joining);
    assert_eq!(known.address, Some("127.0.0.1:4711".parse().unwrap()));
    let learned = state.nodes[&NodeId(1)].address;
    assert_eq!(learned, Some(member.address));

    let folder = Folder { root: dir.path().into() };
    let (identity, key) = identity::open(&folder).unwrap();
    assert!(!identity.founded());
    assert_eq!(key.octets(), member.cluster.key().octets());
    let trust = Trust::open(&folder, &identity, watch::channel(Arc::default()).1, &key).unwrap();
    assert_eq!(trust.fingerprint(), known.key);
    assert!(trust.is_ready());

    let nowhere = JoinConfig { peer: "127.0.0.1:1".into(), ..config };
    let again = join_quietly(nowhere).await.unwrap();
    assert_eq!(again, Joined { already: true, ..joined });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_machines_that_race_for_one_use_one_wins() {
    let member = Member::start().await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_, text) = member.token(1).await;
    let (first, second) = tokio::join!(
        join_quietly(member.config(one.path(), &text)),
        join_quietly(member.config(two.path(), &text)),
    );
    let outcomes = [first, second];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let lost = outcomes.into_iter().find_map(Result::err);
    assert!(matches!(lost, Some(JoinError::TokenUsed)), "{lost:?}");
    assert_eq!(member.nodes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_file_leaves_what_the_same_join_finishes() {
    let member = Member::start().await;
    let (mut before, now) = (member.nodes(), Timestamp::now());
    for written in 0..=3 {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { root: dir.path().into() };
        let (_, text) = member.token(1).await;
        let (config, token) = (member.config(dir.path(), &text), text.parse::<Token>().unwrap());
        let admitted = get_admitted(&config, &folder, &token, now, &mut drop).await.unwrap();
        write(&files(&folder, &admitted).unwrap()[..written]).unwrap();
        if written > 0 {
            let opened = identity::open(&folder);
            assert!(matches!(opened, Err(RaftError::JoinUnfinished { .. })), "{written}");
        }
        let joined = join_quietly(config).await.unwrap();
        assert_eq!((joined.node, joined.already), (NodeId(admitted.node), false), "{written}");
        before += 1;
        assert_eq!(member.nodes(), before);
        assert!(!identity::open(&folder).unwrap().0.founded());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_that_does_not_let_in_says_why() {
    let member = Member::start().await;
    let other = Member::start().await;
    let dir = tempfile::tempdir().unwrap();
    let try_with =
        async |text: &str| join_quietly(member.config(dir.path(), text)).await.unwrap_err();
    assert!(matches!(try_with("nonsense").await, JoinError::TokenMalformed(_)));
    let (_, foreign) = other.token(1).await;
    assert!(matches!(try_with(&foreign).await, JoinError::TokenForeign { .. }));
    let (token, deleted) = member.token(1).await;
    propose(&member.cluster, Command::DeleteJoinToken { id: token.id }).await;
    let error = try_with(&deleted).await;
    assert!(matches!(error, JoinError::TokenUnknown { .. }), "{error:?}");
    let (_, used) = member.token(0).await;
    assert!(matches!(try_with(&used).await, JoinError::TokenUsed));
    let (token, expired) =
        member.trust.token_of(rand::random(), Timestamp::now() - HOUR, HOUR / 2, 1).unwrap();
    let at = token.expires_at;
    propose(&member.cluster, Command::CreateJoinToken { token }).await;
    let error = try_with(&expired).await;
    let JoinError::TokenExpired { at: told } = error else { panic!("{error:?}") };
    assert_eq!(told.as_second(), at.as_second());
    assert_eq!(member.nodes(), 1);

    // Whoever starts the machine now does not want a cluster of its own.
    let folder = Folder { root: dir.path().into() };
    let opened = identity::open(&folder).map(drop);
    assert!(matches!(opened, Err(RaftError::JoinRefused { .. })), "{opened:?}");
    std::fs::remove_file(folder.node_key()).unwrap();
    assert!(identity::open(&folder).unwrap().0.founded(), "unless that is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_far_off_is_named_although_certificates_are_out_of_its_time() {
    let member = Member::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (_, text) = member.token(1).await;
    let now = Timestamp::now();
    for off in [HOUR * 24 * 365 * 20, -HOUR * 24 * 365 * 20, SignedDuration::from_secs(62)] {
        let config = member.config(dir.path(), &text);
        let error = join_at(config, now + off, drop).await.unwrap_err();
        let JoinError::ClockOff { ours, theirs, .. } = error else { panic!("{error:?}") };
        assert_eq!(ours, now + off);
        assert!(theirs.duration_since(now).abs() < SignedDuration::from_secs(20));
    }
    join_quietly(member.config(dir.path(), &text)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_fit_is_refused_with_both_named() {
    let member = Member::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (_, text) = member.token(1).await;
    let mut config = member.config(dir.path(), &text);
    config.facts.version = "99.1.0".into();
    let error = join_quietly(config).await.unwrap_err();
    let JoinError::Incompatible { ours, theirs, .. } = error else { panic!("{error:?}") };
    assert!(ours.starts_with("99.1.0 (state format "), "{ours}");
    assert_eq!(theirs, format!("{VERSION} (state format 1)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_there_or_is_no_peer_is_told_apart() {
    let member = Member::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (_, text) = member.token(1).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let at = |peer: String| JoinConfig { peer, ..member.config(dir.path(), &text) };
    for nowhere in [closed.to_string(), "no port".into(), "nobody.invalid:1".into()] {
        let error = join_quietly(at(nowhere)).await.unwrap_err();
        assert!(matches!(error, JoinError::Unreachable { .. }), "{error:?}");
    }
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = web.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = web.accept().await.unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = join_quietly(at(address.to_string())).await.unwrap_err();
    assert!(matches!(error, JoinError::NotAPeer { .. }), "{error:?}");
    answering.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_cluster_is_left_alone_before_the_token_is_used() {
    let (ours, theirs) = (Member::start().await, Member::start().await);
    let (_, text) = ours.token(1).await;
    let founded = tempfile::tempdir().unwrap();
    identity::open(&Folder { root: founded.path().into() }).unwrap();
    let joined = tempfile::tempdir().unwrap();
    let (_, their_text) = theirs.token(1).await;
    join_quietly(theirs.config(joined.path(), &their_text)).await.unwrap();
    let only_key = tempfile::tempdir().unwrap();
    std::fs::write(only_key.path().join("cluster.key"), "07".repeat(32)).unwrap();
    for dir in [founded, joined, only_key] {
        let error = join_quietly(ours.config(dir.path(), &text)).await.unwrap_err();
        assert!(matches!(error, JoinError::BelongsElsewhere { .. }), "{error:?}");
    }
    assert_eq!(ours.nodes(), 1);
    assert_eq!(ours.cluster.state().join_tokens.values().next().unwrap().uses_left, 1);
}

#[test]
fn what_a_join_is_told_shows_no_token() {
    let config = JoinConfig {
        data_dir: "/d".into(),
        peer: "p:1".into(),
        token: "tj_secret".into(),
        facts: Node::new(NodeId(0), "n", Timestamp::UNIX_EPOCH),
        listen: "0.0.0.0:1".parse().unwrap(),
        advertise: None,
    };
    assert!(!format!("{config:?}").contains("secret"));
}
