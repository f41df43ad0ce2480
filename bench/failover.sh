#!/usr/bin/env bash
# A cluster of three on this machine whose leader is killed again and again, under load: write gaps, acknowledged writes
# that are missing, failed requests, and each idle node's memory. Prints figures beside their targets, and fails only
# when something was lost. As root; the node is the one in TEMPS_BIN, or it is built.
#
#   bench/failover.sh [KILLS] [RATE]      20 kills, 300 requests a second
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../deploy/lib.sh
. "$HERE/../deploy/lib.sh"
# shellcheck source=../deploy/binary.sh
. "$HERE/../deploy/binary.sh"

need_root
need_binary
export TEMPS_BIN
need_cargo
exec cargo run --release --locked --quiet --manifest-path "$REPOSITORY/Cargo.toml" -p temps-chaos-tests --example failover -- "$@"
