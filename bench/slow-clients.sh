#!/usr/bin/env bash
# What thousands of slow clients cost a good one: its time for a request with and without them, by turns. slowhttptest
# sends heads that never end, which the edge cuts off after edge.header_seconds_max, and opens new ones. Prints figures
# and their ratio, and asserts nothing: times belong to the machine. All comes from one address, so its bound is lifted
# first; with CAPPED=yes it is left as it is, and most of the slow connections are refused.
#
#   [CONNECTIONS=10000] [SECONDS_EACH=10] [ROUNDS=3] [CAPPED=yes] bench/slow-clients.sh [path to temps]
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/release/temps}
connections=${CONNECTIONS:-10000}
seconds=${SECONDS_EACH:-10}
rounds=${ROUNDS:-3}
folder=$(mktemp -d)
node=
attack=

stop_attack() {
    [ -z "$attack" ] || kill "$attack" 2>/dev/null || true
    [ -z "$attack" ] || wait "$attack" 2>/dev/null || true
    attack=
}
stop() {
    stop_attack
    [ -z "$node" ] || kill "$node" 2>/dev/null || true
    [ -z "$node" ] || wait "$node" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT

need() { command -v "$1" >/dev/null || { echo "there is no $1: apt-get install $1" >&2; exit 1; }; }
open_connections() { ss -Htn state established 'sport = :18080' | wc -l; }

# good_client: asks without pause on a few connections; prints its median and 99th percentile in microseconds.
good_client() {
    wrk -t1 -c4 -d"${seconds}s" --latency http://127.0.0.1:18080/ | awk '
        function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1000 : t * 1000000 }
        $1 == "50%" { p50 = us($2) } $1 == "99%" { p99 = us($2) }
        END { printf "%d %d\n", p50, p99 }'
}

need slowhttptest
need wrk
[ -x "$binary" ] || { echo "no binary at $binary: run \`cargo build --release -p temps\` first" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" -gt "$((connections + 1000))" ] ||
    echo "the limit of open files, $(ulimit -n), holds fewer than $connections connections" >&2

export TEMPS_ADMIN_EMAIL=admin@example.com TEMPS_ADMIN_PASSWORD=slow-clients-password
export TEMPS_API_URL=http://127.0.0.1:13000 XDG_CONFIG_HOME=$folder/config
"$binary" serve --data-dir "$folder/data" --http 127.0.0.1:18080 --https off \
    --api 127.0.0.1:13000 --peer 127.0.0.1:13001 >"$folder/log" 2>&1 &
node=$!
for _ in $(seq 300); do
    curl -fsS -o /dev/null http://127.0.0.1:13000/readyz 2>/dev/null && break
    kill -0 "$node" || { tail -n 20 "$folder/log" >&2; exit 1; }
    sleep 0.1
done
echo "$TEMPS_ADMIN_PASSWORD" | "$binary" login "$TEMPS_API_URL" --email "$TEMPS_ADMIN_EMAIL" --password-stdin >/dev/null
[ -n "${CAPPED:-}" ] || "$binary" settings set "edge.connections_per_client_max=$((connections + 100))" >/dev/null

printf '%11s %10s %10s %10s %10s %7s\n' connections 'p50 alone' 'p99 alone' 'p50 with' 'p99 with' 'p99 ×'
for _ in $(seq "$rounds"); do
    read -r p50 p99 <<<"$(good_client)"
    slowhttptest -H -c "$connections" -r "$((connections / 2))" -i 2 -l $((seconds + 30)) -x 20 -p 5 \
        -u http://127.0.0.1:18080/ >"$folder/slowhttptest" 2>&1 &
    attack=$!
    # As many as it will get: until there are no more than a moment ago.
    last=-1
    while now=$(open_connections) && [ "$now" -gt "$last" ]; do last=$now && sleep 1; done
    read -r with50 with99 <<<"$(good_client)"
    printf '%11d %7d µs %7d µs %7d µs %7d µs %7s\n' "$last" "$p50" "$p99" "$with50" "$with99" \
        "$(echo "scale=2; $with99 / $p99" | bc)"
    stop_attack
    while [ "$(open_connections)" -gt 100 ]; do sleep 0.5; done
done
