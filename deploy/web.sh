#!/usr/bin/env bash
# Builds the dashboard into web/dist/, which the next `cargo build` makes part of the binary. Nothing is done again that
# is done already.
# Usage: deploy/web.sh [--check]      --check also runs its lints, types and tests
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=javascript.sh
. "$HERE/javascript.sh"

WEB=$(realpath "$HERE/../web")
# What the last build was made of.
BUILT_FROM=$WEB/node_modules/.built-from

install_packages() {
    [[ $WEB/node_modules/.package-lock.json -nt $WEB/package-lock.json ]] ||
        npm --prefix "$WEB" ci --no-audit --no-fund
}

# sources: a digest of everything that the build reads.
sources() {
    (cd "$WEB" && find src public scripts index.html openapi.json package-lock.json package.json vite.config.ts \
        -type f ! -name schema.d.ts -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

build() {
    [[ -f $WEB/dist/index.html && $(cat "$BUILT_FROM" 2>/dev/null) == "$(sources)" ]] && return
    npm --prefix "$WEB" run build
    sources >"$BUILT_FROM"
}

main() {
    case ${1:-} in
    '' | --check) ;;
    *) die "unknown argument $1" "$0 [--check]" ;;
    esac
    need_node_js
    STEP_HINT='npm must reach its registry; without web/dist the binary is built all the same, without a dashboard' \
        step 'packages of the dashboard' install_packages
    step 'build the dashboard' build
    [[ -z ${1:-} ]] || npm --prefix "$WEB" run check
}

main "$@"
