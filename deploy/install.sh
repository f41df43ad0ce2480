#!/usr/bin/env bash
# Installs a built temps as a systemd service: program, unit, settings. Running it again upgrades.
# Usage: deploy/install.sh [BINARY]      (target/release/temps when not given)
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"

BINARY=${1:-${CARGO_TARGET_DIR:-$HERE/../target}/release/temps}
SETTINGS=/etc/temps/temps.env
# A folder of its own: the node may write there, and replaces the program when it is upgraded.
PROGRAM=/usr/local/lib/temps/temps

# Both are replaced in one step, so that a start in between finds the old one or the new one.
put_program() {
    install -D -m 755 "$BINARY" "$PROGRAM.new"
    mv "$PROGRAM.new" "$PROGRAM"
    ln -sf "$PROGRAM" /usr/local/bin/temps.new
    mv -T /usr/local/bin/temps.new /usr/local/bin/temps
}

put_settings() {
    install -d -m 700 /etc/temps
    [[ -f $SETTINGS ]] || install -m 600 /dev/null "$SETTINGS"
}

put_unit() {
    install -m 644 "$HERE/temps.service" /etc/systemd/system/temps.service
    systemctl daemon-reload
    systemctl enable temps.service
}

need_root
[[ -x $BINARY ]] || die "there is no program at $BINARY" 'cargo build --release --locked -p temps; or name it: deploy/install.sh PATH'
[[ -d /run/systemd/system ]] || die 'systemd does not run here' 'deploy/quickstart.sh starts a node without it'
need_docker_engine
step "install $PROGRAM" put_program
step "keep settings in $SETTINGS" put_settings
step 'install temps.service' put_unit
STEP_HINT='journalctl -u temps -n 50' step 'start the node' systemctl restart temps.service
say 'the node runs; its first start printed the admin'\''s password: journalctl -u temps | grep -i password'
