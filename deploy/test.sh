#!/usr/bin/env bash
# Every check of this repository: formatting, lints, the dashboard, dependency rules, Rust tests, shell scripts, end-to-end tests.
# Usage: deploy/test.sh [--quick]      --quick leaves out the end-to-end tests and the fuzzing
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"

TOOL_PACKAGES=(
    build-essential cmake pkg-config protobuf-compiler git curl ca-certificates
    jq zstd iproute2 iptables procps strace wrk nghttp2-client shellcheck openssh-client openssl pebble
    bind9-dnsutils knot xxd chromium python3 libfaketime
)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/temps/target}
# Where dockerd's log and pid go when it is we who start it.
SERVICES=${XDG_CACHE_HOME:-$HOME/.cache}/temps/services
WORK=$(mktemp -d "${TMPDIR:-/tmp}/temps-test.XXXXXX")
PASSED=0
FAILED=0
FAILURES=()
FUZZING=''

# cargo_tool NAME: Debian has none of them.
cargo_tool() {
    command -v "$1" >/dev/null || STEP_HINT="cargo install --locked $1" step "install $1" cargo install --locked "$1"
}

install_tools() {
    need_root
    apt_install_missing "${TOOL_PACKAGES[@]}"
    [[ -d $HOME/.cargo/bin ]] && PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null || die 'there is no cargo' 'install Rust from https://rustup.rs and run this again'
    cargo_tool cargo-nextest
    cargo_tool cargo-deny
    need_docker_engine
    start_dockerd_if_nothing_else_does "$SERVICES"
}

passes() { PASSED=$((PASSED + 1)); }

fails() {
    FAILED=$((FAILED + 1))
    FAILURES+=("$1")
}

# gate TITLE COMMAND…: one check, its output shown as it comes; a failure is counted and the next gate runs.
gate() {
    local title=$1 began
    shift
    began=$(now_ms)
    say "== $title"
    if "$@"; then
        say "   ${GREEN}ok${PLAIN} $title ($(seconds_since "$began") s)"
        passes
    else
        say "   ${RED}failed${PLAIN} $title ($(seconds_since "$began") s)"
        fails "$title"
    fi
}

# dependency_rules: the advisories need a database from outside; what the tree itself decides never does.
dependency_rules() {
    local output
    if output=$(cargo deny --locked check advisories 2>&1); then
        say '   advisories: none that is not explained in deny.toml'
    elif grep -q 'failed to fetch advisory database' <<<"$output"; then
        say '   advisories: not checked, for their database cannot be fetched here'
    else
        printf '%s\n' "$output"
        return 1
    fi
    cargo deny --locked check bans licenses sources
}

shell_scripts() {
    find "$HERE" -name '*.sh' -print0 | xargs -0 shellcheck -x --source-path=SCRIPTDIR "$HERE/../.ci/run"
}

# number_before WORD FILE: "… 12 passed, 1 failed …" gives 12 for passed; 0 when the word is missing.
number_before() { sed -nE "s/^ *Summary .*[^0-9]([0-9]+) $1.*/\1/p" "$2" | tail -1 | grep . || echo 0; }

# rust_tests: counted by nextest's own summary, one by one.
rust_tests() {
    local rc=0 failed
    say '== Rust tests'
    NO_COLOR=1 CARGO_TERM_COLOR=never cargo nextest run --workspace --locked --no-fail-fast 2>&1 | tee "$WORK/nextest" || rc=$?
    PASSED=$((PASSED + $(number_before passed "$WORK/nextest")))
    failed=$(($(number_before failed "$WORK/nextest") + $(number_before 'timed out' "$WORK/nextest")))
    # A build that fails has no summary, and is a failure all the same.
    if ((rc != 0 && failed == 0)); then failed=1; fi
    if ((failed > 0)); then
        FAILED=$((FAILED + failed))
        FAILURES+=("$failed of the Rust tests")
    fi
}

# start_fuzzing: a minute for each target, beside the end-to-end tests and behind them.
start_fuzzing() {
    nice -n 19 "$HERE/fuzz.sh" >"$WORK/fuzz" 2>&1 &
    FUZZING=$!
}

finish_fuzzing() {
    local rc=0
    wait "$FUZZING" || rc=$?
    cat "$WORK/fuzz"
    return "$rc"
}

# end_to_end: the binary, as the Rust tests had it built, then the stories.
end_to_end() {
    local rc=0 failed
    say '== end-to-end tests'
    if ! cargo test --locked --workspace --no-run --quiet; then
        fails 'the build of the binary for the end-to-end tests'
        return
    fi
    : >"$WORK/e2e"
    TEMPS_BIN=$CARGO_TARGET_DIR/debug/temps RESULTS=$WORK/e2e "$HERE/e2e/run.sh" || rc=$?
    PASSED=$((PASSED + $(grep -c '^ok ' "$WORK/e2e" || true)))
    failed=$(grep -c '^not ok ' "$WORK/e2e" || true)
    if ((rc != 0 && failed == 0)); then failed=1; fi
    if ((failed > 0)); then
        FAILED=$((FAILED + failed))
        FAILURES+=("$failed of the end-to-end checks")
    fi
}

main() {
    local quick='' failure
    case ${1:-} in
    '') ;;
    --quick) quick=yes ;;
    *) die "unknown argument $1" "$0 [--quick]" ;;
    esac
    install_tools
    cd "$HERE/.."
    gate 'formatting' cargo fmt --check
    gate 'shell scripts' shell_scripts
    gate 'dashboard' "$HERE/web.sh" --check
    gate 'lints' cargo clippy --workspace --all-targets --locked -- -D warnings
    gate 'dependency rules' dependency_rules
    STEP_HINT="read what deploy/base-images.sh printed" step 'base images' \
        "$HERE/base-images.sh" node:22-slim python:3.12-slim golang:1.24-bookworm debian:bookworm-slim
    rust_tests
    if [[ -z $quick ]]; then
        start_fuzzing
        end_to_end
        gate 'fuzzing' finish_fuzzing
    fi
    rm -rf "$WORK"
    for failure in "${FAILURES[@]}"; do say "failed: $failure"; done
    say "$PASSED passed, $FAILED failed"
    ((FAILED == 0))
}

main "$@"
