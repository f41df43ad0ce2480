# shellcheck shell=bash
# The binary that a script runs: the one in TEMPS_BIN, or one that is built here. Sourced after lib.sh.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD_PACKAGES=(build-essential cmake pkg-config protobuf-compiler git curl ca-certificates)

target_folder() { printf '%s\n' "${CARGO_TARGET_DIR:-$REPOSITORY/target}"; }

need_cargo() {
    [[ -d $HOME/.cargo/bin ]] && PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null && return
    if command -v rustup >/dev/null; then
        step 'install the stable Rust toolchain' rustup toolchain install stable --profile minimal
        return
    fi
    die "there is no cargo, and Debian's Rust is too old for Temps" \
        'install Rust from https://rustup.rs and run this again; or give a finished binary: TEMPS_BIN=/path/to/temps'
}

build() {
    cargo build --release --locked --manifest-path "$REPOSITORY/Cargo.toml" -p temps
}

# need_binary: sets TEMPS_BIN.
need_binary() {
    if [[ -n ${TEMPS_BIN:-} ]]; then
        TEMPS_BIN=$(readlink -f "$TEMPS_BIN")
        [[ -x $TEMPS_BIN ]] || die "TEMPS_BIN is no program: $TEMPS_BIN" 'unset it, and one is built'
        return
    fi
    apt_install_missing "${BUILD_PACKAGES[@]}"
    need_cargo
    "$REPOSITORY/deploy/web.sh"
    say '  …     the release build takes some minutes the first time'
    STEP_HINT='fix what cargo says above, then run this again: it goes on where it stopped' \
        step 'build temps' build
    TEMPS_BIN=$(target_folder)/release/temps
}
