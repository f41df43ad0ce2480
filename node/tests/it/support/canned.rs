//! A server that answers what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::{Ended, User};

/// Answers by the first entry whose text the request line begins with.
pub type Answers = Vec<(&'static str, u16, String)>;

/// A server of fixed answers, for what a healthy node never says.
pub struct Canned {
    pub url: String,
    /// The request lines, each with its body below.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub fn serve(answers: Answers) -> Self {
        Self::serve_with("", answers)
    }

    /// Every answer has that header.
    pub fn serve_with(header: &'static str, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), header, &answers, &log);
            }
        });
        Self { url, seen }
    }

    /// The body of the newest request whose line begins with that.
    pub fn sent(&self, start: &str) -> serde_json::Value {
        let seen = self.seen.lock().unwrap();
        let request = seen.iter().rev().find(|request| request.starts_with(start)).unwrap();
        serde_json::from_str(request.split_once('\n').unwrap().1).unwrap()
    }

    /// How many requests began with that.
    pub fn count(&self, start: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|request| request.starts_with(start)).count()
    }

    pub fn run(&self, user: &User, arguments: &[&str]) -> Ended {
        self.command(user, arguments).output().unwrap().into()
    }

    pub fn command(&self, user: &User, arguments: &[&str]) -> Command {
        let mut command = user.command(arguments);
        command.env("TEMPS_API_URL", &self.url).env("TEMPS_API_TOKEN", "tk_test");
        command
    }
}

fn answer(stream: TcpStream, header: &str, answers: &Answers, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body_sent = vec![0; length];
    reader.read_exact(&mut body_sent).unwrap();
    let seen = format!("{}\n{}", request.trim(), String::from_utf8_lossy(&body_sent));
    log.lock().unwrap().push(seen);
    let found = answers.iter().find(|(start, _, _)| request.starts_with(start));
    let (status, body) = found.map_or((404, "{}"), |(_, status, body)| (*status, body.as_str()));
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{header}");
    reader.get_mut().write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
}

pub fn problem(status: u16, code: &str, detail: &str) -> String {
    json!({"title": "Refused", "status": status, "code": code, "detail": detail}).to_string()
}
