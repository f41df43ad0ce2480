//! What a query for the cluster's zones gets. Pure: from the state alone.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, HINFO, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use temps_state::State;

use crate::limits::{
    ADDRESSES_MAX, BRIEF_TTL_SECONDS, EDGE_TTL_SECONDS, PAYLOAD_MAX, SERVER_TTL_SECONDS,
};
use crate::question::Question;
use crate::referral::plain;
use crate::zones::{Found, Server, Zones};

/// How often a second server would look for a newer zone, how soon again after a failure, and for how long it would
/// believe the last one. There is none: each node has the zones from the state.
const REFRESH_SECONDS: i32 = 3_600;
const RETRY_SECONDS: i32 = 600;
const EXPIRE_SECONDS: i32 = 86_400;
/// What is said instead of everything about a name (RFC 8482 §4.2).
const INSTEAD_OF_ANY: &str = "RFC8482";

/// What answers are told from.
pub(crate) struct Sight<'a> {
    /// What the cluster agrees on.
    pub(crate) state: &'a State,
    /// Its zones.
    pub(crate) zones: &'a Zones,
    /// A number that grows with the state.
    pub(crate) serial: u32,
}

impl Sight<'_> {
    /// The answer to a query.
    pub(crate) fn answer(&self, question: &Question) -> Message {
        let mut message = begin(question);
        let kind = question.query.query_type();
        let refused = matches!(kind, RecordType::AXFR | RecordType::IXFR)
            || question.query.query_class() != DNSClass::IN;
        let name = plain(question.query.name());
        let version = question.message.edns.as_ref().map_or(0, Edns::version);
        match self.zones.zone_of(&name).filter(|_| !refused) {
            _ if version > 0 => message.metadata.response_code = ResponseCode::BADVERS,
            None => message.metadata.response_code = ResponseCode::Refused,
            Some(zone) => self.fill(&mut message, question, zone.as_str(), &name),
        }
        message
    }

    fn fill(&self, message: &mut Message, question: &Question, zone: &str, name: &str) {
        message.metadata.authoritative = true;
        let found = self.zones.find(self.state, zone, name);
        let (asked, kind) = (question.query.name(), question.query.query_type());
        let turn = usize::from(question.message.metadata.id);
        match &found {
            None => message.metadata.response_code = ResponseCode::NXDomain,
            Some(Found::Between) => {}
            Some(_) if kind == RecordType::ANY => {
                let data = RData::HINFO(HINFO::new(INSTEAD_OF_ANY.into(), String::new()));
                message.add_answer(Record::from_rdata(asked.clone(), SERVER_TTL_SECONDS, data));
            }
            Some(found) => {
                message.add_answers(self.records(found, asked, kind, turn));
            }
        }
        if message.answers.is_empty() {
            // RFC 2308 §3: how long it may be remembered that there is nothing.
            message.add_authorities(apex(zone).and_then(|apex| self.soa(&apex, BRIEF_TTL_SECONDS)));
        } else if kind == RecordType::NS {
            message.add_additionals(self.glue(zone));
        }
    }

    /// The records of one type at a name. Addresses take turns.
    fn records(
        &self,
        found: &Found<'_>,
        asked: &Name,
        kind: RecordType,
        turn: usize,
    ) -> Vec<Record> {
        match (found, kind) {
            (Found::Apex, RecordType::SOA) => {
                self.soa(asked, SERVER_TTL_SECONDS).into_iter().collect()
            }
            (Found::Apex, RecordType::NS) => self.name_servers(asked),
            (Found::Apex | Found::Host, RecordType::A | RecordType::AAAA) => {
                addresses(asked, self.zones.edges(), kind, EDGE_TTL_SECONDS, turn)
            }
            (Found::Server(server), RecordType::A | RecordType::AAAA) => {
                addresses(asked, &server.addresses, kind, SERVER_TTL_SECONDS, turn)
            }
            (Found::Texts(texts), RecordType::TXT) => {
                let record = |text: &String| {
                    let data = RData::TXT(TXT::new(vec![text.clone()]));
                    Record::from_rdata(asked.clone(), BRIEF_TTL_SECONDS, data)
                };
                texts.iter().map(record).collect()
            }
            _ => vec![],
        }
    }

    fn name_servers(&self, apex: &Name) -> Vec<Record> {
        let names = self.zones.servers().iter().filter_map(|server| named(server, apex));
        let record =
            |name| Record::from_rdata(apex.clone(), SERVER_TTL_SECONDS, RData::NS(NS(name)));
        names.map(record).collect()
    }

    /// The addresses of the zone's servers.
    fn glue(&self, zone: &str) -> Vec<Record> {
        let Some(apex) = apex(zone) else { return vec![] };
        let glue = self.zones.servers().iter().filter_map(|server| {
            let name = named(server, &apex)?;
            let both = [RecordType::A, RecordType::AAAA]
                .map(|kind| addresses(&name, &server.addresses, kind, SERVER_TTL_SECONDS, 0));
            Some(both.concat())
        });
        glue.flatten().collect()
    }

    fn soa(&self, apex: &Name, ttl: u32) -> Option<Record> {
        let first = self.zones.servers().first().and_then(|server| named(server, apex));
        let master = first.unwrap_or_else(|| apex.clone());
        let person = apex.prepend_label("hostmaster").ok()?;
        let times = (REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS);
        let soa =
            SOA::new(master, person, self.serial, times.0, times.1, times.2, BRIEF_TTL_SECONDS);
        Some(Record::from_rdata(apex.clone(), ttl, RData::SOA(soa)))
    }
}

/// An answer in octets. One that is too long for its way tells the client to ask over TCP.
pub(crate) fn encode(message: &Message, octets_max: usize) -> Option<Vec<u8>> {
    let octets = message.to_vec().ok()?;
    if octets.len() <= octets_max { Some(octets) } else { message.truncate().to_vec().ok() }
}

fn begin(question: &Question) -> Message {
    let query = &question.message;
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.add_query(question.query.clone());
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_MAX).set_dnssec_ok(asked.flags().dnssec_ok);
        message.set_edns(edns);
    }
    message
}

fn apex(zone: &str) -> Option<Name> {
    Name::from_ascii(format!("{zone}.")).ok()
}

fn named(server: &Server, apex: &Name) -> Option<Name> {
    apex.prepend_label(server.label.as_str()).ok()
}

/// The addresses of one family, from another one on each time.
fn addresses(name: &Name, all: &[IpAddr], kind: RecordType, ttl: u32, turn: usize) -> Vec<Record> {
    let data = all.iter().filter_map(|address| match (address, kind) {
        (IpAddr::V4(v4), RecordType::A) => Some(RData::A(A(*v4))),
        (IpAddr::V6(v6), RecordType::AAAA) => Some(RData::AAAA(AAAA(*v6))),
        _ => None,
    });
    let mut records: Vec<Record> =
        data.map(|data| Record::from_rdata(name.clone(), ttl, data)).collect();
    if !records.is_empty() {
        let first = turn % records.len();
        records.rotate_left(first);
    }
    records.truncate(ADDRESSES_MAX);
    records
}

#[cfg(test)]
mod tests;
