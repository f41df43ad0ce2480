#!/usr/bin/env python3
"""The edge beside bare Pingora, nginx, HAProxy, Caddy and Traefik: CPU per request and requests per second.

Every peer runs on one processor, the load and the upstream on the other. Rounds are interleaved, so that a machine whose
mood changes changes it for all; what counts are the ratios of one run. Figures are printed and asserted nowhere.

    bench/edge.py [--rounds 5] [--seconds 4] [--peers temps,bare,nginx,...] [--loads h1,tls,h2,full,resumed] [--json FILE]
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "temps" / "peers"
HOST = "bench-production.localho.st"
UPSTREAM = 18999
LOAD_CPU, PEER_CPU = "0", "1"
# What a peer is started by, such as a profiler.
PREFIX = []
STARTS_WITHIN = 20
CLOCK = os.sysconf("SC_CLK_TCK")


def fail(what, hint):
    sys.exit(f"{what}\n  try: {hint}")


def program(name, hint):
    found = shutil.which(name) or shutil.which(name, path=str(CACHE / "bin"))
    return found or fail(f"there is no {name}", hint)


class Peer:
    """A running proxy, with the ports it takes HTTP and HTTPS at."""

    def __init__(self, name, command, http, https, env=None, says=False):
        self.name, self.http, self.https = name, http, https
        self.process = subprocess.Popen(
            ["taskset", "-c", PEER_CPU, *PREFIX, *map(str, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE if says else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}, start_new_session=True)
        if says:
            addresses = self.process.stdout.readline().split()
            self.http, self.https = (int(address.rsplit(b":", 1)[1]) for address in addresses)
        self.wait()

    def wait(self):
        began = time.monotonic()
        while time.monotonic() - began < STARTS_WITHIN:
            request = urllib.request.Request(f"http://127.0.0.1:{self.http}/", headers={"Host": HOST})
            try:
                with urllib.request.urlopen(request, timeout=2) as answer:
                    if len(answer.read()) == 1024:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        self.stop()
        fail(f"{self.name} does not serve", "run it by hand with the same arguments")

    def processor_seconds(self):
        """What it and its children have used."""
        group, used = os.getpgid(self.process.pid), 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if int(fields[2]) == group:
                used += int(fields[11]) + int(fields[12])
        return used / CLOCK

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def nginx_conf(folder, name, servers, log):
    access = f"access_log {folder}/{name}.access" if log else "access_log off"
    conf = folder / f"{name}.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.error;\n"
        f"events {{ worker_connections 8192; }}\nhttp {{ {access}; keepalive_requests 100000000;\n{servers}\n}}\n")
    return ["nginx", "-p", folder, "-c", conf]


def start_upstream(folder):
    body = "x" * 1024
    servers = f"server {{ listen 127.0.0.1:{UPSTREAM} backlog=4096; location / {{ return 200 '{body}'; }} }}"
    command = nginx_conf(folder, "upstream", servers, False)
    return subprocess.Popen(["taskset", "-c", LOAD_CPU, *map(str, command)], start_new_session=True)


def start_temps(folder, log):
    env = {"ACCESS_LOG": str(folder / "temps.access")} if log else {}
    command = [TARGET / "release/examples/edge", f"127.0.0.1:{UPSTREAM}"]
    return Peer("temps", command, 0, 0, env=env, says=True)


def start_bare(folder, log):
    command = [TARGET / "release/examples/bare", f"127.0.0.1:{UPSTREAM}", "127.0.0.1:18010", "127.0.0.1:18011",
               folder / "chain.pem", folder / "key.pem"]
    return Peer("bare", command, 18010, 18011)


def start_nginx(folder, log):
    servers = f"""
        upstream app {{ server 127.0.0.1:{UPSTREAM}; keepalive 256; keepalive_requests 100000000; }}
        server {{
            listen 127.0.0.1:18020; listen 127.0.0.1:18021 ssl http2;
            ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
            http2_max_requests 100000000;
            location / {{
                proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;
                proxy_set_header X-Forwarded-For $remote_addr;
            }}
        }}"""
    servers = servers.replace("http2_max_requests 100000000;", "")
    return Peer("nginx", nginx_conf(folder, "nginx", servers, log), 18020, 18021)


def start_haproxy(folder, log):
    (folder / "haproxy.pem").write_text((folder / "chain.pem").read_text() + (folder / "key.pem").read_text())
    logging = f"log {folder}/log.sock local0\n" if log else ""
    conf = folder / "haproxy.cfg"
    conf.write_text(f"""
global
    nbthread 1
    maxconn 8192
    {logging}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {'log global' if log else ''}
    {'option httplog' if log else ''}
frontend edge
    bind 127.0.0.1:18030
    bind 127.0.0.1:18031 ssl crt {folder}/haproxy.pem alpn h2,http/1.1
    default_backend app
backend app
    http-reuse always
    server app 127.0.0.1:{UPSTREAM}
""")
    return Peer("haproxy", [program("haproxy", "bench/peers.sh"), "-db", "-f", conf], 18030, 18031)


def start_caddy(folder, log):
    conf = folder / "Caddyfile"
    log = f"log {{\n output file {folder}/caddy.access\n }}" if log else ""
    site = f"{log}\n reverse_proxy 127.0.0.1:{UPSTREAM} {{\n transport http {{\n keepalive_idle_conns_per_host 256\n }}\n }}"
    conf.write_text(f"""{{
 admin off
 auto_https off
 storage file_system {folder}/caddy
}}
http://:18040 {{
 bind 127.0.0.1
 {site}
}}
https://:18041 {{
 bind 127.0.0.1
 tls {folder}/chain.pem {folder}/key.pem
 {site}
}}
""")
    command = [program("caddy", "bench/peers.sh"), "run", "--config", conf, "--adapter", "caddyfile"]
    return Peer("caddy", command, 18040, 18041, env={"GOMAXPROCS": "1", "HOME": str(folder)})


def start_traefik(folder, log):
    access = f"accessLog:\n  filePath: {folder}/traefik.access\n" if log else ""
    (folder / "traefik.yml").write_text(f"""
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
entryPoints:
  web: {{address: "127.0.0.1:18050"}}
  secure: {{address: "127.0.0.1:18051"}}
