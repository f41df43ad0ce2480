//! The outcome of a proposal on its way between nodes.

use temps_proto::peer::propose_reply::Outcome;
use temps_proto::peer::{
    Committed as Done, DiskFull, ProposeReply, TooLarge, Unavailable, Unknown,
};
use temps_state::{Rejected, Reply, TooNew, decode, encode};

use crate::{Committed, ProposeError};

/// What the leader answers.
pub fn to_reply(outcome: Result<Committed, ProposeError>) -> ProposeReply {
    let outcome = match outcome {
        Ok(Committed { index, reply }) => {
            Outcome::Committed(Done { index, reply: encode(&reply).into() })
        }
        Err(ProposeError::Rejected(why)) => Outcome::Rejected(encode(&why).into()),
        Err(ProposeError::TooNew(why)) => Outcome::TooNew(encode(&why).into()),
        Err(ProposeError::NoQuorum) => Outcome::Unavailable(Unavailable {}),
        Err(ProposeError::DiskFull { free, needed }) => {
            Outcome::DiskFull(DiskFull { free, needed })
        }
        Err(ProposeError::TooLarge { bytes, max }) => {
            Outcome::TooLarge(TooLarge { octets: bytes as u64, max: max as u64 })
        }
        Err(ProposeError::Timeout | ProposeError::Stopped { .. }) => Outcome::Unknown(Unknown {}),
    };
    ProposeReply { outcome: Some(outcome) }
}

/// What the leader's answer means. One that this version cannot read may be a success.
pub fn from_reply(reply: ProposeReply) -> Result<Committed, ProposeError> {
    let octets = |octets: u64| usize::try_from(octets).unwrap_or(usize::MAX);
    match reply.outcome {
        Some(Outcome::Committed(Done { index, reply })) => match decode::<Reply>(&reply) {
            Ok(reply) => Ok(Committed { index, reply }),
            Err(_) => Err(ProposeError::Timeout),
        },
        Some(Outcome::Rejected(why)) => match decode::<Rejected>(&why) {
            Ok(why) => Err(ProposeError::Rejected(why)),
            Err(_) => Err(ProposeError::Timeout),
        },
        Some(Outcome::TooNew(why)) => match decode::<TooNew>(&why) {
            Ok(why) => Err(ProposeError::TooNew(why)),
            Err(_) => Err(ProposeError::Timeout),
        },
        Some(Outcome::Unavailable(_)) => Err(ProposeError::NoQuorum),
        Some(Outcome::DiskFull(DiskFull { free, needed })) => {
            Err(ProposeError::DiskFull { free, needed })
        }
        Some(Outcome::TooLarge(TooLarge { octets: bytes, max })) => {
            Err(ProposeError::TooLarge { bytes: octets(bytes), max: octets(max) })
        }
        Some(Outcome::Unknown(_)) | None => Err(ProposeError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temps_state::{Behind, NodeId};

    #[test]
    fn an_outcome_comes_through_as_it_was() {
        let reply = Reply::Node { id: NodeId(9) };
        let committed = Committed { index: 7, reply };
        assert_eq!(from_reply(to_reply(Ok(committed.clone()))).unwrap(), committed);
        let behind = vec![Behind { node: NodeId(3), name: "n".into(), knows: 1 }];
        let cases = [
            ProposeError::Rejected(Rejected::LastAdmin),
            ProposeError::TooNew(TooNew { needed: 2, behind }),
            ProposeError::NoQuorum,
            ProposeError::Timeout,
            ProposeError::TooLarge { bytes: 5, max: 4 },
            ProposeError::DiskFull { free: 1, needed: 2 },
        ];
        for case in cases {
            let text = case.to_string();
            assert_eq!(from_reply(to_reply(Err(case))).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_leaves_the_outcome_open() {
        let nonsense = Outcome::Committed(Done { index: 1, reply: "nonsense".into() });
        let unread = from_reply(ProposeReply { outcome: Some(nonsense) });
        assert!(matches!(unread, Err(ProposeError::Timeout)));
        let nothing = from_reply(ProposeReply { outcome: None });
        assert!(matches!(nothing, Err(ProposeError::Timeout)));
    }
}
