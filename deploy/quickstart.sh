#!/usr/bin/env bash
# From a bare Debian machine to a running node with the sample apps deployed on it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FOLDER=${TEMPS_QUICKSTART_DIR:-/var/lib/temps-quickstart}
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=node.sh
. "$HERE/node.sh"
# shellcheck source=binary.sh
. "$HERE/binary.sh"

RUN_PACKAGES=(curl git jq iproute2 iptables procps)

usage() {
    cat <<'TEXT'
Usage: deploy/quickstart.sh            build Temps, start a node, deploy the apps of deploy/samples/
       deploy/quickstart.sh --stop     end the node and its containers; everything stays on disk
       deploy/quickstart.sh --purge    the same, and remove all it has stored

Environment: TEMPS_QUICKSTART_DIR  where the node lives (/var/lib/temps-quickstart)
             TEMPS_BIN             a finished binary: nothing is built
             TEMPS_ADMIN_EMAIL, TEMPS_ADMIN_PASSWORD   the first admin (else a password is made and shown)
             CARGO_TARGET_DIR      where cargo builds
TEXT
}

# choose PUBLIC-PORT LOCAL-PORT: every address on the public port where it is free, else this machine alone.
choose() {
    if port_is_free "$1"; then
        printf '0.0.0.0:%s\n' "$1"
    else
        printf '127.0.0.1:%s\n' "$(free_port_from "$2")"
    fi
}

# need_node: one that runs is kept, unless it runs an older build.
need_node() {
    if node_runs "$FOLDER" && ! node_is_outdated "$FOLDER"; then
        say "  -     the node runs already (pid $(<"$FOLDER/node.pid"))"
        return
    fi
    if node_runs "$FOLDER"; then
        step 'stop the node of an older build' stop_node "$FOLDER"
    fi
    keep_addresses "$FOLDER" "$(choose 80 8080)" "$(choose 443 8443)" "127.0.0.1:$(free_port_from 3000)" "$(choose 3001 3101)"
    STEP_HINT="read $FOLDER/node.log" step 'start the node' start_node "$FOLDER"
}

# samples: the folders under deploy/samples/, by name.
samples() { find "$HERE/samples" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

# Base images: the samples' presets start from these, and one sample from its own Dockerfile's.
need_base_images() {
    "$HERE/base-images.sh" node:22-slim python:3.12-slim golang:1.24-bookworm
    "$HERE/base-images.sh" --for "$HERE/samples/dockerfile"
}

# answers PROJECT: the app's front page comes through the edge.
answers() { through_edge "$FOLDER" "$(app_url "$FOLDER" "$1")" -f -o /dev/null; }

deploy_sample() {
    client "$FOLDER" deploy "$HERE/samples/$1" --project "$1"
    wait_until 20 answers "$1" || answers "$1"
}

# print_summary: the password is shown once, then forgotten.
print_summary() {
    local project url api
    api=$(api_url "$FOLDER")
    printf '\nApps\n'
    for project in $(samples); do
        url=$(app_url "$FOLDER" "$project")
        printf '  %-14s %s\n' "$project" "$url"
    done
    cat <<TEXT

Node
  API            $api/api
  API reference  $api/swagger-ui/
  admin          $ADMIN_EMAIL
  password       $(shown_password)
  log            $FOLDER/node.log

Next
  $TEMPS_BIN login $api --email $ADMIN_EMAIL
  $TEMPS_BIN deploy path/to/your/app
  deploy/quickstart.sh --stop
TEXT
    rm -f "$FOLDER/password"
}

shown_password() {
    if [[ -s $FOLDER/password ]]; then
        printf '%s   (shown this once)\n' "$(<"$FOLDER/password")"
    else
        printf 'as shown at the first start\n'
    fi
}

up() {
    need_root
    mkdir -p "$FOLDER"
    chmod 700 "$FOLDER"
    apt_install_missing "${RUN_PACKAGES[@]}"
    need_docker_engine
    start_dockerd_if_nothing_else_does "$FOLDER"
    need_binary
    need_node
    STEP_HINT="start over: $0 --purge, then $0" step 'log in' log_in "$FOLDER"
    need_base_images
    local project
    for project in $(samples); do
        STEP_HINT="$TEMPS_BIN deployments --project $project" step "deploy $project" deploy_sample "$project"
    done
    print_summary
}

# binary_of_running_node: `--stop` must find it without building anything.
binary_of_running_node() {
    local binary=''
    [[ ! -s $FOLDER/node.pid ]] || binary=$(readlink "/proc/$(<"$FOLDER/node.pid")/exe" || true)
    binary=${binary% (deleted)}
    printf '%s\n' "${TEMPS_BIN:-${binary:-temps}}"
}

down() {
    need_root
    TEMPS_BIN=$(binary_of_running_node)
    step 'stop the node' stop_node "$FOLDER"
    if docker_answers; then
        step 'remove its containers' remove_node_containers "$FOLDER/data"
    fi
    [[ -n ${KEEP_DOCKERD:-} ]] || stop_our_dockerd
}

stop_our_dockerd() {
    pid_runs "$FOLDER/dockerd.pid" dockerd || return 0
    step 'stop dockerd, which quickstart had started' stop_pid "$FOLDER/dockerd.pid" dockerd 30
}

# purge: only a folder that has held a node of ours is removed.
purge() {
    [[ -d $FOLDER ]] || { say "there is no $FOLDER" && return; }
    [[ -f $FOLDER/addresses ]] || die "$FOLDER does not look like quickstart's own folder" 'set TEMPS_QUICKSTART_DIR'
    docker_answers || start_dockerd_if_nothing_else_does "$FOLDER"
    KEEP_DOCKERD=yes down
    step 'remove its images' remove_node_images "$FOLDER/data"
    stop_our_dockerd
    rm -rf "$FOLDER"
    say "removed $FOLDER"
}

case ${1:-} in
'') up ;;
--stop) down ;;
--purge) purge ;;
-h | --help) usage ;;
*) die "unknown argument $1" "$0 --help" ;;
esac
