//! A resolver's answer to the node, read as far as needed. Pure.

use std::io;
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;

/// The most records of an answer that are taken.
pub(crate) const RECORDS_MAX: usize = 64;

/// What an answer says is kept at a name; nothing where there is no such name.
#[derive(Debug)]
pub(crate) struct Answer(Vec<RData>);

impl Answer {
    /// Reads an answer; an error where it is no message, or resolvers could not find out.
    pub(crate) fn read(octets: &[u8]) -> io::Result<Self> {
        let message = Message::from_vec(octets).map_err(io::Error::other)?;
        match message.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let records = message.answers.into_iter().take(RECORDS_MAX);
                Ok(Self(records.map(|record| record.data).collect()))
            }
            code => Err(io::Error::other(format!("the machine's resolvers answer {code}"))),
        }
    }

    /// The addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().filter_map(|data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
    }

    /// The texts, each in one piece.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|data| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
    }
}

/// The flag `TC` (RFC 1035 §4.1.1): the rest is to be had over TCP.
pub(crate) fn is_cut(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 0b10 != 0)
}
