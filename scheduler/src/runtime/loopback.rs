//! Apps that listen on their own loopback only, as many are written: a rule in the container's network hands them what
//! arrives on their port. The container itself may not do that, having no capability; its node may.

use std::io;
use std::process::{Output, Stdio};

use tokio::process::Command;

/// What lets the kernel deliver to 127.0.0.1 what came from outside; it holds in the container's own network only.
pub const ROUTE_LOCALNET: (&str, &str) = ("net.ipv4.conf.all.route_localnet", "1");

/// Hands what arrives at `port` in the network of process `pid` to 127.0.0.1. Twice is harmless.
pub async fn open(pid: u32, port: u16) -> io::Result<()> {
    if iptables(pid, "-C", port).await?.status.success() {
        return Ok(());
    }
    let added = iptables(pid, "-A", port).await?;
    if added.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&added.stderr).trim().to_owned()))
}

async fn iptables(pid: u32, act: &str, port: u16) -> io::Result<Output> {
    let (pid, port) = (pid.to_string(), port.to_string());
    let to = format!("127.0.0.1:{port}");
    Command::new("nsenter")
        .args(["--target", &pid, "--net", "iptables", "--wait", "5", "--table", "nat", act])
        .args(["PREROUTING", "--protocol", "tcp", "--dport", &port])
        .args(["--jump", "DNAT", "--to-destination", &to])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}
