#!/usr/bin/env bash
# Feeds what strangers may send to the parsers that read it, and fails with the input where one breaks.
# Usage: deploy/fuzz.sh [SECONDS] [TARGET…]      each target runs for SECONDS (60); all of fuzz/ without TARGET
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"

CARGO_FUZZ=0.13.1
# Bounds of one run: its memory, one input, and the time that one input may take.
MEMORY_MIB=1024
INPUT_BYTES=4096
INPUT_SECONDS=10
# Inputs that are kept between runs, per target.
KEPT=500
HERE_FUZZ=$HERE/../fuzz
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/temps/target}
CORPORA=${XDG_CACHE_HOME:-$HOME/.cache}/temps/fuzz
# libFuzzer's counters are in the stable compiler; that the flags are called unstable is all there is to it.
export RUSTC_BOOTSTRAP=1

install_cargo_fuzz() {
    [[ $(cargo fuzz --version 2>/dev/null) == "cargo-fuzz $CARGO_FUZZ" ]] ||
        step "install cargo-fuzz $CARGO_FUZZ" cargo install --locked --force --version "$CARGO_FUZZ" cargo-fuzz
}

# fuzz SUBCOMMAND ARGUMENT…
fuzz() {
    cargo fuzz "$1" --fuzz-dir "$HERE_FUZZ" --sanitizer none --codegen-units 16 "${@:2}"
}

# run TARGET SECONDS: what it finds on its way stays outside the tree.
run() {
    local target=$1 corpus=$CORPORA/$1/corpus crashes=$CORPORA/$1/crashes
    mkdir -p "$corpus" "$crashes"
    find "$crashes" -type f -delete
    # The newest inputs are the ones that reached something new.
    find "$corpus" -type f -printf '%T@ %p\n' | sort -rn | tail -n "+$((KEPT + 1))" | cut -d' ' -f2- | xargs -r -d '\n' rm -f
    if fuzz run "$target" "$corpus" "$HERE_FUZZ/seeds/$target" -- -max_total_time="$2" -rss_limit_mb="$MEMORY_MIB" \
        -max_len="$INPUT_BYTES" -timeout="$INPUT_SECONDS" -artifact_prefix="$crashes/" -print_final_stats=1 \
        >"$CORPORA/$target/log" 2>&1; then
        say "   ${GREEN}ok${PLAIN} $target: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$CORPORA/$target/log") inputs"
        return
    fi
    grep -vE '^(#|NEW_FUNC|INFO)' "$CORPORA/$target/log" | tail -40
    find "$crashes" -type f -print -exec xxd {} \;
    say "   ${RED}failed${PLAIN} $target"
    return 1
}

main() {
    local seconds=60 failed=0 target began
    local -a targets
    case ${1:-} in
    *[!0-9]*) die "unknown argument $1" "$0 [SECONDS] [TARGET…]" ;;
    '') ;;
    *) seconds=$1 && shift ;;
    esac
    targets=("$@")
    install_cargo_fuzz
    began=$(now_ms)
    say '== build of the fuzz targets'
    fuzz build
    say "   built in $(seconds_since "$began") s"
    ((${#targets[@]})) || mapfile -t targets < <(find "$HERE_FUZZ/fuzz_targets" -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | sort)
    for target in "${targets[@]}"; do
        run "$target" "$seconds" || failed=1
    done
    return "$failed"
}

main "$@"
