use std::str::FromStr;

use hickory_proto::op::Query;
use jiff::Timestamp;
use proptest::prelude::*;
use temps_state::{
    Attempt, Challenge, ChallengeKind, ClusterKey, DnsSettings, Domain, DomainName, EnvironmentId,
    Id, Node, NodeId, Order, PUBLIC_ADDRESS_LABEL, Settings,
};

use super::*;

const SERIAL: u32 = 77;

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn node(id: u64, addresses: &str) -> Node {
    let mut node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
    node.labels.insert(PUBLIC_ADDRESS_LABEL.into(), addresses.into());
    node.dns = Some(([0, 0, 0, 0], 53).into());
    node
}

fn add_domain(state: &mut State, text: &str) {
    let domain = Domain {
        name: name(text),
        environment: EnvironmentId::from_parts(0, 1),
        redirect: None,
        paths: Default::default(),
        proof: format!("proof of {text}"),
        verified_at: None,
        created_at: Timestamp::UNIX_EPOCH,
    };
    state.domains.insert(domain.name.clone(), domain);
}

fn challenge(state: &mut State, text: &str, kind: ChallengeKind, answer: &str) {
    let mut order = Order::new(name(text));
    let host = name(text).base().into();
    let challenge = Challenge { host, kind, token: "token".into(), answer: answer.into() };
    order.attempt = Some(Attempt {
        directory: String::new(),
        key: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
        request: String::new(),
        url: None,
        challenges: vec![challenge],
    });
    state.orders.insert(order.name.clone(), order);
}

/// Three nodes, of which the last is lost; two zones; the preview domain is below the first.
fn state() -> State {
    let mut state = State::default();
    for node in [
        node(1, "192.0.2.1,2001:db8::1"),
        node(2, "192.0.2.2"),
        Node { lost_since: Some(Timestamp::UNIX_EPOCH), ..node(3, "192.0.2.3") },
    ] {
        state.nodes.insert(node.id, node);
    }
    let dns = DnsSettings { zones: vec![name("example.com"), name("example.net")] };
    let preview_domain = "Apps.example.com".into();
    state.settings.insert(0, Settings { dns, preview_domain, ..Settings::default() });
    for domain in ["www.example.com", "*.a.b.example.com", "shop.example.org", "*.example.org"] {
        add_domain(&mut state, domain);
    }
    challenge(&mut state, "*.a.b.example.com", ChallengeKind::Dns01, "inside");
    challenge(&mut state, "*.example.org", ChallengeKind::Dns01, "outside");
    challenge(&mut state, "www.example.com", ChallengeKind::Http01, "elsewhere");
    state
}

fn query(text: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 0;
    message.add_query(Query::query(Name::from_str(text).unwrap(), kind));
    message
}

fn answer_to(state: &State, message: &Message) -> Message {
    let question = Question::read(&message.to_vec().unwrap()).unwrap();
    let zones = Zones::of(state);
    let answer = Sight { state, zones: &zones, serial: SERIAL }.answer(&question);
    let read = Message::from_vec(&encode(&answer, usize::MAX).unwrap()).unwrap();
    assert_eq!(read.metadata.id, message.metadata.id);
    assert_eq!(read.queries, message.queries);
    assert!(!read.metadata.recursion_available);
    read
}

/// The code, the answers' data, and `!` where nothing is said to be there.
fn ask(state: &State, text: &str, kind: RecordType) -> String {
    let answer = answer_to(state, &query(text, kind));
    let refused = answer.metadata.response_code == ResponseCode::Refused;
    assert_eq!(answer.metadata.authoritative, !refused);
    let mut words = vec![format!("{:?}", answer.metadata.response_code)];
    words.extend(answer.answers.iter().map(|record| {
        assert_eq!(record.name, answer.queries[0].name, "in the letters of the question");
        record.data.to_string()
    }));
    words.extend(answer.authorities.iter().map(|record| {
        assert_eq!(record.record_type(), RecordType::SOA);
        "!".into()
    }));
    words.join(" ")
}

