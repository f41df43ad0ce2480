//! A small app to run in containers: `serve [port]`, `hide [port]` (on loopback only), `exit <code>`, `cat <file>`, `echo <text>`.

use std::env;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::exit;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let word = |i: usize| words.get(i).cloned();
    match word(0).as_deref() {
        Some("exit") => {
            eprintln!("boom");
            exit(word(1).and_then(|code| code.parse().ok()).unwrap_or(1));
        }
        Some("cat") => match word(1).map(std::fs::read_to_string) {
            Some(Ok(text)) => print!("{text}"),
            _ => exit(1),
        },
        Some("echo") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).expect("standard input can be read");
            print!("{text}");
        }
        Some("hide") => serve("127.0.0.1", port(word(1))),
        _ => serve("0.0.0.0", port(word(1))),
    }
}

fn port(given: Option<String>) -> String {
    given.or(env::var("PORT").ok()).expect("a port")
}

fn serve(address: &str, port: String) {
    let listener = TcpListener::bind(format!("{address}:{port}")).expect("the port is free");
    println!("listening on {port}");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        let line = text.lines().next().unwrap_or_default();
        println!("{line}");
        for header in
            text.lines().filter(|line| ["x-cron", "author"].iter().any(|h| line.starts_with(h)))
        {
            println!("{header}");
        }
        if line.contains("/exit") {
            exit(7);
        }
        let body = format!("{}\n", env::var("GREETING").unwrap_or_default());
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}
