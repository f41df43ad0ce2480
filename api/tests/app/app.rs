//! A small app to run in containers: serves, or copies its input and ends with code 7.

use std::env;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::exit;

fn main() {
    if env::args().nth(1).as_deref() == Some("copy") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).expect("input is text");
        print!("{text}");
        std::io::stdout().flush().expect("output is open");
        eprint!("done");
        exit(7);
    }
    let port = env::var("PORT").unwrap_or_else(|_| "3000".into());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    println!("listening on {port}");
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }
}
