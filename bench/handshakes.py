#!/usr/bin/env python3
"""Handshakes of TLS 1.3, full and resumed, with one request each: a whole node beside nginx and HAProxy.

Every server answers 1 KiB by itself, on one processor, with the same certificate; the client is on the other. Rounds are
interleaved; what counts are the ratios of one run. Figures are printed and asserted nowhere. Needs nginx and haproxy
(bench/peers.sh), and a release binary.

    bench/handshakes.py [--binary PATH] [--rounds 5] [--seconds 4] [--connections 8] [--peers temps,nginx,haproxy]
"""

import argparse
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import edge

HTTP, HTTPS, API, PEER = 18060, 18061, 18062, 18063
PASSWORD = "handshakes-password"
DEPLOYED_WITHIN = 60
CLIENT = edge.TARGET / "release/examples/handshakes"


class Node(edge.Peer):
    """A node of one with a static site, which shows a certificate of its own."""

    def __init__(self, folder, binary):
        self.binary, self.folder = binary, folder
        self.env = {"TEMPS_ADMIN_EMAIL": "admin@example.com", "TEMPS_ADMIN_PASSWORD": PASSWORD,
                    "TEMPS_API_URL": f"http://127.0.0.1:{API}", "XDG_CONFIG_HOME": str(folder / "config")}
        command = [binary, "serve", "--data-dir", folder / "data", "--http", f"127.0.0.1:{HTTP}",
                   "--https", f"127.0.0.1:{HTTPS}", "--api", f"127.0.0.1:{API}", "--peer", f"127.0.0.1:{PEER}"]
        super().__init__("temps", command, HTTP, HTTPS, env=self.env)

    def wait(self):
        try:
            began = time.monotonic()
            while self.says("login", self.env["TEMPS_API_URL"], "--email", "admin@example.com", "--password-stdin",
                            feed=PASSWORD) is None:
                if time.monotonic() - began > DEPLOYED_WITHIN:
                    edge.fail("the node does not come up", "run it by hand")
                time.sleep(0.2)
            site = self.folder / "site"
            site.mkdir()
            (site / "index.html").write_text("x" * 1024)
            must = [("certificates", "add", "--chain", self.folder / "chain.pem", "--key", self.folder / "key.pem"),
                    ("deploy", site, "--project", "bench"),
                    ("settings", "set", "edge.connections_per_client_max=10000")]
            for command in must:
                if self.says(*command) is None:
                    edge.fail(f"`temps {command[0]}` fails", "run it by hand")
            # A name that has a certificate is served over TLS alone.
            while not self.serves():
                if time.monotonic() - began > DEPLOYED_WITHIN:
                    edge.fail("the site is not served", "run it by hand")
                time.sleep(0.2)
        except BaseException:
            self.stop()
            raise

    def serves(self):
        context = ssl.create_default_context(cafile=self.folder / "chain.pem")
        try:
            with socket.create_connection(("127.0.0.1", HTTPS)) as plain:
                with context.wrap_socket(plain, server_hostname=edge.HOST) as stream:
                    stream.sendall(f"GET / HTTP/1.1\r\nHost: {edge.HOST}\r\nConnection: close\r\n\r\n".encode())
                    return stream.recv(65536).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def says(self, *command, feed=""):
        """What the CLI prints; None where it fails."""
        done = subprocess.run([self.binary, *map(str, command)], input=feed, text=True, capture_output=True,
                              env={**os.environ, **self.env})
        return done.stdout if done.returncode == 0 else None


def start_nginx(folder):
    server = f"""
        server {{
            listen 127.0.0.1:18020; listen 127.0.0.1:18021 ssl;
            ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;
            ssl_session_tickets on;
            location / {{ return 200 '{"x" * 1024}'; }}
        }}"""
    return edge.Peer("nginx", edge.nginx_conf(folder, "nginx", server, False), 18020, 18021)


def start_haproxy(folder):
    (folder / "haproxy.pem").write_text((folder / "chain.pem").read_text() + (folder / "key.pem").read_text())
    (folder / "page").write_text("x" * 1024)
    conf = folder / "haproxy.cfg"
    conf.write_text(f"""
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend edge
    bind 127.0.0.1:18030
    bind 127.0.0.1:18031 ssl crt {folder}/haproxy.pem alpn http/1.1
    http-request return status 200 content-type text/plain file {folder}/page
""")
    return edge.Peer("haproxy", [edge.program("haproxy", "bench/peers.sh"), "-db", "-f", conf], 18030, 18031)


def measure(peer, kind, args):
    before, began = peer.processor_seconds(), time.monotonic()
    command = [CLIENT, f"127.0.0.1:{peer.https}", edge.HOST, kind, args.seconds, args.connections]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        edge.fail(f"{peer.name}, {kind}: {done.stderr.strip()}", "run the load by hand")
    took, used = time.monotonic() - began, peer.processor_seconds() - before
    count = int(done.stdout)
    return {"per_second": count / took, "cpu_us": used / count * 1e6}


def table(results, peers):
    base = "nginx" if "nginx" in peers else peers[0]
    for kind, of_kind in results.items():
        print(f"\n{kind} handshakes with one request each, and their ratio to {base}'s")
        for peer in peers:
            rounds = list(zip(of_kind[peer], of_kind[base]))
            per_second = statistics.median(mine["per_second"] for mine, _ in rounds)
            rate = sorted(mine["per_second"] / theirs["per_second"] for mine, theirs in rounds)
            own = statistics.median(mine["cpu_us"] for mine, _ in rounds)
            cpu = sorted(theirs["cpu_us"] / mine["cpu_us"] for mine, theirs in rounds)
            print(f"  {peer:8} {per_second:7.0f} a second {statistics.median(rate):5.2f} ({rate[0]:.2f}-{rate[-1]:.2f})"
                  f"   {1e6 / own:7.0f} in a second of CPU {statistics.median(cpu):5.2f} ({cpu[0]:.2f}-{cpu[-1]:.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(edge.TARGET / "release/temps"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--peers", default="temps,nginx,haproxy")
    args = parser.parse_args()
    if not Path(args.binary).is_file():
        edge.fail(f"there is no binary at {args.binary}", "cargo build --release -p temps")
    if not CLIENT.is_file():
        edge.fail(f"there is no {CLIENT}", "cargo build --release -p temps-chaos-tests --example handshakes")
    os.sched_setaffinity(0, {int(edge.LOAD_CPU)})
    folder, peers, names = Path(tempfile.mkdtemp(prefix="temps-bench.")), [], args.peers.split(",")
    starts = {"temps": lambda: Node(folder, args.binary), "nginx": lambda: start_nginx(folder),
              "haproxy": lambda: start_haproxy(folder)}
    try:
        edge.certificate(folder)
        for name in names:
            peers.append(starts[name]())
        results = {kind: {name: [] for name in names} for kind in ("full", "resumed")}
        for number in range(args.rounds):
            for kind, of_kind in results.items():
                for peer in peers[number % len(peers):] + peers[:number % len(peers)]:
                    of_kind[peer.name].append(measure(peer, kind, args))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        table(results, names)
    finally:
        for peer in peers:
            peer.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
