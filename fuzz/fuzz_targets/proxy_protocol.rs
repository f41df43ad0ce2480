//! The header of the PROXY protocol: it is refused or taken, and what follows it is left.
#![no_main]
#![allow(dead_code, reason = "the files belong to a larger crate")]

#[path = "../../proxy/src/error_page.rs"]
mod error_page;
#[path = "../../proxy/src/proxy_protocol.rs"]
mod proxy_protocol;

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

const NEXT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fuzz_target!(|octets: &[u8]| {
    let followed = [octets, NEXT].concat();
    let mut rest = &followed[..];
    let read = proxy_protocol::read(&mut rest, Duration::from_secs(60));
    let Ok(client) = RUNTIME.block_on(read) else { return };
    let taken = &followed[..followed.len() - rest.len()];
    assert!(taken.starts_with(b"PROXY ") || taken.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
    let mut alone = taken;
    let again = RUNTIME.block_on(proxy_protocol::read(&mut alone, Duration::from_secs(60)));
    assert_eq!(again, Ok(client), "what was taken is the header");
    assert!(alone.is_empty());
});