#[test]
fn names_of_the_zones_lead_to_living_edges_and_others_are_refused() {
    use RecordType::{A, AAAA, ANY, AXFR, CAA, DS, MX, NS, SOA, TXT};
    let state = state();
    let edges = "NoError 192.0.2.1 192.0.2.2";
    for (text, kind, wanted) in [
        ("example.com.", A, edges),
        ("EXAMPLE.com.", A, edges),
        ("example.com.", AAAA, "NoError 2001:db8::1"),
        ("example.net.", A, edges),
        ("example.com.", NS, "NoError ns-1.example.com. ns-2.example.com."),
        (
            "example.com.",
            SOA,
            "NoError ns-1.example.com. hostmaster.example.com. 77 3600 600 86400 5",
        ),
        ("example.com.", MX, "NoError !"),
        ("example.com.", DS, "NoError !"),
        ("example.com.", ANY, "NoError RFC8482 "),
        ("example.com.", AXFR, "Refused"),
        ("ns-1.example.com.", A, "NoError 192.0.2.1"),
        ("ns-1.example.net.", AAAA, "NoError !"),
        // The zone above may still name those that are lost or have gone.
        ("ns-3.example.com.", A, edges),
        ("ns-9.example.com.", AAAA, "NoError !"),
        ("ns-x.example.com.", A, "NXDomain !"),
        ("ns-1.www.example.com.", A, "NXDomain !"),
        ("www.example.com.", A, edges),
        ("wWw.Example.Com.", A, edges),
        ("www.example.com.", CAA, "NoError !"),
        ("www.example.com.", TXT, "NoError !"),
        ("www.example.com.", NS, "NoError !"),
        ("a.www.example.com.", A, "NXDomain !"),
        ("other.example.com.", A, "NXDomain !"),
        ("other.example.com.", ANY, "NXDomain !"),
        ("www.example.net.", A, "NXDomain !"),
        ("x.a.b.example.com.", A, edges),
        ("y.x.a.b.example.com.", A, "NXDomain !"),
        ("a.b.example.com.", A, "NoError !"),
        ("b.example.com.", A, "NoError !"),
        ("bb.example.com.", A, "NXDomain !"),
        ("apps.example.com.", A, "NoError !"),
        ("shop-production.apps.example.com.", A, edges),
        ("x.shop-production.apps.example.com.", A, "NXDomain !"),
        ("example.org.", A, "Refused"),
        ("shop.example.org.", A, "Refused"),
        ("com.", A, "Refused"),
        (".", NS, "Refused"),
        ("notexample.com.", A, "Refused"),
    ] {
        assert_eq!(ask(&state, text, kind), wanted, "{text} {kind}");
    }
}

#[test]
fn authorities_find_what_they_look_for() {
    use RecordType::{A, TXT};
    let (state, mark) = (state(), "temps=");
    let (inside, outside) = (sha("inside"), sha("outside"));
    for (text, kind, found) in [
        ("_acme-challenge.a.b.example.com.", TXT, vec![inside.as_str(), mark]),
        ("_ACME-challenge.a.b.example.com.", TXT, vec![&inside, mark]),
        ("_acme-challenge.example.com.", TXT, vec![&outside, mark]),
        ("_acme-challenge.example.net.", TXT, vec![&outside, mark]),
        ("_acme-challenge.www.example.com.", TXT, vec![mark]),
        ("_acme-challenge.apps.example.com.", TXT, vec![mark]),
        ("_temps-challenge.www.example.com.", TXT, vec!["proof of www.example.com"]),
        ("_temps-challenge.a.b.example.com.", TXT, vec!["proof of *.a.b.example.com"]),
        ("_acme-challenge.a.b.example.com.", A, vec![]),
        ("_temps-challenge.other.example.com.", TXT, vec![]),
    ] {
        let answer = answer_to(&state, &query(text, kind));
        let texts: Vec<String> =
            answer.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(texts.len(), found.len(), "{text}: {texts:?}");
        assert!(texts.iter().zip(&found).all(|(text, start)| text.starts_with(start)), "{texts:?}");
        assert!(answer.answers.iter().all(|record| record.ttl == BRIEF_TTL_SECONDS));
    }
}

fn sha(text: &str) -> String {
    use base64::Engine;
    use sha2::Digest;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text))
}

#[test]
fn edges_are_remembered_briefly_and_take_turns() {
    let (state, mut firsts) = (state(), Vec::new());
    for id in 0..4 {
        let mut message = query("www.example.com.", RecordType::A);
        message.metadata.id = id;
        let answer = answer_to(&state, &message);
        assert!(answer.answers.iter().all(|record| record.ttl == 30));
        firsts.push(answer.answers[0].data.to_string());
    }
    assert_eq!(firsts, ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]);
}

