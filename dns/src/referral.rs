//! What a server says of who answers for a zone, read as far as needed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};

use crate::answer::RECORDS_MAX;

/// The servers of a zone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Referral {
    /// Their names, in lower case and without a dot at their end.
    pub(crate) names: BTreeSet<String>,
    /// Where those are, as far as it was said at once.
    pub(crate) addresses: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Whether the one that says so knows it by itself.
    pub(crate) authoritative: bool,
}

impl Referral {
    /// Reads an answer about a zone's servers. An error where it is no message, or whoever gave it could not find out.
    pub(crate) fn read(octets: &[u8], zone: &str) -> io::Result<Self> {
        let message = Message::from_vec(octets).map_err(io::Error::other)?;
        match message.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            code => return Err(io::Error::other(format!("the answer is {code}"))),
        }
        let mut referral =
            Self { authoritative: message.metadata.authoritative, ..Self::default() };
        // Who answers for the zone itself says so in the answer, who hands it over where it names the authority.
        for record in message.answers.iter().chain(&message.authorities).take(RECORDS_MAX) {
            if let RData::NS(server) = &record.data
                && plain(&record.name) == zone
            {
                referral.names.insert(plain(&server.0));
            }
        }
        for record in message.additionals.iter().take(RECORDS_MAX) {
            if let Some(address) = address(record) {
                referral.addresses.entry(plain(&record.name)).or_default().insert(address);
            }
        }
        Ok(referral)
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

/// A name in lower case and without the dot at its end.
pub(crate) fn plain(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    text.truncate(text.strip_suffix('.').map_or(text.len(), str::len));
    text
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::rr::rdata::{A, AAAA, NS};
    use proptest::prelude::*;

    use super::*;

    fn record(line: &str) -> Record {
        let words: Vec<&str> = line.split(' ').collect();
        let data = match words[1] {
            "NS" => RData::NS(NS(Name::from_str(words[2]).unwrap())),
            "A" => RData::A(A(words[2].parse().unwrap())),
            _ => RData::AAAA(AAAA(words[2].parse().unwrap())),
        };
        Record::from_rdata(Name::from_str(words[0]).unwrap(), 60, data)
    }

    #[test]
    fn servers_are_named_by_whoever_hands_over_and_by_those_who_answer() {
        let glue = ["ns-1.a.example. A 192.0.2.1", "NS-1.a.example. AAAA 2001:db8::1"];
        for named_in_the_answer in [false, true] {
            let mut message = Message::query().into_response();
            message.metadata.authoritative = named_in_the_answer;
            let servers = ["A.example. NS ns-1.a.Example.", "example. NS other.example."];
            for line in servers {
                match named_in_the_answer {
                    true => message.add_answer(record(line)),
                    false => message.add_authority(record(line)),
                };
            }
            message.add_additionals(glue.map(record));
            let read = Referral::read(&message.to_vec().unwrap(), "a.example").unwrap();
            let names: Vec<&str> = read.names.iter().map(String::as_str).collect();
            assert_eq!(names, ["ns-1.a.example"]);
            assert_eq!(read.addresses["ns-1.a.example"].len(), 2);
            assert_eq!(read.authoritative, named_in_the_answer);
        }
    }

    #[test]
    fn a_refusal_says_nothing() {
        let mut message = Message::query().into_response();
        message.metadata.response_code = ResponseCode::NXDomain;
        let read = Referral::read(&message.to_vec().unwrap(), "a.example").unwrap();
        assert_eq!(read, Referral::default());
        message.metadata.response_code = ResponseCode::Refused;
        assert!(Referral::read(&message.to_vec().unwrap(), "a.example").is_err());
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = Referral::read(&octets, "a.example");
        }
    }
}
