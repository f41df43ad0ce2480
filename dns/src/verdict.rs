//! What a query gets. Pure.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Edns, Message, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::Ipv4Net;
use temps_state::INTERNAL_DOMAIN;

use crate::limits::{PAYLOAD_MAX, TTL_SECONDS};
use crate::question::Question;

/// What a query gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This answer.
    Reply(Box<Message>),
    /// The answer of the machine's resolvers.
    Forward,
}

/// Whose name is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// The domain of all apps.
    Domain,
    /// An app, by the first label of its host name.
    App(String),
    /// Anybody else.
    Other,
}

/// Judges the query of a client. `exists` tells whether there is an environment of that label.
pub(crate) fn judge(
    question: &Question,
    client: IpAddr,
    gateway: Ipv4Net,
    exists: impl Fn(&str) -> bool,
) -> Verdict {
    let inside = matches!(client.to_canonical(), IpAddr::V4(client) if gateway.contains(&client));
    if !inside {
        return reply(question, ResponseCode::Refused, |_| {});
    }
    let address = gateway.addr();
    match asked(question.query.name()) {
        Asked::Other => Verdict::Forward,
        Asked::App(label) if !exists(&label) => nothing(question, ResponseCode::NXDomain),
        Asked::App(_) if wants_address(question.query.query_type()) => found(question, address),
        Asked::App(_) | Asked::Domain => nothing(question, ResponseCode::NoError),
    }
}

/// The answer that something failed here.
pub(crate) fn failed(question: &Question) -> Verdict {
    reply(question, ResponseCode::ServFail, |_| {})
}

fn asked(name: &Name) -> Asked {
    let text = name.to_ascii().to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    match text.strip_suffix(INTERNAL_DOMAIN) {
        Some("") => Asked::Domain,
        Some(label) => match label.strip_suffix('.') {
            Some(label) => Asked::App(label.to_owned()),
            None => Asked::Other,
        },
        None => Asked::Other,
    }
}

fn wants_address(kind: RecordType) -> bool {
    matches!(kind, RecordType::A | RecordType::ANY)
}

fn found(question: &Question, address: Ipv4Addr) -> Verdict {
    let name = question.query.name().clone();
    let record = Record::from_rdata(name, TTL_SECONDS, RData::A(A(address)));
    reply(question, ResponseCode::NoError, |message| {
        message.metadata.authoritative = true;
        message.add_answer(record);
    })
}

/// With the record that says how long nothing may be remembered, RFC 2308 §3.
fn nothing(question: &Question, code: ResponseCode) -> Verdict {
    reply(question, code, |message| {
        message.metadata.authoritative = true;
        message.add_authorities(soa());
    })
}

fn soa() -> Option<Record> {
    let domain = Name::from_ascii(format!("{INTERNAL_DOMAIN}.")).ok()?;
    let host = domain.prepend_label("hostmaster").ok()?;
    let hour = 3_600;
    let soa = SOA::new(domain.clone(), host, 1, hour, hour, hour, TTL_SECONDS);
    Some(Record::from_rdata(domain, TTL_SECONDS, RData::SOA(soa)))
}

fn reply(question: &Question, code: ResponseCode, fill: impl FnOnce(&mut Message)) -> Verdict {
    let query = &question.message;
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(question.query.clone());
    if query.edns.is_some() {
        message.set_edns(Edns::new().set_max_payload(PAYLOAD_MAX).clone());
    }
    fill(&mut message);
    Verdict::Reply(Box::new(message))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::Query;

    use super::*;

    fn ask(client: &str, name: &str, kind: RecordType) -> String {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
        let question = Question::read(&message.to_vec().unwrap()).unwrap();
        let gateway = "172.19.0.1/16".parse().unwrap();
        let exists = |label: &str| label == "shop-production";
        match judge(&question, client.parse().unwrap(), gateway, exists) {
            Verdict::Forward => "forward".into(),
            Verdict::Reply(reply) => {
                let octets = reply.to_vec().unwrap();
                let reply = Message::from_vec(&octets).unwrap();
                assert_eq!(reply.metadata.id, message.metadata.id);
                assert_eq!(reply.queries, message.queries);
                let data = reply.answers.iter().map(|answer| answer.data.to_string());
                let negative = reply.authorities.len();
                let words = [format!("{:?}", reply.metadata.response_code)].into_iter().chain(data);
                format!("{} {negative}", words.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn names_of_apps_lead_to_the_gateway_and_others_onwards() {
        use RecordType::{A, AAAA, ANY, MX, PTR};
        let inside = "172.19.0.7";
        for (client, name, kind, verdict) in [
            (inside, "shop-production.temps.internal.", A, "NoError 172.19.0.1 0"),
            (inside, "Shop-Production.TEMPS.internal.", A, "NoError 172.19.0.1 0"),
            (inside, "shop-production.temps.internal.", ANY, "NoError 172.19.0.1 0"),
            (inside, "shop-production.temps.internal.", AAAA, "NoError 1"),
            (inside, "shop-production.temps.internal.", MX, "NoError 1"),
            (inside, "temps.internal.", A, "NoError 1"),
            (inside, "blog-production.temps.internal.", A, "NXDomain 1"),
            (inside, "blog-production.temps.internal.", AAAA, "NXDomain 1"),
            (inside, "a.shop-production.temps.internal.", A, "NXDomain 1"),
            (inside, "example.com.", A, "forward"),
            (inside, "shoptemps.internal.", A, "forward"),
            (inside, "internal.", A, "forward"),
            (inside, ".", A, "forward"),
            (inside, "1.0.19.172.in-addr.arpa.", PTR, "forward"),
            ("172.19.0.1", "example.com.", A, "forward"),
            ("::ffff:172.19.0.7", "example.com.", A, "forward"),
            ("172.18.0.7", "example.com.", A, "Refused 0"),
            ("192.0.2.7", "shop-production.temps.internal.", A, "Refused 0"),
            ("2001:db8::7", "example.com.", A, "Refused 0"),
        ] {
            assert_eq!(ask(client, name, kind), verdict, "{client} {name} {kind}");
        }
    }

    #[test]
    fn a_client_that_knows_edns_is_answered_with_it() {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_str("temps.internal.").unwrap(), RecordType::A));
        message.set_edns(Edns::new());
        let question = Question::read(&message.to_vec().unwrap()).unwrap();
        let Verdict::Reply(reply) = failed(&question) else { panic!("no reply") };
        assert!(reply.edns.is_some() && reply.metadata.recursion_available);
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    }
}
