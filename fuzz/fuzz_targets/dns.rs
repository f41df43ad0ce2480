//! A DNS message of a stranger: it gets no answer, or one that is well-formed, about what was asked, and no larger than it
//! may be.
#![no_main]
#![allow(dead_code, reason = "the files belong to a larger crate")]

#[path = "../../dns/src/limits.rs"]
mod limits;
#[path = "../../dns/src/question.rs"]
mod question;

use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;
use question::Question;

fuzz_target!(|octets: &[u8]| match Question::read(octets) {
    Ok(question) => {
        assert!(question.end <= octets.len());
        let [query] = question.message.queries.as_slice() else { panic!("one question") };
        assert_eq!(*query, question.query);
        if let Some(answer) = question.over_tcp() {
            check(&answer, octets);
            let fitted = question.fit(answer);
            assert!(fitted.len() <= question.datagram_max().max(question.end));
        }
    }
    Err(Some(answer)) => check(&answer, octets),
    Err(None) => {}
});

/// An answer is to the query, and an answer.
fn check(answer: &[u8], query: &[u8]) {
    let message = Message::from_vec(answer).expect("a message");
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert_eq!(answer[..2], query[..2], "the id of the query");
}
