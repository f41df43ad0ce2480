# shellcheck shell=bash
# What every end-to-end story starts with: a node of its own on free ports, and `check`.
#
#   #!/usr/bin/env bash
#   . "$(dirname "$0")/lib.sh"
#   new_node
#   check 'a static site is served' deploys static-site
#
# A check is a function or command that succeeds. It runs in a subshell with errexit on, so every line of it
# must succeed. Stories set no traps: this file ends the node and removes its containers, come what may.
set -euo pipefail

DEPLOY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SAMPLES=$DEPLOY/samples
: "${TEMPS_BIN:?set TEMPS_BIN to the binary under test, or use deploy/e2e/run.sh}"
STORY_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/temps-e2e.XXXXXX")
STEP_LOG=$STORY_FOLDER/story.log
: >"$STEP_LOG"
# Nothing of the caller's own login reaches the node under test.
unset TEMPS_API_URL TEMPS_API_TOKEN TEMPS_ADMIN_EMAIL TEMPS_ADMIN_PASSWORD
# shellcheck source=../lib.sh
. "$DEPLOY/lib.sh"
# shellcheck source=../node.sh
. "$DEPLOY/node.sh"

# Where results are counted: a line "ok NAME" or "not ok NAME" each; run.sh gives one file to all stories.
RESULTS=${RESULTS:-$STORY_FOLDER/results}
NODES=()
# Commands that undo what a story did to the machine, run last come first.
UNDO=()
# How many of this story's checks failed.
STORY_FAILED=0
# How many lines of a node's log a failed check shows.
NODE_LOG_TAIL=15

