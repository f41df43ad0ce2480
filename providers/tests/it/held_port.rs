//! A port of loopback for a program that must be told its own. Tests of other crates take theirs with this, too.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

/// The ports that there are: below those that the system gives to whoever asks for any.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
/// Where each of them has a file, which stays; whoever holds the port has it locked.
const FOLDER: &str = "temps-test-ports";

/// A port that nobody else is given, in this process or another, until this is dropped.
pub struct HeldPort {
    /// Its number, for TCP and UDP.
    pub number: u16,
    _lock: File,
}

impl HeldPort {
    /// Takes one that nobody listens at.
    pub fn take() -> Self {
        let folder = std::env::temp_dir().join(FOLDER);
        fs::create_dir_all(&folder).expect("a folder");
        let start = (std::process::id() % u32::from(COUNT)) as u16;
        let mut all = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
        all.find_map(|number| Self::try_take(&folder, number)).expect("a port that is free")
    }

    fn try_take(folder: &Path, number: u16) -> Option<Self> {
        let lock = File::create(folder.join(number.to_string())).expect("a file");
        lock.try_lock().ok()?;
        let here = (Ipv4Addr::LOCALHOST, number);
        let free = TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok();
        free.then_some(Self { number, _lock: lock })
    }
}

#[test]
fn a_port_is_held_once() {
    let one = HeldPort::take();
    let folder = std::env::temp_dir().join(FOLDER);
    assert!(HeldPort::try_take(&folder, one.number).is_none());
    assert_ne!(HeldPort::take().number, one.number);
}
