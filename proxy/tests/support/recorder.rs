//! An app that keeps exactly what it gets. It reads requests as strictly as they can be read, so that what it does not
//! understand shows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub line: String,
    /// Names in lower case, values without space around them, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What was made of octets.
#[derive(Debug)]
enum Read {
    Whole(Received, usize),
    Partial,
    Broken,
}

/// A running app.
pub struct Recorder {
    pub addr: SocketAddr,
    got: Arc<Mutex<Got>>,
    task: JoinHandle<()>,
}

/// What came since it was last asked.
#[derive(Debug, Default)]
pub struct Got {
    pub whole: Vec<Received>,
    /// What is not a request.
    pub broken: Vec<Vec<u8>>,
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let got = Arc::new(Mutex::new(Got::default()));
        let shared = got.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(record(stream, shared.clone()));
            }
        });
        Self { addr, got, task }
    }

    /// What came since it was last asked.
    pub fn take(&self) -> Got {
        std::mem::take(&mut self.got.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(mut stream: TcpStream, got: Arc<Mutex<Got>>) {
    let mut octets = Vec::new();
    loop {
        match read(&octets) {
            Read::Whole(request, length) => {
                octets.drain(..length);
                let bodiless = request.line.starts_with("HEAD ");
                got.lock().unwrap_or_else(PoisonError::into_inner).whole.push(request);
                let body = if bodiless { "" } else { "ok" };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
            Read::Broken => {
                got.lock().unwrap_or_else(PoisonError::into_inner).broken.push(octets);
                return;
            }
            Read::Partial => {}
        }
        if stream.read_buf(&mut octets).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// The requests in octets, and whether something else follows them.
pub fn requests(mut octets: &[u8]) -> (Vec<Received>, bool) {
    let mut requests = Vec::new();
    while let Read::Whole(request, length) = read(octets) {
        requests.push(request);
        octets = &octets[length..];
    }
    (requests, !octets.is_empty())
}

fn read(octets: &[u8]) -> Read {
    let Some(end) = octets.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if octets.contains(&b'\0') { Read::Broken } else { Read::Partial };
    };
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let Some((line, headers)) = read_head(&head) else { return Read::Broken };
    let rest = &octets[end + 4..];
    let value = |name: &str| {
        let mut found = headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        (found.next(), found.next().is_some())
    };
    let body = match (value("content-length"), value("transfer-encoding")) {
        ((None, _), (None, _)) => Ok(Some((Vec::new(), 0))),
        ((Some(length), false), (None, _)) => match length.parse() {
            Ok(length) => Ok(rest.get(..length).map(|body| (body.to_vec(), length))),
            Err(_) => Err(()),
        },
        ((None, _), (Some(coding), false)) if coding.eq_ignore_ascii_case("chunked") => {
            read_chunks(rest)
        }
        _ => Err(()),
    };
    match body {
        Ok(Some((body, length))) => Read::Whole(Received { line, headers, body }, end + 4 + length),
        Ok(None) => Read::Partial,
        Err(()) => Read::Broken,
    }
}

fn read_head(head: &str) -> Option<(String, Vec<(String, String)>)> {
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let bare = |text: &str| text.contains(['\r', '\n', '\0']);
    if line.split(' ').count() != 3 || bare(&line) {
        return None;
    }
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        let strange = name.is_empty() || name.contains(|c: char| c <= ' ' || !c.is_ascii());
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        (!strange && !bare(line)).then_some(header)
    });
    Some((line, headers.collect::<Option<_>>()?))
}

/// A body in chunks without extensions and trailers, as the edge writes it, and how many octets it takes.
fn read_chunks(octets: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = &octets[at..];
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..end]).map_err(drop)?;
        let size =
            usize::from_str_radix(size.split(';').next().unwrap_or(size), 16).map_err(drop)?;
        let chunk = end + 2..end + 2 + size;
        let Some(data) = rest.get(chunk.clone()) else { return Ok(None) };
        match rest.get(chunk.end..chunk.end + 2) {
            Some(b"\r\n") => body.extend_from_slice(data),
            // Trailers, which a case may send and the edge never does.
            Some(_) if size == 0 => {
                let end =
                    rest[end..].windows(4).position(|w| w == b"\r\n\r\n").map(|e| end + e + 4);
                return Ok(end.map(|end| (body, at + end)));
            }
            Some(_) => return Err(()),
            None => return Ok(None),
        }
        at += chunk.end + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}
