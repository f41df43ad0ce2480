//! The resolver on a part of loopback, with a resolver of the machine that the test plays.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::Ipv4Net;
use temps_dns::{Dns, DnsConfig, Nameservers};
use temps_raft::Applied;
use temps_state::{EnvironmentId, Id, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const UPSTREAM: Ipv4Addr = Ipv4Addr::new(127, 78, 255, 1);
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 78, 0, 7);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 79, 0, 7);

struct Ground {
    dns: Dns,
    port: u16,
    own: Ipv4Addr,
    gateway: watch::Sender<Option<Ipv4Net>>,
    resolv_conf: tempfile::NamedTempFile,
    _upstream: JoinSet<()>,
}

fn net(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new(address, 16).expect("a prefix")
}

/// A port that is free for datagrams and connections.
async fn free(ip: Ipv4Addr) -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((ip, 0)).await.expect("a free port");
        let addr = udp.local_addr().expect("an address");
        if let Ok(tcp) = TcpListener::bind(addr).await {
            return (udp, tcp);
        }
    }
}

impl Ground {
    /// A resolver at `own`; what the machine asks is `upstreams`.
    async fn new(own: Ipv4Addr, upstreams: &str) -> Self {
        let (udp, tcp) = free(UPSTREAM).await;
        let upstream_port = udp.local_addr().expect("an address").port();
        let mut upstream = JoinSet::new();
        upstream.spawn(answer_datagrams(udp));
        upstream.spawn(answer_connections(tcp));
        let (udp, tcp) = free(own).await;
        let port = udp.local_addr().expect("an address").port();
        drop((udp, tcp));
        let resolv_conf = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&resolv_conf, upstreams).expect("it is written");
        let config = DnsConfig { port, resolv_conf: resolv_conf.path().into(), upstream_port };
        let (gateway, at) = watch::channel(Some(net(own)));
        let dns = Dns::start(config, state(), at);
        let ground = Self { dns, port, own, gateway, resolv_conf, _upstream: upstream };
        ground.until(|servers| servers.as_deref().is_some_and(|s| !s.is_empty())).await;
        ground
    }

    async fn until(&self, holds: impl Fn(&Nameservers) -> bool) {
        let mut servers = self.dns.nameservers();
        let holds = servers.wait_for(|servers| holds(servers));
        timeout(PATIENCE, holds).await.expect("in time").expect("it runs");
    }

    fn addr(&self) -> SocketAddr {
        (self.own, self.port).into()
    }

    async fn ask(&self, from: Ipv4Addr, name: &str, kind: RecordType) -> Message {
        let socket = UdpSocket::bind((from, 0)).await.expect("an address");
        socket.send_to(&query(name, kind), self.addr()).await.expect("it is sent");
        let mut answer = [0; 4_096];
        let (length, who) = timeout(PATIENCE, socket.recv_from(&mut answer))
            .await
            .expect("in time")
            .expect("an answer");
        assert_eq!(who, self.addr());
        Message::from_vec(&answer[..length]).expect("a message")
    }

    async fn ask_by_connection(&self, names: &[(&str, RecordType)]) -> Vec<Message> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((INSIDE, 0).into()).expect("an address");
        let mut stream = socket.connect(self.addr()).await.expect("it listens");
        let mut messages = vec![];
        for (name, kind) in names {
            write(&mut stream, &query(name, *kind)).await;
            messages.push(
                Message::from_vec(&read(&mut stream).await.expect("an answer")).expect("a message"),
            );
        }
        messages
    }
}

/// A state with one environment.
fn state() -> watch::Receiver<Arc<Applied>> {
    let mut state = State::default();
    state.hosts.insert("shop-production".into(), EnvironmentId::from_parts(0, 1));
    let (tell, applied) =
        watch::channel(Arc::new(Applied { index: 1, state, ..Applied::default() }));
    // The last state holds also when nobody tells another.
    drop(tell);
    applied
}

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).expect("a name"), kind));
    message.to_vec().expect("octets")
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|answer| answer.data.to_string()).collect()
}

/// What the machine's resolver knows: every name has one address, `big.` too much text for a datagram, `none.` nothing,
/// and `late.` comes only when asked twice.
fn reply(octets: &[u8], by_datagram: bool) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(octets).expect("a query").into_response();
    let query = message.queries[0].clone();
    let name = query.name().clone();
    match name.to_string().as_str() {
        "big." if by_datagram => message.metadata.truncation = true,
        "big." => {
            for n in 0..20 {
                let text = TXT::new(vec![format!("{n}{}", "x".repeat(200))]);
                message.add_answer(Record::from_rdata(name.clone(), 60, RData::TXT(text)));
            }
        }
        "none." => message.metadata.response_code = ResponseCode::NXDomain,
        "broken." => message.metadata.response_code = ResponseCode::ServFail,
        "silent." => return None,
        _ => {
            message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 9))));
        }
    }
    Some(message.to_vec().expect("octets"))
}

