//! A small app: HTTP/1.1 by hand, so that tests see exactly what the edge sends and control what it gets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How long a retired app still takes connections, and requests on those that it has.
const DRAIN: Duration = Duration::from_millis(300);

/// A running app. It ends, with its connections, when dropped.
pub struct Upstream {
    pub addr: SocketAddr,
    /// Requests that it answered or broke off.
    pub requests: Arc<AtomicUsize>,
    /// Lets a streaming answer go on.
    pub go_on: Arc<Notify>,
    retired: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct App {
    name: &'static str,
    requests: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
    retired: watch::Receiver<bool>,
}

impl Upstream {
    pub async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, name)
    }

    pub fn serve(listener: TcpListener, name: &'static str) -> Self {
        let addr = listener.local_addr().expect("an address");
        let (requests, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (retired, retiring) = watch::channel(false);
        let app = App {
            name,
            requests: requests.clone(),
            go_on: go_on.clone(),
            retired: retiring.clone(),
        };
        let task = tokio::spawn(Arc::new(app).accept(listener, retiring));
        Self { addr, requests, go_on, retired, task }
    }

    /// Stops as a drained container does: after a moment the port closes, and each connection once nothing comes.
    pub fn retire(mut self) {
        self.retired.send_replace(true);
        self.task = tokio::spawn(async {});
    }

    /// An app that echoes WebSocket messages.
    pub async fn websocket() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                    let (mut sink, mut messages) = socket.split();
                    while let Some(Ok(message)) = messages.next().await {
                        if message.is_close() || sink.send(message).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let (requests, go_on) = (Arc::default(), Arc::default());
        Self { addr, requests, go_on, retired: watch::Sender::new(false), task }
    }
}

/// A port on which nobody listens.
pub async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

struct Head {
    text: String,
    method: String,
    path: String,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl App {
    async fn accept(self: Arc<Self>, listener: TcpListener, mut retired: watch::Receiver<bool>) {
        let mut connections = tokio::task::JoinSet::new();
        let drained = async {
            let _ = retired.wait_for(|retired| *retired).await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::pin!(drained);
        loop {
            let stream = tokio::select! {
                Ok((stream, _)) = listener.accept() => stream,
                () = &mut drained => break,
            };
            let app = self.clone();
            connections.spawn(async move {
                let _ = app.serve(stream).await;
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut retired = self.retired.clone();
        loop {
            let idle = async {
                let _ = retired.wait_for(|retired| *retired).await;
                tokio::time::sleep(DRAIN).await;
            };
            let head = tokio::select! {
                head = read_head(&mut stream) => head?,
                () = idle => None,
            };
            let Some(head) = head else { break };
            let body = read_body(&mut stream, &head).await?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            if !self.answer(&mut stream, &head, body).await? {
                break;
            }
        }
        stream.shutdown().await
    }

    async fn answer(
        &self,
        stream: &mut BufReader<TcpStream>,
        head: &Head,
        body: usize,
    ) -> io::Result<bool> {
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        match path {
            "/echo" => send(stream, "text/x-head", head.text.as_bytes()).await?,
            "/upload" => send(stream, "text/plain", body.to_string().as_bytes()).await?,
            "/text" => send(stream, "text/html", "<p>word</p>".repeat(1_000).as_bytes()).await?,
            "/download" => download(stream, query.parse().unwrap_or(0)).await?,
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(query.parse().unwrap_or(0))).await;
                send(stream, "text/plain", self.name.as_bytes()).await?;
            }
            "/sse" => self.stream(stream, "text/event-stream").await?,
            "/trickle" => self.stream(stream, "text/plain").await?,
            "/hang" => self.go_on.notified().await,
            "/reset" => return Ok(false),
            "/reset-first" if self.requests.load(Ordering::SeqCst) == 1 => return Ok(false),
            "/half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
                return Ok(false);
            }
            "/nonsense" => {
                stream.write_all(b"nonsense\r\n\r\n").await?;
                return Ok(false);
            }
            _ => send(stream, "text/plain", self.name.as_bytes()).await?,
        }
        Ok(head.header("connection") != Some("close") && head.method != "DELETE")
    }

    /// Sends one piece, waits to be told, and sends another.
    async fn stream(&self, stream: &mut BufReader<TcpStream>, media: &str) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(b"d\r\ndata: first\n\n\r\n").await?;
        stream.flush().await?;
        self.go_on.notified().await;
        stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n").await
    }
}

async fn send(stream: &mut BufReader<TcpStream>, media: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}\r\nKeep-Alive: timeout=5\r\n\
         ETag: \"app\"\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

async fn download(stream: &mut BufReader<TcpStream>, bytes: usize) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![7; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        stream.write_all(&piece[..now]).await?;
        left -= now;
    }
    stream.flush().await
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text).await? == 0 {
            return Ok(None);
        }
    }
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    Ok(Some(Head { text, method, path }))
}

async fn read_body(stream: &mut BufReader<TcpStream>, head: &Head) -> io::Result<usize> {
    if let Some(length) = head.header("content-length") {
        let length: u64 = length.parse().unwrap_or(0);
        let read = tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
        return Ok(usize::try_from(read).unwrap_or(0));
    }
    if head.header("transfer-encoding").is_none() {
        return Ok(0);
    }
    let mut total = 0;
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await?;
        total += size;
        if size == 0 {
            return Ok(total);
        }
    }
}
