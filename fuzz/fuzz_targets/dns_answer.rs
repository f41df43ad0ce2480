//! What comes where the node waits for a resolver's answer: it is taken for one only if it answers what was asked, and then it
//! says so much at most, or that it cannot be read.
#![no_main]
#![allow(dead_code, reason = "the files belong to a larger crate")]

#[path = "../../dns/src/answer.rs"]
mod answer;
#[path = "../../dns/src/limits.rs"]
mod limits;
#[path = "../../dns/src/question.rs"]
mod question;
#[path = "../../dns/src/referral.rs"]
mod referral;

use answer::{Answer, RECORDS_MAX, is_cut};
use libfuzzer_sys::fuzz_target;
use question::{Question, answers};
use referral::Referral;

/// Asks for the texts at `a.example.`.
const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x10\0\x01";
/// Octets before the question.
const HEADER: usize = 12;
/// The longest text that a message of 64 KiB holds, with each octet in the place of one that is no UTF-8.
const TEXT_BYTES_MAX: usize = 3 << 16;

fuzz_target!(|octets: &[u8]| {
    let question = Question::read(QUERY).expect("a query");
    if answers(octets, QUERY, question.end) {
        assert_eq!(octets[..2], QUERY[..2], "the id of the query");
        assert!(octets[2] & 0x80 != 0, "an answer");
        let asked = octets.get(HEADER..question.end);
        let asked = asked.map(|asked| asked.eq_ignore_ascii_case(&QUERY[HEADER..question.end]));
        assert!(asked.unwrap_or(octets.len() == HEADER), "about what was asked");
    }
    is_cut(octets);
    // Whatever a resolver says that knows the query.
    if let Ok(answer) = Answer::read(octets) {
        assert!(answer.addresses().count() + answer.texts().count() <= RECORDS_MAX);
        assert!(answer.texts().all(|text| text.len() <= TEXT_BYTES_MAX));
    }
    // Or a server of the zone above.
    if let Ok(referral) = Referral::read(octets, "example") {
        let addresses: usize = referral.addresses.values().map(|all| all.len()).sum();
        assert!(referral.names.len().max(addresses) <= RECORDS_MAX);
    }
});
