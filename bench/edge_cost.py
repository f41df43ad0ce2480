#!/usr/bin/env python3
"""What else an edge costs, beside what `edge.py` measures: looking routes up, idle connections, and added latency.

    bench/edge_cost.py routes  [--rounds 5] [--seconds 3]            CPU per request with 10, 1,000 and 100,000 routes
    bench/edge_cost.py idle    [--connections 4000] [--peers ...]    memory per idle connection, in the clear and over TLS
    bench/edge_cost.py latency [--rate 500] [--rounds 5] [--peers …] what a peer adds to p50 and p99 at a fixed load

Figures are printed and asserted nowhere.
"""

import argparse
import os
import resource
import shutil
import signal
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

import edge

# Those of 9,000 projects, and then of domains and their paths.
ROUTES = (10, 1_000, 100_000)
SETTLES = 3
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def routes(folder, args):
    """The same load on edges that know ever more routes; all others lead nowhere."""
    edge.STARTS_WITHIN = 600
    command = [edge.TARGET / "release/examples/edge", f"127.0.0.1:{edge.UPSTREAM}"]
    peers = [edge.Peer(f"{count} routes", [*command, count], 0, 0, says=True) for count in ROUTES]
    results = {"h1": {peer.name: [] for peer in peers}}
    try:
        for number in range(args.rounds):
            for peer in peers[number % len(peers):] + peers[:number % len(peers)]:
                results["h1"][peer.name].append(edge.measure(peer, "h1", args.seconds))
        edge.table(results, ["h1"], [peer.name for peer in peers])
        for peer in peers:
            print(f"  {peer.name}: {memory(peer) >> 20} MiB")
    finally:
        for peer in peers:
            peer.stop()


def memory(peer):
    """The proportional memory of it and its children."""
    group, used = os.getpgid(peer.process.pid), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                lines = (process / "smaps_rollup").read_text().splitlines()
                used += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return used


def idle(folder, args):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"memory per idle connection after one request, of {args.connections} connections")
    for name in args.peers.split(","):
        for secure in (False, True):
            peer = edge.PEERS[name](folder, False)
            try:
                before = settled(peer)
                kept = [opened(peer, secure) for _ in range(args.connections)]
                taken = settled(peer) - before
                print(f"  {name:8} {'TLS' if secure else 'clear':5} {taken / len(kept) / 1024:6.1f} KiB", flush=True)
            finally:
                peer.stop()


def settled(peer):
    time.sleep(SETTLES)
    return memory(peer)


def opened(peer, secure):
    """A connection that has had one answer and may have more."""
    stream = socket.create_connection(("127.0.0.1", peer.https if secure else peer.http))
    if secure:
        stream = TLS.wrap_socket(stream, server_hostname=edge.HOST)
    stream.sendall(f"GET / HTTP/1.1\r\nHost: {edge.HOST}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"x" * 1024):
        piece = stream.recv(65536)
        if not piece:
            edge.fail(f"{peer.name} closed a connection", "look at its limits")
        got += piece
    return stream


class Direct:
    """The app itself, to see what its peers add."""
    name, http = "direct", edge.UPSTREAM

    def stop(self):
        pass


def latency(folder, args):
    peers = [Direct(), *(edge.PEERS[name](folder, True) for name in args.peers.split(","))]
    seen = {peer.name: [] for peer in peers}
    try:
        for number in range(args.rounds):
            for peer in peers[number % len(peers):] + peers[:number % len(peers)]:
                seen[peer.name].append(percentiles(folder, peer, args))
    finally:
        for peer in peers:
            peer.stop()
    base = [statistics.median(column) for column in zip(*seen["direct"])]
    print(f"latency at {args.rate} requests per second, with access logs; direct: p50 {base[0]:.0f} us, p99 {base[1]:.0f} us")
    for peer in peers[1:]:
        p50, p99 = (statistics.median(column) for column in zip(*seen[peer.name]))
        print(f"  {peer.name:8} adds {p50 - base[0]:6.0f} us to p50, {p99 - base[1]:6.0f} us to p99")


def percentiles(folder, peer, args):
    """p50 and p99 in microseconds. The load's pace does not depend on the answers'."""
    clients, log = 10, folder / "h2load.log"
    log.unlink(missing_ok=True)
    edge.run(["h2load", "--h1", "-t1", f"-c{clients}", f"-n{args.rate * args.seconds}", f"--rps={args.rate / clients}",
              f"--log-file={log}", f"http://{edge.HOST}:{peer.http}/"])
    took = sorted(int(line.split()[2]) for line in log.read_text().splitlines() if line.split()[1] == "200")
    if len(took) < args.rate * args.seconds:
        edge.fail(f"{peer.name} gave errors", "run the load by hand")
    return took[len(took) // 2], took[len(took) * 99 // 100]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["routes", "idle", "latency"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--peers", default="temps,bare,nginx,haproxy,caddy,traefik")
    args = parser.parse_args()
    os.sched_setaffinity(0, {int(edge.LOAD_CPU)})
    folder, upstream = Path(tempfile.mkdtemp(prefix="temps-bench.")), None
    try:
        edge.certificate(folder)
        upstream = edge.start_upstream(folder)
        {"routes": routes, "idle": idle, "latency": latency}[args.what](folder, args)
    finally:
        if upstream:
            os.killpg(upstream.pid, signal.SIGTERM)
            upstream.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