providers: {{file: {{filename: "{folder}/traefik-routes.yml"}}}}
{access}""")
    (folder / "traefik-routes.yml").write_text(f"""
http:
  routers:
    plain: {{rule: "PathPrefix(`/`)", service: app, entryPoints: [web]}}
    secure: {{rule: "PathPrefix(`/`)", service: app, entryPoints: [secure], tls: {{}}}}
  services: {{app: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{UPSTREAM}"}}]}}}}}}
tls:
  stores: {{default: {{defaultCertificate: {{certFile: "{folder}/chain.pem", keyFile: "{folder}/key.pem"}}}}}}
""")
    command = [program("traefik", "bench/peers.sh"), f"--configFile={folder}/traefik.yml"]
    return Peer("traefik", command, 18050, 18051, env={"GOMAXPROCS": "1"})


PEERS = {"temps": start_temps, "bare": start_bare, "nginx": start_nginx, "haproxy": start_haproxy,
         "caddy": start_caddy, "traefik": start_traefik}


def run(command):
    """Runs a load where the host's name leads here."""
    hosts = Path(tempfile.gettempdir()) / "temps-bench-hosts"
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    alone = ["unshare", "-m", "bash", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    return subprocess.run([*alone, *map(str, command)], capture_output=True, text=True).stdout


def wrk(peer, url, seconds, *more):
    said = run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-H", f"Host: {HOST}", *more, url])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if bad:
        fail(f"{peer.name} gave {bad[1]} errors", "look at its configuration")
    return int(re.search(r"(\d+) requests in", said)[1])


def h2load(peer, seconds):
    said = run(["h2load", "-t1", "-c10", "-m32", "-D", seconds, f"https://{HOST}:{peer.https}/"])
    return int(re.search(r"(\d+) succeeded", said)[1])


def resumed(peer, seconds):
    """One request on each connection, every one resumed from the one before. The client is slow: only CPU counts."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    session, count, until = None, 0, time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", peer.https)) as plain:
            with context.wrap_socket(plain, server_hostname=HOST, session=session) as stream:
                stream.sendall(request)
                while stream.recv(65536):
                    pass
                if session and not stream.session_reused:
                    return fail(f"{peer.name} does not resume sessions", "look at its configuration")
                session = stream.session
                count += 1
    return count


LOADS = {
    "h1": lambda peer, seconds: wrk(peer, f"http://127.0.0.1:{peer.http}/", seconds),
    "tls": lambda peer, seconds: wrk(peer, f"https://{HOST}:{peer.https}/", seconds),
    "h2": h2load,
    "full": lambda peer, seconds: wrk(peer, f"https://{HOST}:{peer.https}/", seconds, "-H", "Connection: close"),
    "resumed": resumed,
}


def measure(peer, load, seconds):
    before, began = peer.processor_seconds(), time.monotonic()
    count = LOADS[load](peer, seconds)
    took, used = time.monotonic() - began, peer.processor_seconds() - before
    if count == 0:
        fail(f"{peer.name} answered nothing under {load}", "run the load by hand")
    return {"per_second": count / took, "cpu_us": used / count * 1e6}


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "chain.pem", "-days", "30", "-subj", f"/CN={HOST}",
                    "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True)


def table(results, loads, peers):
    """The median of the rounds' ratios, with the least and the greatest."""
    base = "nginx" if "nginx" in peers else peers[0]
    for load in loads:
        print(f"\n{load}: CPU per request and requests per second, as a ratio to {base}'s")
        for peer in peers:
            rounds = list(zip(results[load][peer], results[load][base]))
            cpu = sorted(mine["cpu_us"] / theirs["cpu_us"] for mine, theirs in rounds)
            rate = sorted(mine["per_second"] / theirs["per_second"] for mine, theirs in rounds)
            own = statistics.median(mine["cpu_us"] for mine, _ in rounds)
            print(f"  {peer:8} CPU {statistics.median(cpu):5.2f} ({cpu[0]:.2f}-{cpu[-1]:.2f}), {own:6.1f} us"
                  f"   rate {statistics.median(rate):5.2f} ({rate[0]:.2f}-{rate[-1]:.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--log", action="store_true", help="with access logs")
    parser.add_argument("--json", help="where to write every figure")
    args = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    names, loads = args.peers.split(","), args.loads.split(",")
    folder = Path(tempfile.mkdtemp(prefix="temps-bench."))
    peers, upstream = [], None
    try:
        certificate(folder)
        upstream = start_upstream(folder)
        for name in names:
            peers.append(PEERS[name](folder, args.log))
        results = {load: {name: [] for name in names} for load in loads}
        for number in range(args.rounds):
            for load in loads:
                for peer in peers[number % len(peers):] + peers[:number % len(peers)]:
                    results[load][peer.name].append(measure(peer, load, args.seconds))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        table(results, loads, names)
        if args.json:
            Path(args.json).write_text(json.dumps(results, indent=1))
    finally:
        for peer in peers:
            peer.stop()
        if upstream:
            os.killpg(upstream.pid, signal.SIGTERM)
            upstream.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