async fn answer_datagrams(socket: UdpSocket) {
    let mut query = [0; 4_096];
    while let Ok((length, client)) = socket.recv_from(&mut query).await {
        if let Some(answer) = reply(&query[..length], true) {
            // Somebody else's answer comes first.
            let mut forged = answer.clone();
            forged[0] ^= 0xff;
            let _ = socket.send_to(&forged, client).await;
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

async fn answer_connections(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Some(query) = read(&mut stream).await {
            if let Some(answer) = reply(&query, false) {
                write(&mut stream, &answer).await;
            }
        }
    }
}

async fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length, message].concat()).await.expect("it reads");
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

#[tokio::test]
async fn apps_are_found_and_other_names_are_asked_for_elsewhere() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let ground = Ground::new(own, &format!("nameserver {UPSTREAM}")).await;
    let app = ground.ask(INSIDE, "Shop-Production.temps.internal.", RecordType::A).await;
    assert_eq!(addresses(&app), [own.to_string()]);
    assert!(app.answers[0].ttl <= 10 && app.metadata.recursion_available);
    let six = ground.ask(INSIDE, "shop-production.temps.internal.", RecordType::AAAA).await;
    assert_eq!((six.metadata.response_code, six.answers.len()), (ResponseCode::NoError, 0));
    let none = ground.ask(INSIDE, "shop-staging.temps.internal.", RecordType::A).await;
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    let other = ground.ask(INSIDE, "example.com.", RecordType::A).await;
    assert_eq!(addresses(&other), ["192.0.2.9"]);
    for (name, code) in [
        ("none.", ResponseCode::NXDomain),
        ("broken.", ResponseCode::ServFail),
        ("silent.", ResponseCode::ServFail),
    ] {
        let answer = ground.ask(INSIDE, name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, code, "{name}");
    }
}

#[tokio::test]
async fn strangers_are_refused() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let ground = Ground::new(own, &format!("nameserver {UPSTREAM}")).await;
    for name in ["example.com.", "shop-production.temps.internal."] {
        let answer = ground.ask(OUTSIDE, name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused, "{name}");
        assert!(answer.answers.is_empty());
    }
}

#[tokio::test]
async fn what_is_too_long_for_a_datagram_comes_over_a_connection() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let ground = Ground::new(own, &format!("nameserver {UPSTREAM}")).await;
    assert!(ground.ask(INSIDE, "big.", RecordType::TXT).await.metadata.truncation);
    let answers = ground
        .ask_by_connection(&[
            ("big.", RecordType::TXT),
            ("shop-production.temps.internal.", RecordType::A),
        ])
        .await;
    assert_eq!(answers[0].answers.len(), 20);
    assert_eq!(addresses(&answers[1]), [own.to_string()]);
}

#[tokio::test]
async fn a_dead_resolver_is_passed_over_and_a_changed_list_is_noticed() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let ground = Ground::new(own, &format!("nameserver 127.78.255.2\nnameserver {UPSTREAM}")).await;
    let answer = ground.ask(INSIDE, "example.com.", RecordType::A).await;
    assert_eq!(addresses(&answer), ["192.0.2.9"]);
    std::fs::write(&ground.resolv_conf, "nameserver 192.0.2.77").expect("it is written");
    let stand_in: IpAddr = [192, 0, 2, 77].into();
    ground.until(|known| *known == Some(vec![own.into(), stand_in])).await;
}

#[tokio::test]
async fn a_client_that_asks_too_much_at_once_is_told_so_and_others_are_answered() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let ground = Arc::new(Ground::new(own, &format!("nameserver {UPSTREAM}")).await);
    let mut asked = JoinSet::new();
    for _ in 0..150 {
        let ground = ground.clone();
        asked.spawn(async move { ground.ask(INSIDE, "silent.", RecordType::A).await });
    }
    let refused = async {
        for _ in 0..150 - 128 {
            let answer = asked.join_next().await.expect("a task").expect("it ends");
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        }
    };
    timeout(Duration::from_secs(2), refused).await.expect("nobody asks elsewhere for these");
    let other = Ipv4Addr::new(127, 78, 0, 8);
    let answer = ground.ask(other, "example.com.", RecordType::A).await;
    assert_eq!(addresses(&answer), ["192.0.2.9"]);
    assert_eq!(asked.len(), 128, "the client's share is being asked for");
}

#[tokio::test]
async fn it_listens_where_the_network_is_and_says_when_it_cannot() {
    let own = Ipv4Addr::new(127, 78, 0, 1);
    let mut ground = Ground::new(own, "nameserver 192.0.2.1").await;
    let taken = Ipv4Addr::new(127, 78, 1, 1);
    let other = UdpSocket::bind((taken, ground.port)).await.expect("it is free");
    ground.gateway.send_replace(Some(net(taken)));
    ground.until(|known| *known == Some(vec![])).await;
    drop(other);
    ground.until(|known| known.as_ref().is_some_and(|k| k.first() == Some(&taken.into()))).await;
    ground.own = taken;
    let app = ground.ask(INSIDE, "shop-production.temps.internal.", RecordType::A).await;
    assert_eq!(addresses(&app), [taken.to_string()]);
    ground.gateway.send_replace(None);
    ground.until(Option::is_none).await;
    let free = async {
        while UdpSocket::bind((taken, ground.port)).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("it lets go");
}
