//! HTTP/2 by hand: frames that no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a stream or its connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An answer of 200.
    Answered,
    /// Another answer.
    Refused,
    /// A reset of the stream, with its reason.
    Reset(u32),
    /// The connection's end, with the reason if it was told.
    Closed(Option<u32>),
}

/// A client's connection.
pub struct Raw {
    stream: TcpStream,
    arrived: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals that are neither indexed nor Huffman-coded (RFC 7541 §6.2.2).
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        block.push(value as u8);
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The fields of a GET.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    block(&[
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", path.as_bytes()),
        (b":authority", host.as_bytes()),
    ])
}

impl Raw {
    /// A connection that has begun as RFC 9113 §3.4 has it.
    pub async fn open(edge: SocketAddr) -> Self {
        let stream = TcpStream::connect(edge).await.expect("it listens");
        let mut raw = Self { stream, arrived: Vec::new() };
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        begin.extend(frame(SETTINGS, 0, 0, &[]));
        raw.send(&begin).await;
        raw
    }

    /// Sends octets; false once the edge takes none any more.
    pub async fn send(&mut self, octets: &[u8]) -> bool {
        // What is sent in return must not fill the pipe.
        let mut piece = [0; 4_096];
        while let Ok(read @ 1..) = self.stream.try_read(&mut piece) {
            self.arrived.extend_from_slice(&piece[..read]);
        }
        matches!(timeout(PATIENCE, self.stream.write_all(octets)).await, Ok(Ok(())))
    }

    /// The next frame; nothing at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((length, [kind, flags, a, b, c, d])) = head(&self.arrived)
                && self.arrived.len() >= 9 + length
            {
                let payload = self.arrived[9..9 + length].to_vec();
                self.arrived.drain(..9 + length);
                return Some(Frame {
                    kind,
                    flags,
                    stream: u32::from_be_bytes([a, b, c, d]),
                    payload,
                });
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.arrived)).await;
            if !matches!(read.expect("in time"), Ok(1..)) {
                return None;
            }
        }
    }

    /// How a stream ends, or the connection before it.
    pub async fn end_of(&mut self, stream: u32) -> End {
        let mut reason = None;
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY => reason = Some(code(&frame.payload[4..])),
                RST_STREAM if frame.stream == stream => return End::Reset(code(&frame.payload)),
                HEADERS if frame.stream == stream && frame.payload[0] == 0x88 => {
                    return End::Answered;
                }
                HEADERS if frame.stream == stream => return End::Refused,
                _ => {}
            }
        }
        End::Closed(reason)
    }

    /// Waits for the edge to end the connection, and gives the reason if it tells.
    pub async fn closed(&mut self) -> Option<u32> {
        match self.end_of(0).await {
            End::Closed(reason) => reason,
            other => panic!("no end: {other:?}"),
        }
    }
}

fn head(octets: &[u8]) -> Option<(usize, [u8; 6])> {
    let length = u32::from_be_bytes([0, *octets.first()?, *octets.get(1)?, *octets.get(2)?]);
    Some((length as usize, octets.get(3..9)?.try_into().ok()?))
}

fn code(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets[..4].try_into().expect("four octets"))
}
