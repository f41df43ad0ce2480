#!/usr/bin/env bash
# Runs every end-to-end story of this folder, in order, against the binary TEMPS_BIN (built when not given).
# Usage: deploy/e2e/run.sh [STORY…]
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../lib.sh
. "$HERE/../lib.sh"

# How long one story may take. Seconds.
STORY_SECONDS=${TEMPS_STORY_SECONDS:-900}

if [[ -z ${TEMPS_BIN:-} ]]; then
    (cd "$HERE/../.." && cargo build --locked -p temps)
    TEMPS_BIN=${CARGO_TARGET_DIR:-$HERE/../../target}/debug/temps
fi
TEMPS_BIN=$(readlink -f "$TEMPS_BIN")
RESULTS=${RESULTS:-$(mktemp "${TMPDIR:-/tmp}/temps-e2e-results.XXXXXX")}
export TEMPS_BIN RESULTS

# run_story FILE: a story that ends early has failed too, whatever it had checked until then.
run_story() {
    local name rc=0 began
    name=$(basename "$1" .sh)
    began=$(now_ms)
    say "$name"
    timeout --foreground "$STORY_SECONDS" "$1" || rc=$?
    if ((rc != 0)); then
        say "  ${RED}not ok${PLAIN} $name ended early (exit code $rc, after $(seconds_since "$began") s)"
        printf 'not ok %s ran to its end\n' "$name" >>"$RESULTS"
    fi
}

stories=("$@")
((${#stories[@]} > 0)) || mapfile -t stories < <(find "$HERE" -maxdepth 1 -name '[0-9]*.sh' -executable | sort)
((${#stories[@]} > 0)) || die "there is no story in $HERE"
for story in "${stories[@]}"; do run_story "$(readlink -f "$story")"; done

passed=$(grep -c '^ok ' "$RESULTS" || true)
failed=$(grep -c '^not ok ' "$RESULTS" || true)
say "end-to-end: $passed passed, $failed failed"
((failed == 0))
