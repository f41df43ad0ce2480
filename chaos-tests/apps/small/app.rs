//! The app that most stories deploy. It answers every request with its version, after so many milliseconds as `?ms=` says,
//! and echoes what comes over a WebSocket; `/calls/N` is written down, too; `ask URL` prints what a URL answers.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::thread;
use std::time::Duration;

/// What it takes for a WebSocket: the key and the answer of RFC 6455 §1.3, which spares it a digest.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The most of a request that is looked at.
const HEAD_MAX: usize = 64 << 10;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ask", url] => ask(url),
        _ => serve(),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        exit(1);
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let version = fs::read_to_string("/version")?.trim().to_owned();
    let port: u16 = env::var("PORT")?.parse()?;
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("listening on port {port}");
    for stream in listener.incoming().flatten() {
        let version = version.clone();
        // A client that goes away is none of the others' business.
        thread::spawn(move || answer(stream, &version).ok());
    }
    Ok(())
}

fn answer(mut stream: TcpStream, body: &str) -> Result<(), Box<dyn Error>> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while head.len() < HEAD_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            octets => head.extend_from_slice(&piece[..octets]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    if head.contains(KEY) {
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        )?;
        return echo(stream);
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    if let Some(call) = target.strip_prefix("/calls/").and_then(|rest| rest.split('?').next()) {
        println!("call {call}");
    }
    if let Some((_, pause)) = target.split_once("?ms=") {
        thread::sleep(Duration::from_millis(pause.parse()?));
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}

/// Sends short frames back without their mask (RFC 6455 §5.2), until one says that the client closes.
fn echo(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    const CLOSE: u8 = 0x88;
    let mut head = [0; 6];
    while head[0] != CLOSE {
        stream.read_exact(&mut head)?;
        let [kind, length, mask @ ..] = head;
        let mut payload = vec![0; usize::from(length & 0x7f)];
        stream.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.into_iter().cycle()).for_each(|(octet, mask)| *octet ^= mask);
        stream.write_all(&[&[kind, payload.len() as u8], &payload[..]].concat())?;
    }
    Ok(())
}

/// Prints the status and the body.
fn ask(url: &str) -> Result<(), Box<dyn Error>> {
    let place = url.strip_prefix("http://").ok_or("it is no http:// URL")?;
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let mut stream = TcpStream::connect((host, 80))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it is no answer")?;
    println!("{} {body}", head.split(' ').nth(1).ok_or("it has no status")?);
    Ok(())
}