# clean_up: stops every node of the story, removes its containers and images; the folder stays when a check failed.
clean_up() {
    local rc=$? node undo
    for node in "${NODES[@]}"; do
        stop_node "$node"
        remove_node_containers "$node/data" || true
        remove_node_images "$node/data" || true
    done
    for undo in "${UNDO[@]}"; do eval "$undo" >/dev/null 2>&1 || true; done
    if ((rc == 0 && STORY_FAILED == 0)); then
        rm -rf "$STORY_FOLDER"
    else
        printf '  kept for reading: %s\n' "$STORY_FOLDER" >&2
    fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# at_end COMMAND…: runs it when the story ends, after its nodes have; the last one first.
at_end() { UNDO=("${*@Q}" "${UNDO[@]}"); }

# new_node [NAME]: a node in a folder of its own, logged in; sets NODE.
new_node() {
    local port
    NODE=$STORY_FOLDER/${1:-node}
    NODES+=("$NODE")
    port=$(free_port_from $((20000 + $$ * 10 % 10000)))
    keep_addresses "$NODE" "127.0.0.1:$port" "127.0.0.1:$(free_port_from $((port + 1)))" "127.0.0.1:$(free_port_from $((port + 2)))" "127.0.0.1:$(free_port_from $((port + 3)))"
    step "start a node on port $port" start_node "$NODE"
    step 'log in' log_in "$NODE"
}

# restart_node: the same folder, as after a reboot.
restart_node() {
    stop_node "$NODE"
    start_node "$NODE"
}

# check NAME COMMAND…: counts, and goes on after a failure.
check() {
    local name=$1 began rc mark
    shift
    began=$(now_ms)
    mark=$(wc -l <"$STEP_LOG")
    set +e
    (
        set -e
        trap - EXIT
        "$@"
    ) >>"$STEP_LOG" 2>&1
    rc=$?
    set -e
    if ((rc == 0)); then
        printf '  %sok%s     %s (%s s)\n' "$GREEN" "$PLAIN" "$name" "$(seconds_since "$began")"
        printf 'ok %s\n' "$name" >>"$RESULTS"
    else
        printf '  %snot ok%s %s (exit code %s)\n' "$RED" "$PLAIN" "$name" "$rc"
        printf 'not ok %s\n' "$name" >>"$RESULTS"
        STORY_FAILED=$((STORY_FAILED + 1))
        show_failure "$mark"
    fi
}

# show_failure LINES-BEFORE: what the check printed, and what the nodes said last.
show_failure() {
    local node
    tail -n "+$(($1 + 1))" "$STEP_LOG" | tail -n "$STEP_LOG_TAIL" | sed 's/^/    | /'
    for node in "${NODES[@]}"; do
        tail -n "$NODE_LOG_TAIL" "$node/node.log" | sed "s,^,    ${node##*/}: ,"
    done
}

# temps COMMAND…: the CLI against $NODE.
temps() { client "$NODE" "$@"; }

# api METHOD PATH [CURL OPTION…]: a REST request with the login's API key; PATH comes after /api.
api() {
    local key
    key=$(jq -er '.contexts[].key' "$NODE/client/temps/config.json")
    curl -sS --max-time 30 -X "$1" -H "Authorization: Bearer $key" "${@:3}" "$(api_url "$NODE")/api$2"
}

# api_json METHOD PATH JSON [CURL OPTION…]
api_json() { api "$1" "$2" -H 'Content-Type: application/json' --data "$3" "${@:4}"; }

# ask URL [CURL OPTION…]: through $NODE's edge.
ask() { through_edge "$NODE" "$@"; }

# status_of URL [CURL OPTION…]: the HTTP status of the answer.
status_of() { ask "$@" -o /dev/null -w '%{http_code}'; }

# ask_app PROJECT [PATH [CURL OPTION…]]: its production environment.
ask_app() {
    local url
    url=$(app_url "$NODE" "$1")
    ask "${url%/}${2:-/}" "${@:3}"
}

# deploys SAMPLE: a copy of a folder of deploy/samples/, under its own name.
deploys() {
    local folder=$STORY_FOLDER/samples/$1
    mkdir -p "$STORY_FOLDER/samples"
    [[ -d $folder ]] || cp -r "$SAMPLES/$1" "$folder"
    temps deploy "$folder" --project "$1"
}

# write_app FOLDER VERSION: a copy of the app that the stories deploy, which answers `/` with its version.
write_app() {
    mkdir -p "$1"
    cp -r "$DEPLOY/e2e/app/." "$1/"
    printf '%s\n' "$2" >"$1/version"
}

# deploys_app PROJECT VERSION [DEPLOY OPTION…]
deploys_app() {
    write_app "$STORY_FOLDER/apps/$1" "$2"
    temps deploy "$STORY_FOLDER/apps/$1" --project "$1" "${@:3}"
}

# answers PROJECT VERSION: that version of the app is the one that is served.
answers() { is "$(ask_app "$1" / -f)" "$2"; }

# newest PROJECT: its newest deployment, as REST answers it.
newest() { api GET "/projects/$1/deployments?limit=1" | field '.items[0]'; }

# phase_is PROJECT PHASE: of the newest deployment.
phase_is() { is "$(newest "$1" | field .phase)" "$2"; }

# wait_for SECONDS COMMAND…: wait_until, and the command's own words when the time is over.
wait_for() { wait_until "$@" || "${@:2}"; }

# field JSON-FILTER: of the JSON on the standard input, which must have it.
field() { jq -er "$1"; }

# containers PROJECT: the ids of the containers that $NODE runs for it.
containers() {
    docker ps -q --no-trunc --filter "label=sh.temps.data-dir=$NODE/data" --filter "label=sh.temps.project=$1"
}

# exits_with CODE COMMAND…
exits_with() {
    local wanted=$1 rc=0
    shift
    "$@" || rc=$?
    [[ $rc == "$wanted" ]] || {
        printf 'exit code %s, wanted %s: %s\n' "$rc" "$wanted" "$*"
        return 1
    }
}

# has TEXT: the standard input contains it. Shows the input when not.
has() {
    local input
    input=$(cat)
    [[ $input == *"$1"* ]] || {
        printf 'wanted %q in:\n%s\n' "$1" "$input"
        return 1
    }
}

# is VALUE WANTED
is() {
    [[ $1 == "$2" ]] || {
        printf 'got %q, wanted %q\n' "$1" "$2"
        return 1
    }
}
