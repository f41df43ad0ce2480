#!/usr/bin/env bash
# A cluster of three with a large state takes changes while a fourth node joins: the longest time between two
# acknowledged changes, before and during that. Prints figures beside their target and asserts nothing. As root; the node
# is the one in TEMPS_BIN, or it is built.
#
#   bench/newcomer.sh [MEGABYTES]      100
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
exec cargo run --release --locked --quiet --manifest-path "$REPOSITORY/Cargo.toml" -p temps-chaos-tests --example newcomer -- "$@"
