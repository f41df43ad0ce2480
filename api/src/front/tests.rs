use axum::extract::WebSocketUpgrade;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;

use super::*;

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(100);
const ENOUGH: Duration = Duration::from_secs(20);

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Serves `/`, which answers at once, and `/echo`, a WebSocket that sends back what it gets.
async fn serve(connections_max: usize, patience: Patience) -> Served {
    let echo = |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let router = Router::new().route("/", get(|| async { "here" })).route("/echo", any(echo));
    let front = Front { patience, ..Front::new(router, connections_max) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(front.serve(listener, stop.clone()));
    Served { address, stop, task }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection that has been answered once; `None` when it was refused.
    async fn asked(&self) -> Option<TcpStream> {
        let mut stream = self.connect().await;
        ask(&mut stream).await.then_some(stream)
    }

    async fn asked_at_last(&self) -> TcpStream {
        let asked = async {
            loop {
                if let Some(stream) = self.asked().await {
                    return stream;
                }
            }
        };
        timeout(ENOUGH, asked).await.expect("there is room again")
    }
}

/// Whether a request is answered.
async fn ask(stream: &mut TcpStream) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: n\r\n\r\n";
    let mut answer = Vec::new();
    if stream.write_all(request).await.is_err() {
        return false;
    }
    while !answer.ends_with(b"here") {
        match stream.read_buf(&mut answer).await {
            Ok(1..) => {}
            _ => return false,
        }
    }
    true
}

async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // Closed is closed, also with a reset.
    let _ = timeout(ENOUGH, stream.read_to_end(&mut rest)).await.expect("it is closed");
}

#[tokio::test]
async fn who_never_asks_is_let_go_and_who_has_asked_may_ask_again() {
    let served = serve(8, Patience { head: SHORT, next: LONG }).await;
    let mut guest = served.asked_at_last().await;
    let (mut silent, mut half) = (served.connect().await, served.connect().await);
    let _ = half.write_all(b"GET / HTTP/1.1\r\nHo").await;
    is_closed(&mut silent).await;
    is_closed(&mut half).await;
    assert!(ask(&mut guest).await);
}

#[tokio::test]
async fn who_has_asked_is_let_go_after_a_longer_silence() {
    let served = serve(8, Patience { head: LONG, next: SHORT }).await;
    let mut guest = served.asked_at_last().await;
    is_closed(&mut guest).await;
    let mut half = served.asked_at_last().await;
    let _ = half.write_all(b"GET / HTTP/1.1\r\nHo").await;
    is_closed(&mut half).await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let served = serve(2, Patience { head: LONG, next: LONG }).await;
    let held = [served.asked().await.unwrap(), served.asked().await.unwrap()];
    assert!(served.asked().await.is_none());
    drop(held);
    served.asked_at_last().await;
}

#[tokio::test]
async fn a_web_socket_keeps_its_place() {
    let served = serve(1, Patience { head: LONG, next: LONG }).await;
    let (socket, _) = connect_async(format!("ws://{}/echo", served.address)).await.unwrap();
    assert!(served.asked().await.is_none());
    drop(socket);
    served.asked_at_last().await;
}

#[tokio::test]
async fn a_stop_lets_go_of_who_waits() {
    let served = serve(8, Patience { head: SHORT, next: LONG }).await;
    let mut guest = served.asked_at_last().await;
    let mut half = served.connect().await;
    half.write_all(b"GET").await.unwrap();
    served.stop.cancel();
    timeout(ENOUGH, served.task).await.expect("it ends").unwrap();
    is_closed(&mut guest).await;
    is_closed(&mut half).await;
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn clients_that_vanish_are_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    watch_over(&stream).unwrap();
    assert!(sockopt::socket_keepalive(&stream).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), PROBE_AFTER);
    assert_eq!(u128::from(sockopt::tcp_user_timeout(&stream).unwrap()), UNTAKEN_MAX.as_millis());
}

#[test]
fn clients_have_shares_and_this_machine_has_none() {
    for (client, site) in [
        ("127.0.0.1", None),
        ("::ffff:127.0.0.1", None),
        ("::1", None),
        ("192.0.2.7", Some("192.0.2.7")),
        ("::ffff:192.0.2.7", Some("192.0.2.7")),
        ("2001:db8:1:2ff:4::5", Some("2001:db8:1::")),
    ] {
        let found = site_of(client.parse().unwrap()).map(|site| site.to_string());
        assert_eq!(found.as_deref(), site, "{client}");
    }
}
