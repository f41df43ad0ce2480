//! What this machine is: its name, its processor, what it has for containers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::thread;

use temps_state::Capacity;

/// An address far away (RFC 5737); nobody is there.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The machine's host name.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name }
}

/// The address that this machine has towards the world, as its routes say; nothing is sent to find out.
pub fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

/// The processor's architecture, as Docker names it.
pub fn architecture() -> &'static str {
    docker_name(std::env::consts::ARCH)
}

fn docker_name(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What the machine's processors and memory amount to, as far as this process may use them.
pub fn capacity() -> Capacity {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Capacity { cpu_millis: cores * 1_000, memory_mib: memory_mib(&meminfo) }
}

/// All memory, from the text of `/proc/meminfo`; 0 when it does not say.
fn memory_mib(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo() {
        assert_eq!(memory_mib("MemTotal:       24576000 kB\nMemFree:  1 kB\n"), 24_000);
        assert_eq!(memory_mib(""), 0);
        assert_eq!(memory_mib("MemTotal: many"), 0);
    }

    #[test]
    fn architectures_have_dockers_names() {
        assert_eq!(docker_name("x86_64"), "amd64");
        assert_eq!(docker_name("aarch64"), "arm64");
        assert_eq!(docker_name("riscv64"), "riscv64");
    }

    #[test]
    fn this_machine_has_a_processor_and_a_name() {
        assert!(capacity().cpu_millis >= 1_000);
        assert!(!host_name().is_empty());
    }
}
