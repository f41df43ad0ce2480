# shellcheck shell=bash
# One node in a folder of its own: started, asked, stopped. Sourced after lib.sh by quickstart and the
# end-to-end tests. The folder holds:
#   data/      the node's --data-dir      client/    the CLI's configuration, so that nobody's own login is touched
#   node.pid   node.log                   addresses  where the node listens, one line for each flag
#   password   the admin's, until it has been shown

ADMIN_EMAIL=${TEMPS_ADMIN_EMAIL:-admin@localho.st}
# How long a node may take to answer /readyz. Seconds.
READY_SECONDS=60
# How long it may take to drain and end. Seconds.
STOP_SECONDS=40

# process_name BINARY: what the kernel calls its processes.
process_name() { basename "$1" | cut -c1-15; }

# node_binary FOLDER: what the node is started from.
node_binary() { printf '%s\n' "$TEMPS_BIN"; }

# follow_upgrades FOLDER: an upgrade starts a process beside the one of the pid file; the data folder's lock names it.
follow_upgrades() {
    local pid
    pid=$(cat "$1/data/lock" 2>/dev/null) || return 0
    [[ $(tr '\0' ' ' 2>/dev/null <"/proc/${pid:-none}/cmdline") == *" --data-dir $1/data "* ]] || return 0
    printf '%s\n' "$pid" >"$1/node.pid"
}

node_runs() {
    follow_upgrades "$1"
    pid_runs "$1/node.pid" "$(process_name "$TEMPS_BIN")"
}

# node_is_outdated FOLDER: the binary has been built anew since the node started.
node_is_outdated() { [[ $(readlink "/proc/$(<"$1/node.pid")/exe") != "$(readlink -f "$TEMPS_BIN")" ]]; }

node_is_ready() { curl -fsS -o /dev/null --max-time 2 "$(api_url "$1")/readyz"; }

# keep_addresses FOLDER HTTP HTTPS API [PEER]
keep_addresses() {
    mkdir -p "$1"
    printf 'http %s\nhttps %s\napi %s\n' "$2" "$3" "$4" >"$1/addresses"
    [[ -z ${5:-} ]] || printf 'peer %s\n' "$5" >>"$1/addresses"
}

# address FOLDER FLAG
address() { awk -v flag="$2" '$1 == flag { print $2 }' "$1/addresses"; }

api_url() { printf 'http://%s\n' "$(address "$1" api)"; }
edge_port() { address "$1" http | sed 's/.*://'; }

new_password() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# admin_password FOLDER: made once, readable by its owner alone.
admin_password() {
    if [[ ! -s $1/password ]]; then
        (umask 077 && printf '%s\n' "${TEMPS_ADMIN_PASSWORD:-$(new_password)}" >"$1/password")
    fi
    cat "$1/password"
}

# launch_node FOLDER [COMMAND…]: `serve` when no other command of the binary is given.
# The password goes through the environment, where `ps` does not show it.
launch_node() {
    local folder=$1 flag address flags=()
    shift
    mkdir -p "$folder/data"
    # Only an empty data folder needs an admin; later starts must not carry a password around.
    if (($# == 0)) && [[ -z $(ls -A "$folder/data") ]]; then
        TEMPS_ADMIN_PASSWORD=$(admin_password "$folder")
        export TEMPS_ADMIN_EMAIL=$ADMIN_EMAIL TEMPS_ADMIN_PASSWORD
    else
        unset TEMPS_ADMIN_PASSWORD
    fi
    (($# > 0)) || set -- serve
    while read -r flag address; do flags+=("--$flag" "$address"); done <"$folder/addresses"
    spawn "$folder" "$(node_binary "$folder")" "$@" --data-dir "$folder/data" "${flags[@]}" \
        --base-images "$(dirname "${BASH_SOURCE[0]}")/base-images.sh"
}

# spawn FOLDER COMMAND…: starts the node's process, apart from this script; node.pid gets its number.
spawn() {
    NO_COLOR=1 setsid nohup "${@:2}" >>"$1/node.log" 2>&1 </dev/null 9>&- &
    printf '%s\n' $! >"$1/node.pid"
}

# start_node FOLDER [COMMAND…]: returns when the node is ready; shows the end of its log when it is not.
start_node() {
    launch_node "$@"
    if ! wait_until "$READY_SECONDS" node_is_ready_or_dead "$1" || ! node_is_ready "$1"; then
        printf 'the node did not become ready; the end of %s:\n' "$1/node.log"
        tail -n "$STEP_LOG_TAIL" "$1/node.log"
        return 1
    fi
}

# A node that ended will never be ready: no use in waiting on.
# By its pid alone: until it runs the binary, the process has another name.
node_is_ready_or_dead() { node_is_ready "$1" || pid_is_gone "$(<"$1/node.pid")"; }

stop_node() {
    follow_upgrades "$1"
    stop_pid "$1/node.pid" "$(process_name "$TEMPS_BIN")" "$STOP_SECONDS"
}

# client FOLDER COMMAND…: the CLI against this node, with this folder's login.
client() {
    local folder=$1
    shift
    XDG_CONFIG_HOME="$folder/client" "$TEMPS_BIN" "$@"
}

# log_in FOLDER: nothing to do when an earlier login still holds.
log_in() {
    mkdir -p "$1/client"
    client "$1" status >/dev/null 2>&1 && return
    [[ -s $1/password ]] || {
        printf 'the login of this folder is gone and its password has been shown already\n'
        return 1
    }
    client "$1" login "$(api_url "$1")" --email "$ADMIN_EMAIL" --password-stdin <"$1/password"
}

# app_url FOLDER PROJECT: the address of its production environment.
app_url() {
    client "$1" projects show "$2" --json |
        jq -er '[.environments[] | select(.kind.type == "production")][0].url'
}

# host_of URL, port_of URL
host_of() { sed -E 's,^[a-z]+://([^:/]+).*,\1,' <<<"$1"; }

# through_edge FOLDER URL [CURL OPTION…]: asks this node's edge, whatever the name resolves to elsewhere.
through_edge() {
    local folder=$1 url=$2 host port
    shift 2
    host=$(host_of "$url")
    port=$(edge_port "$folder")
    curl -sS --max-time 20 --connect-to "$host::127.0.0.1:$port" "$@" "$url"
}