#[test]
fn servers_come_with_their_addresses() {
    let answer = answer_to(&state(), &query("example.com.", RecordType::NS));
    let glue: Vec<String> = answer
        .additionals
        .iter()
        .map(|record| format!("{} {}", record.name, record.data))
        .collect();
    assert_eq!(glue, ["ns-1.example.com. 192.0.2.1", "ns-2.example.com. 192.0.2.2"], "one family");
}

#[test]
fn edns_is_answered_in_its_first_version_alone() {
    let state = state();
    let mut message = query("www.example.com.", RecordType::A);
    assert!(answer_to(&state, &message).edns.is_none());
    let mut edns = Edns::new();
    edns.set_max_payload(4_096).set_dnssec_ok(true);
    message.set_edns(edns.clone());
    let answered = answer_to(&state, &message).edns.unwrap();
    assert_eq!((answered.max_payload(), answered.flags().dnssec_ok), (1_232, true));
    message.set_edns(edns.set_version(1).clone());
    let refused = answer_to(&state, &message);
    // 16 means that, or `BADSIG` of another kind of record (RFC 6891 §9).
    assert_eq!(u16::from(refused.metadata.response_code), 16);
    assert_eq!(refused.edns.unwrap().version(), 0);
    assert!(refused.answers.is_empty());
}

#[test]
fn another_class_is_refused() {
    let mut message = query("version.bind.", RecordType::TXT);
    message.queries[0].set_query_class(DNSClass::CH);
    let refused = answer_to(&state(), &message).metadata.response_code;
    assert_eq!(refused, ResponseCode::Refused);
    message.queries[0].set_name(Name::from_str("www.example.com.").unwrap());
    let refused = answer_to(&state(), &message).metadata.response_code;
    assert_eq!(refused, ResponseCode::Refused);
}

#[test]
fn many_edges_are_named_in_part_and_what_is_too_long_is_cut() {
    let mut state = state();
    for id in 1..=100 {
        let address = format!("198.51.100.{id}");
        state.nodes.insert(NodeId(id), node(id, &address));
    }
    let message = query("www.example.com.", RecordType::A);
    let question = Question::read(&message.to_vec().unwrap()).unwrap();
    let zones = Zones::of(&state);
    let answer = Sight { state: &state, zones: &zones, serial: SERIAL }.answer(&question);
    let whole = encode(&answer, 512).unwrap();
    assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), ADDRESSES_MAX);
    let cut = Message::from_vec(&encode(&answer, whole.len() - 1).unwrap()).unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty() && cut.queries == message.queries);
}

#[test]
fn zones_are_found_anew_when_what_they_are_told_from_changes() {
    let older = state();
    let zones = Zones::of(&older);
    let mut newer = older.clone();
    newer.orders.remove(&name("*.example.org"));
    assert!(zones.are_of(&newer), "orders are looked at each time");
    add_domain(&mut newer, "new.example.com");
    assert!(!zones.are_of(&newer));
    newer = older.clone();
    newer.nodes.remove(&NodeId(1));
    assert!(!zones.are_of(&newer));
}

proptest! {
    #[test]
    fn any_octets_get_an_answer_or_none(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        answer_octets(&octets);
    }

    #[test]
    fn a_query_with_any_octets_wrong_gets_an_answer_or_none(
        kind in any::<u16>(),
        class in any::<u16>(),
        label in prop::collection::vec(any::<u8>(), 1..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        edns in any::<bool>(),
    ) {
        let below = Name::from_labels([label.as_slice(), b"apps", b"example", b"com"]).unwrap();
        let mut message = Message::query();
        message.add_query(Query::query(below, kind.into()));
        message.queries[0].set_query_class(class.into());
        if edns {
            message.set_edns(Edns::new());
        }
        let mut octets = message.to_vec().unwrap();
        answer_octets(&octets);
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        answer_octets(&octets);
    }
}

/// What is answered can be read, and names what was asked.
fn answer_octets(octets: &[u8]) {
    let Ok(question) = Question::read(octets) else { return };
    let state = state();
    let zones = Zones::of(&state);
    let answer = Sight { state: &state, zones: &zones, serial: SERIAL }.answer(&question);
    if let Some(encoded) = encode(&answer, question.datagram_max()) {
        let read = Message::from_vec(&encoded).unwrap();
        assert_eq!(read.metadata.id, question.message.metadata.id);
        assert!(encoded.len() <= question.datagram_max());
    }
}
