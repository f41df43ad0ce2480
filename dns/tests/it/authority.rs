//! The authority over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use jiff::Timestamp;
use temps_dns::{Authority, AuthoritySockets};
use temps_raft::Applied;
use temps_state::{DnsSettings, Node, NodeId, Settings, State};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may take before the query is sent again.
const BEFORE_AGAIN: Duration = Duration::from_millis(500);

fn node(id: u64) -> Node {
    let address = Some(([192, 0, 2, id as u8], 3001).into());
    let node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
    Node { address, dns: Some(([192, 0, 2, id as u8], 53).into()), ..node }
}

fn state() -> State {
    let mut state = State::default();
    for id in [1, 2, 3] {
        state.nodes.insert(NodeId(id), node(id));
    }
    let dns = DnsSettings { zones: vec!["apps.example.com".parse().unwrap()] };
    state.settings.insert(0, Settings { dns, ..Settings::default() });
    state
}

struct Ground {
    at: SocketAddr,
    tell: watch::Sender<Arc<Applied>>,
    authority: Authority,
}

impl Ground {
    fn start() -> Self {
        let sockets = AuthoritySockets::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let at = sockets.udp.local_addr().unwrap();
        let (tell, applied) =
            watch::channel(Arc::new(Applied { index: 7, state: state(), ..Applied::default() }));
        Self { at, tell, authority: Authority::start(sockets, applied).unwrap() }
    }

    fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.at).unwrap();
        socket.set_read_timeout(Some(BEFORE_AGAIN)).unwrap();
        socket
    }

    fn ask(&self, name: &str, kind: RecordType) -> Message {
        let (socket, began) = (self.socket(), Instant::now());
        let mut answer = [0; 2_000];
        // What finds no room in the socket is lost.
        while began.elapsed() < PATIENCE {
            socket.send(&query(name, kind)).unwrap();
            if let Ok(length) = socket.recv(&mut answer) {
                return Message::from_vec(&answer[..length]).unwrap();
            }
        }
        panic!("{name} {kind} gets no answer");
    }

    fn addresses(&self) -> Vec<String> {
        let answer = self.ask("apps.example.com.", RecordType::A);
        let mut texts: Vec<String> =
            answer.answers.iter().map(|record| record.data.to_string()).collect();
        texts.sort();
        texts
    }
}

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message.to_vec().unwrap()
}

#[test]
fn answers_follow_the_state() {
    let ground = Ground::start();
    assert_eq!(ground.addresses(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut without = state();
    let lost = Node { lost_since: Some(Timestamp::UNIX_EPOCH), ..node(2) };
    without.nodes.insert(NodeId(2), lost);
    ground.tell.send_replace(Arc::new(Applied { index: 8, state: without, ..Applied::default() }));
    assert_eq!(ground.addresses(), ["192.0.2.1", "192.0.2.3"]);
    let soa = ground.ask("apps.example.com.", RecordType::SOA).answers[0].data.to_string();
    assert!(soa.contains(" 8 "), "{soa}");
    // Those who decide are gone; what was known last is still true enough.
    drop(ground.tell.subscribe());
    assert_eq!(
        ground.ask("example.org.", RecordType::A).metadata.response_code,
        ResponseCode::Refused
    );
}

#[test]
fn connections_take_one_query_after_the_other() {
    let ground = Ground::start();
    let mut stream = TcpStream::connect(ground.at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        asked_over(&mut stream);
    }
}

fn asked_over(stream: &mut TcpStream) {
    let query = query("apps.example.com.", RecordType::NS);
    stream.write_all(&(query.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&query).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 3);
}

#[test]
fn whoever_is_connected_is_answered_though_it_stops() {
    let ground = Ground::start();
    let connect = || {
        let stream = TcpStream::connect(ground.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let [mut asked, mut silent] = [connect(), connect()];
    // Connections are taken in their order: both are, once the latter was answered.
    asked_over(&mut silent);
    drop(ground.authority);
    asked_over(&mut asked);
    // Nobody is connected for long, and nobody new at all.
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(ground.at).is_err());
}

#[test]
fn what_is_no_query_hurts_nobody() {
    let ground = Ground::start();
    let socket = ground.socket();
    let good = query("apps.example.com.", RecordType::A);
    for seed in 0..500_usize {
        let mut octets = good.clone();
        let at = seed % octets.len();
        octets[at] = octets[at].wrapping_add((seed / octets.len() + 1) as u8);
        octets.truncate(octets.len() - seed % 7);
        socket.send(&octets).unwrap();
    }
    socket.send(&[]).unwrap();
    assert_eq!(ground.addresses().len(), 3);
}

#[test]
fn whoever_asks_too_much_is_sent_to_tcp_or_not_answered() {
    let ground = Ground::start();
    let socket = ground.socket();
    let query = query("apps.example.com.", RecordType::A);
    let (mut whole, mut cut, mut asked) = (0, 0, 0);
    while cut == 0 {
        assert!(asked < 20_000, "it answers everything");
        for _ in 0..50 {
            socket.send(&query).unwrap();
            asked += 1;
        }
        let mut answer = [0; 2_000];
        socket.set_nonblocking(true).unwrap();
        while let Ok(length) = socket.recv(&mut answer) {
            match Message::from_vec(&answer[..length]).unwrap().metadata.truncation {
                true => cut += 1,
                false => whole += 1,
            }
        }
    }
    assert!(whole >= 1_000, "{whole} of {asked}");
    // Whoever asks in its name does not use up what it may ask over TCP.
    let mut stream = TcpStream::connect(ground.at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &query].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    assert!(!Message::from_vec(&answer).unwrap().answers.is_empty());
}
