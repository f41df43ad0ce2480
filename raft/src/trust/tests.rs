//! Handshakes between nodes, with everything that should not get through.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use temps_state::NodeId;

use super::ground::{GREETING, Ground, call, reaches};
use super::known::Reaching;
use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A caller that believes every server, and shows what it is given.
fn caller(member: &ground::Member, node: u64, shown: Option<CertifiedKey>) -> Arc<ClientConfig> {
    let known = member.trust.known.clone();
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Reaching { known, node: NodeId(node) });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match shown {
        Some(shown) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"t".to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn nodes_of_one_cluster_reach_each_other_and_know_whom() {
    let ground = Ground::new();
    let (one, two) = (ground.member(1), ground.member(2));
    assert!(reaches(&one, &two).await);
    assert!(reaches(&two, &one).await);
}

#[tokio::test]
async fn a_node_of_another_cluster_is_neither_believed_nor_let_in() {
    let (ours, theirs) = (Ground::new(), Ground::new());
    let (one, two) = (ours.member(1), theirs.member(2));
    ours.member(2);
    assert!(!reaches(&one, &two).await);
    assert!(!reaches(&two, &one).await);
}

#[tokio::test]
async fn an_authority_that_calls_itself_ours_is_not_ours() {
    let (ours, mut theirs) = (Ground::new(), Ground::without_authority());
    theirs.cluster.clone_from(&ours.cluster);
    let forged = draw_authority(&theirs.key, &theirs.cluster, Timestamp::now()).unwrap();
    theirs.change(|state| drop(state.authority.insert(0, forged)));
    let (one, two) = (ours.member(1), theirs.stranger(99));
    let (seen, heard) = call(one.server(), caller(&one, 1, certified(&two))).await;
    assert!(heard.is_err());
    let refused = seen.unwrap_err().to_string();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_ended_or_has_not_begun_is_refused() {
    let ground = Ground::new();
    let one = ground.member(1);
    let now = Timestamp::now();
    for (signed_at, in_time) in
        [(now - DAY * 89, true), (now - DAY * 91, false), (now + DAY * 2, false)]
    {
        let newcomer = ground.unfed(99, signed_at);
        assert_eq!(reaches(&newcomer, &one).await, in_time, "{signed_at}");
        assert_eq!(reaches(&one, &newcomer).await, in_time, "{signed_at}");
    }
}

#[tokio::test]
async fn a_call_to_one_node_is_not_satisfied_by_another() {
    let ground = Ground::new();
    let (one, two) = (ground.member(1), ground.member(2));
    ground.member(3);
    let (seen, heard) = call(two.server(), one.client(3)).await;
    assert!(seen.is_err() && heard.is_err());
}

#[tokio::test]
async fn a_removed_node_is_locked_out_at_once_and_cannot_resume() {
    let ground = Ground::new();
    let (one, two) = (ground.member(1), ground.member(2));
    let (server, client) = (one.server(), two.client(1));
    let (_, heard) = call(server.clone(), client.clone()).await;
    assert_eq!(heard.unwrap(), GREETING);
    assert!(one.trust.belongs(NodeId(2)));
    ground.change(|state| drop(state.nodes.remove(&NodeId(2))));
    let (seen, heard) = call(server, client).await;
    assert!(seen.is_err() && heard.is_err());
    assert!(!reaches(&one, &two).await);
    assert!(!one.trust.belongs(NodeId(2)));
}

#[tokio::test]
async fn an_id_too_new_to_be_known_is_believed_by_its_certificate_alone() {
    let ground = Ground::new();
    let one = ground.member(1);
    let (newcomer, removed) = (ground.stranger(11), ground.stranger(10));
    assert!(reaches(&one, &newcomer).await && reaches(&newcomer, &one).await);
    assert!(!reaches(&one, &removed).await);
    assert!(!reaches(&removed, &one).await);
}

#[tokio::test]
async fn a_key_that_the_state_does_not_have_for_the_node_is_refused() {
    let ground = Ground::new();
    let (one, two) = (ground.member(1), ground.member(2));
    let impostor = ground.stranger(2);
    assert!(reaches(&two, &one).await);
    let (seen, _) = call(one.server(), impostor.client(1)).await;
    assert!(seen.is_err());
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_under_open_listeners_and_stays_the_nodes() {
    let ground = Ground::new();
    let (one, two) = (ground.member(1), ground.member(2));
    let (server, now) = (one.server(), Timestamp::now());
    let certificate = || one.trust.known.own.load_full().unwrap().certified.cert[0].clone();
    let first = certificate();
    one.trust.ensure_certificate(now).unwrap();
    one.trust.ensure_certificate(now + DAY * 59).unwrap();
    assert_eq!(certificate(), first);
    one.trust.ensure_certificate(now + DAY * 61).unwrap();
    let renewed = certificate();
    assert_ne!(renewed, first);
    let of = |der: &CertificateDer<'_>| Facts::read(der).unwrap();
    assert_eq!(of(&renewed).key, of(&first).key);
    assert!(of(&renewed).not_after >= (now + DAY * 150).as_second());
    let kept = fs::read_to_string(one.dir.path().join("node.crt")).unwrap();
    assert_eq!(from_pem(&kept).unwrap(), renewed);
    // It was renewed for a time to come, so for now it is refused: the open listener shows the new one.
    let (_, heard) = call(server, two.client(1)).await;
    assert!(heard.is_err());
    assert!(of(&renewed).not_before > now.as_second());
    // A clock that was ahead and is right again.
    assert!(one.trust.ensure_certificate(now).is_ok());
    assert!(of(&certificate()).not_before <= now.as_second());
}

#[tokio::test]
async fn whoever_shows_no_certificate_hears_nothing() {
    let ground = Ground::new();
    let one = ground.member(1);
    let (seen, heard) = call(one.server(), caller(&one, 1, None)).await;
    assert!(seen.is_err());
    let alert = heard.unwrap_err();
    assert!(alert.to_string().contains("CertificateRequired"), "{alert}");
}

#[tokio::test]
async fn whoever_has_a_token_is_let_in_as_that_and_nobody_else_is() {
    let ground = Ground::new();
    let one = ground.member(1);
    let (token, text) = one.trust.token_of([7; SEED_LEN], Timestamp::now(), DAY, 1).unwrap();
    let shown = || Some(text.parse::<Token>().unwrap().certified().unwrap());
    let (seen, heard) = call(one.server(), caller(&one, 1, shown())).await;
    assert!(seen.is_err());
    assert!(heard.unwrap_err().to_string().contains("AccessDenied"));
    ground.change(|state| drop(state.join_tokens.insert(token.id, token.clone())));
    let (seen, heard) = call(one.server(), caller(&one, 1, shown())).await;
    assert_eq!(seen.unwrap(), Some(PeerIdentity::Token(token.key)));
    assert_eq!(heard.unwrap(), GREETING);
}

#[tokio::test]
async fn a_token_that_names_itself_a_node_stays_a_token() {
    let ground = Ground::new();
    let one = ground.member(1);
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let name = certificate::node_name(NodeId(1), &ground.cluster);
    let signed = CertificateParams::new([name]).unwrap().self_signed(&pair).unwrap();
    let der = signed.der().clone();
    let facts = Facts::read(&der).unwrap();
    assert_eq!(facts.node(), Some((NodeId(1), ground.cluster.as_str())));
    assert_eq!(peer_of(std::slice::from_ref(&der)), Some(PeerIdentity::Token(facts.key)));
    let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
    let shown = CertifiedKey::from_der(vec![der], key, &provider()).unwrap();
    let (seen, _) = call(one.server(), caller(&one, 1, Some(shown))).await;
    assert!(seen.is_err());
}

#[tokio::test]
async fn the_founder_gets_its_certificate_when_there_is_an_authority() {
    let ground = Ground::without_authority();
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder { root: dir.path().into() };
    let (identity, key) = crate::identity::open(&folder).unwrap();
    let trust = Trust::open(&folder, &identity, ground.applied.subscribe(), &key).unwrap();
    assert!(!trust.is_ready());
    assert!(matches!(
        trust.token_of([7; SEED_LEN], Timestamp::now(), DAY, 1),
        Err(TrustError::NoAuthority)
    ));
    let keeping = tokio::spawn(trust.clone().keep_certificate());
    let authority = draw_authority(&key, trust.cluster(), Timestamp::now()).unwrap();
    ground.change(|state| drop(state.authority.insert(0, authority)));
    let ready = async {
        while !trust.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap();
    keeping.abort();
    let again = Trust::open(&folder, &identity, ground.applied.subscribe(), &key).unwrap();
    assert!(again.is_ready());
    assert_eq!(again.fingerprint(), trust.fingerprint());
}

#[tokio::test]
async fn a_node_that_joined_does_not_make_up_a_key() {
    let ground = Ground::new();
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder { root: dir.path().into() };
    let identity = Identity::joined(NodeId(7), ground.cluster.clone(), &ground.key);
    let opened = Trust::open(&folder, &identity, ground.applied.subscribe(), &ground.key);
    assert!(matches!(opened, Err(RaftError::NodeKeyMissing { .. })));
}

fn certified(member: &ground::Member) -> Option<CertifiedKey> {
    let own = member.trust.known.own.load_full().unwrap();
    Some(CertifiedKey::clone(&own.certified))
}
