#!/usr/bin/env bash
# Placements per second of 10,000 replicas on 1,000 simulated nodes, as a pure function and committed to a real log.
# Prints figures and asserts nothing.
#
#   bench/placement.sh
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --release --quiet -p temps-scheduler --example placement
