//! A snapshot on the wire: a head that says what it is, then its octets in parts of bounded length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use temps_proto::peer::snapshot_part::Part;
use temps_proto::peer::{SnapshotHead, SnapshotPart};
use tokio::time::timeout;
use tonic::{Status, Streaming};
use tracing::warn;

use super::{pack, unpack};
use crate::types::{SnapshotMeta, Vote};

/// The octets of one part.
const PART_BYTES: usize = 1 << 20;
/// The longest snapshot that a node takes. Octets.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
/// How long the next part may take.
const PART_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes a snapshot apart.
pub fn parts(
    vote: &Vote,
    meta: &SnapshotMeta,
    octets: Bytes,
) -> impl Stream<Item = SnapshotPart> + Send + 'static {
    let head = SnapshotHead { vote: pack(vote), meta: pack(meta), length: octets.len() as u64 };
    let body = stream::unfold(octets, |mut rest| async move {
        let length = rest.len().min(PART_BYTES);
        (length > 0).then(|| (Part::Octets(rest.split_to(length)), rest))
    });
    let all = stream::once(async { Part::Head(head) }).chain(body);
    all.map(|part| SnapshotPart { part: Some(part) })
}

/// Puts a snapshot together again, and refuses one that is longer than it said, too long, or without room.
pub async fn collect(
    mut parts: Streaming<SnapshotPart>,
    has_room: impl Fn(u64) -> bool,
) -> Result<(Vote, SnapshotMeta, Bytes), Status> {
    let Some(Part::Head(head)) = next(&mut parts).await? else {
        return Err(Status::invalid_argument("a snapshot begins with its head"));
    };
    let vote = unpack(&head.vote).map_err(unreadable)?;
    let meta = unpack(&head.meta).map_err(unreadable)?;
    let length = usize::try_from(head.length).ok().filter(|_| head.length <= SNAPSHOT_BYTES_MAX);
    let length = length.ok_or_else(|| Status::out_of_range("the snapshot is too long"))?;
    if !has_room(head.length) {
        warn!(
            bytes = head.length,
            "no room for the leader's snapshot; it is sent again in a while"
        );
        return Err(Status::resource_exhausted("there is no room for the snapshot on the disk"));
    }
    let mut octets = BytesMut::new();
    while let Some(part) = next(&mut parts).await? {
        let Part::Octets(part) = part else {
            return Err(Status::invalid_argument("a snapshot has one head"));
        };
        if octets.len() + part.len() > length {
            return Err(Status::out_of_range("the snapshot is longer than it said"));
        }
        octets.extend_from_slice(&part);
    }
    match octets.len() == length {
        true => Ok((vote, meta, octets.freeze())),
        false => Err(Status::data_loss("the snapshot is shorter than it said")),
    }
}

async fn next(parts: &mut Streaming<SnapshotPart>) -> Result<Option<Part>, Status> {
    let part = timeout(PART_TIMEOUT, parts.message()).await;
    let part = part.map_err(|_| Status::deadline_exceeded("the snapshot stopped coming"))??;
    Ok(part.and_then(|part| part.part))
}

fn unreadable(error: rmp_serde::decode::Error) -> Status {
    Status::invalid_argument(format!("the head of the snapshot cannot be read: {error}"))
}
