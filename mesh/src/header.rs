//! The first bytes of a stream: where it should go, and the answer. Pure but for two readers.
//!
//! Opener: `length: u16, kind: u8, name: UTF-8`. Other end: `1` as soon as it has read that, then `2` (accepted, data
//! follows both ways) or `3, length: u16, reason: UTF-8` (refused). Numbers are big-endian.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::MeshError;

/// Longest header after its length.
pub(crate) const HEADER_BYTES_MAX: usize = 256;
/// Longest reason of a refusal; the rest is cut off.
const REASON_BYTES_MAX: usize = 512;

const KIND_REPLICA: u8 = 1;
const KIND_API: u8 = 2;

pub(crate) const HEARD: u8 = 1;
pub(crate) const ACCEPTED: u8 = 2;
const REFUSED: u8 = 3;

/// Where a stream should go on the node it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To the port of the replica with this id.
    Replica(String),
    /// To the node's API.
    Api,
}

impl Target {
    /// The header that asks for this target.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, MeshError> {
        let (kind, name) = match self {
            Self::Replica(id) => (KIND_REPLICA, id.as_str()),
            Self::Api => (KIND_API, ""),
        };
        let length = 1 + name.len();
        if length > HEADER_BYTES_MAX {
            let max = HEADER_BYTES_MAX - 1;
            return Err(MeshError::TargetTooLong { length: name.len(), max });
        }
        let mut header = Vec::with_capacity(2 + length);
        header.extend_from_slice(&(length as u16).to_be_bytes());
        header.push(kind);
        header.extend_from_slice(name.as_bytes());
        Ok(header)
    }

    /// `None` for what this version does not know.
    fn parse(header: &[u8]) -> Option<Self> {
        let (kind, name) = header.split_first()?;
        let name = str::from_utf8(name).ok()?;
        match *kind {
            KIND_REPLICA if !name.is_empty() => Some(Self::Replica(name.to_owned())),
            KIND_API if name.is_empty() => Some(Self::Api),
            _ => None,
        }
    }
}

/// What came in as a header.
pub(crate) enum Asked {
    For(Target),
    /// Well-formed, but of no kind this version knows: worth an answer.
    Unknown,
}

/// Reads a header. Fails where the peer breaks off or promises too much.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Asked> {
    let length = usize::from(from.read_u16().await?);
    if length == 0 || length > HEADER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a header"));
    }
    let mut header = [0; HEADER_BYTES_MAX];
    from.read_exact(&mut header[..length]).await?;
    Ok(Target::parse(&header[..length]).map_or(Asked::Unknown, Asked::For))
}

/// What the other end decided.
pub(crate) enum Answer {
    Accepted,
    Refused(String),
}

/// Reads the decision that follows `HEARD`.
pub(crate) async fn read_answer(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    match from.read_u8().await? {
        ACCEPTED => Ok(Answer::Accepted),
        REFUSED => {
            let length = usize::from(from.read_u16().await?).min(REASON_BYTES_MAX);
            let mut reason = vec![0; length];
            from.read_exact(&mut reason).await?;
            Ok(Answer::Refused(String::from_utf8_lossy(&reason).into_owned()))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer")),
    }
}

/// The bytes of a refusal.
pub(crate) fn refusal(reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let mut answer = vec![REFUSED];
    answer.extend_from_slice(&(reason.len() as u16).to_be_bytes());
    answer.extend_from_slice(reason.as_bytes());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(bytes: &[u8]) -> io::Result<Option<Target>> {
        Ok(match read(&mut &*bytes).await? {
            Asked::For(target) => Some(target),
            Asked::Unknown => None,
        })
    }

    #[tokio::test]
    async fn a_target_survives_the_way() {
        for target in
            [Target::Api, Target::Replica("rep_1".into()), Target::Replica("ü".repeat(127))]
        {
            let header = target.encode().unwrap();
            assert_eq!(read_bytes(&header).await.unwrap(), Some(target));
        }
    }

    #[test]
    fn a_target_with_too_long_a_name_is_not_sent() {
        assert!(Target::Replica("r".repeat(HEADER_BYTES_MAX - 1)).encode().is_ok());
        let long = Target::Replica("r".repeat(HEADER_BYTES_MAX)).encode();
        assert!(matches!(long, Err(MeshError::TargetTooLong { length: 256, max: 255 })));
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_an_unknown_kind_is_not() {
        for garbage in
            [&b""[..], b"\0", b"\0\0", b"\0\x02\x01", b"\xff\xff\x01abc", b"GET / HTTP/1.1"]
        {
            assert!(read_bytes(garbage).await.is_err(), "{garbage:?}");
        }
        for unknown in [&b"\0\x01\x09"[..], b"\0\x01\x01", b"\0\x02\x02x", b"\0\x02\x01\xff"] {
            assert_eq!(read_bytes(unknown).await.unwrap(), None, "{unknown:?}");
        }
    }

    #[tokio::test]
    async fn a_reason_is_cut_at_a_character() {
        let answer = refusal(&format!("x{}", "ü".repeat(400)));
        match read_answer(&mut &answer[..]).await.unwrap() {
            Answer::Refused(reason) => assert_eq!(reason, format!("x{}", "ü".repeat(255))),
            Answer::Accepted => panic!("accepted"),
        }
    }
}
