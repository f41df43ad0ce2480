//! A client's query, read as far as needed. Pure.

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::limits::DATAGRAM_BYTES_MAX;

/// Octets of a message's header, RFC 1035 §4.1.1.
const HEADER_BYTES: usize = 12;

/// A well-formed query with exactly one question.
#[derive(Debug)]
pub(crate) struct Question {
    /// The whole query.
    pub(crate) message: Message,
    /// What is asked.
    pub(crate) query: Query,
    /// Where the question ends in the query's octets, and in those of every answer to it.
    pub(crate) end: usize,
}

impl Question {
    /// Reads a query. What is none gets the answer in the error, if it gets one.
    pub(crate) fn read(octets: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let header = Header::read(&mut BinDecoder::new(octets)).map_err(|_| None)?.metadata;
        if header.message_type == MessageType::Response {
            return Err(None);
        }
        let refuse = |code| Message::error_msg(header.id, header.op_code, code).to_vec().ok();
        if header.op_code != OpCode::Query {
            return Err(refuse(ResponseCode::NotImp));
        }
        let message = Message::from_vec(octets).map_err(|_| refuse(ResponseCode::FormErr))?;
        match (message.queries.as_slice(), end_of_question(octets)) {
            ([query], Some(end)) => Ok(Self { query: query.clone(), end, message }),
            _ => Err(refuse(ResponseCode::FormErr)),
        }
    }

    /// Octets of the longest answer that the client takes in one datagram.
    pub(crate) fn datagram_max(&self) -> usize {
        usize::from(self.message.max_payload()).min(DATAGRAM_BYTES_MAX)
    }

    /// The answer that the client is to ask again over TCP, where it cannot be somebody else's victim.
    pub(crate) fn over_tcp(&self) -> Option<Vec<u8>> {
        let mut message = Message::error_msg(
            self.message.metadata.id,
            self.message.metadata.op_code,
            ResponseCode::NoError,
        );
        message.metadata.truncation = true;
        message.add_query(self.query.clone());
        message.to_vec().ok()
    }

    /// An answer as it fits in a datagram: where it is too long, the client is told to ask over TCP.
    pub(crate) fn fit(&self, mut answer: Vec<u8>) -> Vec<u8> {
        if answer.len() > self.datagram_max() && answer.len() >= self.end {
            answer.truncate(self.end);
            // The flag `TC`, and no records.
            answer[2] |= 0b10;
            answer[6..HEADER_BYTES].fill(0);
        }
        answer
    }
}

fn end_of_question(octets: &[u8]) -> Option<usize> {
    let mut decoder = BinDecoder::new(octets);
    Header::read(&mut decoder).ok()?;
    Query::read(&mut decoder).ok()?;
    Some(decoder.index())
}

/// Whether `answer` is one to the query that was sent.
pub(crate) fn answers(answer: &[u8], sent: &[u8], question_end: usize) -> bool {
    let is_response = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let question = |octets: &[u8]| octets.get(HEADER_BYTES..question_end).map(<[u8]>::to_vec);
    let same = match (question(answer), question(sent)) {
        (Some(theirs), Some(ours)) => theirs.eq_ignore_ascii_case(&ours),
        // Some name no question when they refuse one.
        _ => answer.len() == HEADER_BYTES,
    };
    is_response && answer[..2] == sent[..2] && same
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::Edns;
    use hickory_proto::rr::{Name, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
        message
    }

    fn code(octets: &[u8]) -> Option<ResponseCode> {
        let refusal = Question::read(octets).expect_err("no question")?;
        Some(Message::from_vec(&refusal).unwrap().metadata.response_code)
    }

    #[test]
    fn a_query_has_one_question() {
        let octets = query("example.com.").to_vec().unwrap();
        let question = Question::read(&octets).unwrap();
        assert_eq!(question.end, octets.len());
        let mut two = query("example.com.");
        two.add_query(two.queries[0].clone());
        assert_eq!(code(&two.to_vec().unwrap()), Some(ResponseCode::FormErr));
        assert_eq!(code(&octets[..octets.len() - 1]), Some(ResponseCode::FormErr));
        assert_eq!(code(&octets[..11]), None);
        let answer = query("example.com.").into_response().to_vec().unwrap();
        assert_eq!(code(&answer), None, "an answer gets no answer");
        let mut notify = query("example.com.");
        notify.metadata.op_code = OpCode::Notify;
        assert_eq!(code(&notify.to_vec().unwrap()), Some(ResponseCode::NotImp));
    }

    #[test]
    fn what_does_not_fit_says_so() {
        let mut message = query("example.com.");
        let question = Question::read(&message.to_vec().unwrap()).unwrap();
        assert_eq!(question.datagram_max(), 512);
        message.set_edns(Edns::new().set_max_payload(1_232).clone());
        let roomy = Question::read(&message.to_vec().unwrap()).unwrap();
        assert_eq!(roomy.datagram_max(), 1_232);
        let mut answer = query("example.com.").into_response().to_vec().unwrap();
        answer[6..8].copy_from_slice(&9_u16.to_be_bytes());
        answer.resize(1_000, 0);
        assert_eq!(roomy.fit(answer.clone()), answer);
        let short = Message::from_vec(&question.fit(answer)).unwrap();
        assert!(short.metadata.truncation && short.answers.is_empty());
        assert_eq!(short.queries, message.queries);
    }

    #[test]
    fn an_answer_has_the_id_and_the_question() {
        let sent = query("example.com.").to_vec().unwrap();
        let end = sent.len();
        let mut answer = sent.clone();
        assert!(!answers(&answer, &sent, end), "a query is no answer");
        answer[2] |= 0x80;
        assert!(answers(&answer, &sent, end));
        let mut other_case = answer.clone();
        other_case[13..end].make_ascii_uppercase();
        assert!(answers(&other_case, &sent, end));
        let mut other_id = answer.clone();
        other_id[0] ^= 1;
        assert!(!answers(&other_id, &sent, end));
        let mut other_name = answer.clone();
        other_name[14] ^= 1;
        assert!(!answers(&other_name, &sent, end));
        assert!(!answers(&answer[..20], &sent, end));
        assert!(answers(&answer[..12], &sent, end));
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Question::read(&octets);
            let _ = answers(&octets, &[0; 12], 12);
        }
    }
}
