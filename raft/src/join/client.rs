//! The joiner's side.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use temps_proto::join::join_client::JoinClient;
use temps_proto::join::join_reply::Outcome;
use temps_proto::join::refused::Why;
use temps_proto::join::{Admitted, JoinReply, JoinRequest};
use temps_state::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::files::{files, has_other_key, joined_before, write};
use super::tls::connect;
use super::{JoinConfig, JoinError, JoinStep, Joined};
use crate::folder::Folder;
use crate::trust::{Facts, NodeKey, Token, from_pem};

/// How long the member may take to ask the cluster.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes this machine a node of the peer's cluster. Run again after a crash or an error, it goes on where it was; run on
/// a node of the same cluster, it does nothing.
pub async fn join(config: JoinConfig, on_step: impl FnMut(JoinStep)) -> Result<Joined, JoinError> {
    join_at(config, Timestamp::now(), on_step).await
}

/// Joins with the clock at `now`.
pub async fn join_at(
    config: JoinConfig,
    now: Timestamp,
    mut on_step: impl FnMut(JoinStep),
) -> Result<Joined, JoinError> {
    let token: Token = config.token.parse().map_err(JoinError::TokenMalformed)?;
    let folder = Folder { root: config.data_dir.clone() };
    if let Some(identity) = joined_before(&folder, &token)? {
        on_step(JoinStep::Already { node: identity.node });
        return Ok(Joined { node: identity.node, cluster_id: identity.cluster, already: true });
    }
    let _lock = folder.lock()?;
    let admitted = get_admitted(&config, &folder, &token, now, &mut on_step).await?;
    let files = files(&folder, &admitted).ok_or_else(|| unknown_answer(&config.peer))?;
    write(&files)?;
    on_step(JoinStep::Kept);
    Ok(Joined { node: NodeId(admitted.node), cluster_id: admitted.cluster, already: false })
}

/// Everything up to the member's answer. It may be asked again with the same key, and answers the same.
pub async fn get_admitted(
    config: &JoinConfig,
    folder: &Folder,
    token: &Token,
    now: Timestamp,
    on_step: &mut impl FnMut(JoinStep),
) -> Result<Admitted, JoinError> {
    let key = NodeKey::read_or_draw(&folder.node_key())?;
    on_step(JoinStep::KeyReady);
    let connection = connect(&config.peer, token).await?;
    on_step(JoinStep::Reached { peer: connection.peer });
    let request = request(config, &key, now)?;
    let answer = ask(&config.peer, connection.stream, request).await?;
    let admitted = answer.map_err(|why| refused(config, now, why))?;
    check(&config.peer, token, &key, &admitted)?;
    if has_other_key(folder, &admitted)? {
        return Err(JoinError::BelongsElsewhere { path: folder.root.clone() });
    }
    on_step(JoinStep::Admitted { node: NodeId(admitted.node) });
    Ok(admitted)
}

fn request(config: &JoinConfig, key: &NodeKey, now: Timestamp) -> Result<JoinRequest, JoinError> {
    let facts = config.facts.clone();
    Ok(JoinRequest {
        signing_request: key.request()?.into(),
        name: facts.name,
        architecture: facts.architecture,
        cpu_millis: facts.capacity.cpu_millis,
        memory_mib: facts.capacity.memory_mib,
        builds: facts.builds,
        peer_port: config.listen.port().into(),
        advertise: config.advertise.map(|address: SocketAddr| address.to_string()),
        clock_ms: now.as_millisecond(),
        version: facts.version,
        format: facts.format,
        labels: facts.labels.into_iter().collect(),
        http_port: facts.http_port.map(u32::from),
        https_port: facts.https_port.map(u32::from),
    })
}

async fn ask(
    peer: &str,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: JoinRequest,
) -> Result<Result<Admitted, Why>, JoinError> {
    let unreachable = |error: tonic::Status| JoinError::Unreachable {
        peer: peer.into(),
        source: io::Error::other(error),
    };
    let channel = channel(stream).await.map_err(|error| JoinError::NotAPeer {
        peer: peer.into(),
        source: io::Error::other(error),
    })?;
    let reply = JoinClient::new(channel).join(request).await.map_err(unreachable)?;
    match reply.into_inner() {
        JoinReply { outcome: Some(Outcome::Admitted(admitted)) } => Ok(Ok(admitted)),
        JoinReply { outcome: Some(Outcome::Refused(refused)) } => {
            refused.why.map(Err).ok_or_else(|| unknown_answer(peer))
        }
        JoinReply { outcome: None } => Err(unknown_answer(peer)),
    }
}

/// A channel over the one connection; there is no other.
async fn channel(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.take().ok_or(io::ErrorKind::NotConnected);
        async move { stream.map_err(io::Error::from) }
    });
    let endpoint = Endpoint::from_static("http://peer.temps").timeout(ANSWER_TIMEOUT);
    endpoint.connect_with_connector(connector).await
}

fn refused(config: &JoinConfig, ours: Timestamp, why: Why) -> JoinError {
    let peer = config.peer.clone();
    match why {
        Why::TokenUnknown(_) => JoinError::TokenUnknown { peer },
        Why::TokenUsed(_) => JoinError::TokenUsed,
        Why::TokenExpired(expired) => JoinError::TokenExpired { at: timestamp(expired.at_ms) },
        Why::ClockOff(off) => JoinError::ClockOff { peer, ours, theirs: timestamp(off.theirs_ms) },
        Why::Incompatible(found) => {
            let ours = release(&config.facts.version, config.facts.format);
            JoinError::Incompatible { peer, ours, theirs: release(&found.version, found.format) }
        }
        Why::NoQuorum(_) => JoinError::NoQuorum,
        Why::Invalid(invalid) => JoinError::Refused { peer, why: invalid.why },
    }
}

/// A version with the newest format of the state that it knows: two builds of one version may know different ones.
fn release(version: &str, format: u32) -> String {
    format!("{version} (state format {format})")
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// Before anything is kept, it must be what was asked for.
fn check(peer: &str, token: &Token, key: &NodeKey, admitted: &Admitted) -> Result<(), JoinError> {
    let facts = Facts::read(&from_pem(&admitted.certificate)?)?;
    let named = facts.node() == Some((NodeId(admitted.node), admitted.cluster.as_str()));
    let pinned = token.pins(&from_pem(&admitted.authority)?);
    match named && pinned && facts.key == key.fingerprint() {
        true => Ok(()),
        false => Err(unknown_answer(peer)),
    }
}

fn unknown_answer(peer: &str) -> JoinError {
    let why = "its answer cannot be used here: install the version that it has".into();
    JoinError::Refused { peer: peer.into(), why }
}
