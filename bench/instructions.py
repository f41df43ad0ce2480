#!/usr/bin/env python3
"""Instructions that the edge and bare Pingora spend on a request over HTTP/1.1, with or without TLS, counted by callgrind.

Unlike times they do not depend on the machine's mood, so a change of a few hundred shows. They leave out the kernel's, and what
a miss of the cache costs. Figures are printed and asserted nowhere.

    bench/instructions.py [--requests 3000] [--peers temps,bare] [--tls] [--log] [--keep FOLDER]

With --keep, each peer's profile stays in the folder: `callgrind_annotate --inclusive=yes FOLDER/temps.profile`. Build with
`CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1` to have names in it.
"""

import argparse
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import edge

# What is asked before counting begins: connections, pools and caches are there then.
WARM_UP = 500


def counted(name, folder, requests, args):
    """Starts a peer under callgrind, and gives its instructions per request and where its profile is."""
    profile = folder / f"{name}.profile"
    edge.PREFIX = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--quiet"]
    peer = edge.PEERS[name](folder, args.log)
    try:
        with connect(peer, args.tls) as stream:
            ask(stream, WARM_UP)
            control(peer, "--zero")
            ask(stream, requests)
        control(peer, "--dump")
    finally:
        peer.stop()
    # The first dump has a number; what comes at the end counts what came after it.
    dump = profile.with_name(profile.name + ".1")
    totals = re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)
    return int(totals[1]) / requests, dump


def control(peer, what):
    subprocess.run(["callgrind_control", what, str(peer.process.pid)], check=True, capture_output=True)


def connect(peer, tls):
    """A connection that stays: what a handshake takes is not counted."""
    stream = socket.create_connection(("127.0.0.1", peer.https if tls else peer.http))
    if not tls:
        return stream
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(stream, server_hostname=edge.HOST)


def ask(stream, requests):
    """One request after the other."""
    request = f"GET /path?query=1 HTTP/1.1\r\nHost: {edge.HOST}\r\n\r\n".encode()
    for _ in range(requests):
        stream.sendall(request)
        got = b""
        while not got.endswith(b"x" * 1024):
            piece = stream.recv(65536)
            if not piece:
                edge.fail("a connection was closed", "look at the peer's limits")
            got += piece


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--peers", default="temps,bare")
    parser.add_argument("--tls", action="store_true", help="over TLS, on a connection that stays")
    parser.add_argument("--log", action="store_true", help="with the access log")
    parser.add_argument("--keep", type=Path, help="where the profiles are left")
    args = parser.parse_args()
    edge.program("valgrind", "apt-get install valgrind")
    edge.STARTS_WITHIN = 300
    folder = Path(tempfile.mkdtemp(prefix="temps-bench."))
    upstream = None
    try:
        edge.certificate(folder)
        upstream = edge.start_upstream(folder)
        for name in args.peers.split(","):
            per_request, profile = counted(name, folder, args.requests, args)
            print(f"{name:8} {per_request:9,.0f} instructions per request", flush=True)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(profile, args.keep / f"{name}.profile")
    finally:
        if upstream:
            edge.os.killpg(upstream.pid, signal.SIGTERM)
            upstream.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
