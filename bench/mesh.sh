#!/usr/bin/env bash
# Throughput and latency of streams between nodes, beside plain TCP, on loopback. Prints figures and asserts nothing.
#
#   bench/mesh.sh
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --release --quiet -p temps-mesh --example throughput
