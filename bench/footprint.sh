#!/usr/bin/env bash
# Size of the release binary, memory of an idle node, and time from start to serving with an existing data folder.
# Prints figures beside their targets and asserts nothing: times belong to the machine.
#
#   bench/footprint.sh [path to temps]
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/release/temps}
starts=5
folder=$(mktemp -d)
pid=

stop() {
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        pid=
    fi
}
trap 'stop; rm -rf "$folder"' EXIT

now_ms() { echo $(($(date +%s%N) / 1000000)); }

serve() {
    TEMPS_ADMIN_EMAIL=admin@example.com TEMPS_ADMIN_PASSWORD=footprint-password \
        "$binary" serve --data-dir "$folder/data" --http 127.0.0.1:18080 --https off \
        --api 127.0.0.1:13000 --peer 127.0.0.1:13001 >"$folder/log" 2>&1 &
    pid=$!
}

wait_ready() {
    local tries=1500
    until curl -fsS -o /dev/null http://127.0.0.1:13000/readyz 2>/dev/null; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
            echo "the node did not become ready; its last lines:" >&2
            tail -n 20 "$folder/log" >&2
            exit 1
        fi
        sleep 0.01
    done
}

[ -x "$binary" ] || { echo "no binary at $binary: run \`cargo build --release -p temps\` first" >&2; exit 1; }
serve && wait_ready && stop

times=()
for _ in $(seq "$starts"); do
    began=$(now_ms)
    serve && wait_ready
    times+=($(($(now_ms) - began)))
    stop
done

serve && wait_ready
sleep 10 # idle, so that start-up's allocations are returned
resident=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
proportional=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")
before=$(awk '{print $14 + $15}' "/proc/$pid/stat")
sleep 10
after=$(awk '{print $14 + $15}' "/proc/$pid/stat")
size=$(stat -c %s "$binary")

printf '%-34s %10s   target\n' measure value
printf '%-34s %7.1f MB   ≤ 60 MB\n' 'binary' "$(echo "$size / 1000000" | bc -l)"
printf '%-34s %7.1f MB   ≤ 50 MB\n' 'idle resident memory' "$(echo "$resident / 1000" | bc -l)"
printf '%-34s %7.1f MB\n' 'idle proportional memory' "$(echo "$proportional / 1000" | bc -l)"
printf '%-34s %7s ms   ≤ 1000 ms\n' "start to ready (median of $starts)" \
    "$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$((starts / 2 + 1))p")"
printf '%-34s %7s ms\n' 'idle processor time per second' "$(((after - before) * 10 / 10))"
