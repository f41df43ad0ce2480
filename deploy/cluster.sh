#!/usr/bin/env bash
# A cluster on one machine: every node on a machine of its own (machines.sh). For people who try a cluster out, and for
# the tests of chaos-tests/, which call the same commands.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FOLDER=$(realpath -m "${TEMPS_CLUSTER_DIR:-/var/lib/temps-cluster}")
# What the nodes' engines hold from the start, and where that is kept; kept elsewhere, it outlives `down`.
read -ra IMAGES <<<"${TEMPS_CLUSTER_IMAGES-node:22-slim debian:bookworm-slim}"
IMAGE_STORE=${TEMPS_IMAGE_STORE:-$FOLDER/images}
# Only `up` has steps; their log goes with everything else.
STEP_LOG=/dev/null
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=node.sh
. "$HERE/node.sh"
# shellcheck source=binary.sh
. "$HERE/binary.sh"
# shellcheck source=machines.sh
. "$HERE/machines.sh"

PACKAGES=(curl git jq iproute2 iptables procps python3 util-linux)
MAX_NODES=50
# Where nodes talk to each other.
PEER_PORT=7900

usage() {
    cat <<'TEXT'
Usage: deploy/cluster.sh up [N]            a cluster of N nodes (3), each on a machine of its own made of namespaces
       deploy/cluster.sh down              ends it and removes every trace
       deploy/cluster.sh status            what runs, where, in how much memory
       deploy/cluster.sh temps …           the CLI, logged in to the cluster

       deploy/cluster.sh kill I            ends node I's process at once; its containers run on
       deploy/cluster.sh stop I            lets node I drain and end
       deploy/cluster.sh start I           starts node I again
       deploy/cluster.sh pause I, resume I
       deploy/cluster.sh pause-engine I, resume-engine I
                                           halts the engine of machine I; its containers run on
       deploy/cluster.sh kill-engine I, start-engine I
                                           ends it at once, and starts it again, which ends its containers
       deploy/cluster.sh pid I             the number of node I's process, as this machine counts
       deploy/cluster.sh join I PEER TOKEN starts node I on an empty folder as a member of the peer's cluster
       deploy/cluster.sh off I             machine I loses power: its node, engine and containers are gone at once
       deploy/cluster.sh on I              it boots again, and its node starts
       deploy/cluster.sh partition 1 2,3   machines of different groups no longer reach each other
       deploy/cluster.sh cut 1:2           what machine 1 sends to machine 2 is lost
       deploy/cluster.sh shake OPTION…     machines reach each other by a bad network: --loss, --double and --overtake in
                                           percent of the packets, --delay and --jitter in milliseconds
       deploy/cluster.sh divert [PORT[:TO]]
                                           what machines send to this host's PORT goes to TO, or is refused
       deploy/cluster.sh heal              every link works again
       deploy/cluster.sh lost, shaken, asked PORT
                                           what cut links, the bad network and a port had to do since then

Options of `up`: --first   node 1 founds a cluster; the other machines are bare
                 --alone   every node founds a cluster of its own and nobody joins
                 --bare    only the machines: no node is started
Environment: TEMPS_CLUSTER_DIR     where everything lives (/var/lib/temps-cluster)
             TEMPS_BIN             a finished binary: nothing is built; every node has its own copy, n1/temps and so on
             TEMPS_CLUSTER_CLOCKS  not empty: node 1's clock is as many seconds off as n1/clock says, and so on
             TEMPS_CLUSTER_IMAGES  the images that every node has from the start
             TEMPS_CLUSTER_DISKS   a temps-chaos binary: every node's data is on a disk that it serves, which fails when
                                   it is told so at n1/disk.sock and so on
TEXT
}

# --- nodes on machines -----------------------------------------------------------------------------------------------

# What node.sh has for a node of this host, for one on a machine of its own.

# The calendar of a node's process is that of its file `clock`, which may change at any time; what is only measured is not.
CLOCK_LIBRARY=/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1
CLOCK_HABITS=(FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1 NO_FAKE_STAT=1)

# spawn FOLDER COMMAND…
spawn() {
    local with=(env NO_COLOR=1)
    if [[ -n ${TEMPS_CLUSTER_CLOCKS:-} ]]; then
        [[ -f $1/clock ]] || echo +0 >"$1/clock"
        with+=("LD_PRELOAD=$CLOCK_LIBRARY" "FAKETIME_TIMESTAMP_FILE=$1/clock" "${CLOCK_HABITS[@]}")
    fi
    machine_spawn "${1##*/n}" "$1/node.pid" "$1/node.log" "${with[@]}" "${@:2}"
}

# node_binary FOLDER: a file of its own, for an upgrade replaces the one that a node was started from.
node_binary() { printf '%s/temps\n' "$1"; }

# node_pids FOLDER: the newest last. An upgrade starts a process beside the other, from a file in the data folder, and
# tells no pid file.
node_pids() {
    local init pid
    init=$(init_pid "${1##*/n}") || return 0
    for pid in $(pgrep --ns "$init" --nslist pid .); do
        [[ $(readlink "/proc/$pid/exe") != "$1"/* ]] || printf '%s\n' "$pid"
    done
}

# node_pid FOLDER: of the process that is the node, even while the one before it finishes what is under way.
node_pid() { node_pids "$1" | tail -n 1 | grep .; }

node_runs() { node_pid "$1" >/dev/null; }

node_is_gone() { ! node_runs "$1"; }

stop_node() {
    local pid
    pid=$(node_pid "$1") || return 0
    kill "$pid"
    wait_until "$STOP_SECONDS" node_is_gone "$1" || kill_node "$1"
}

# kill_node FOLDER: every process of it, should there be two.
kill_node() {
    local pids
    mapfile -t pids < <(node_pids "$1")
    ((${#pids[@]} > 0)) || die "the node in $1 does not run" "$0 status"
    kill -9 "${pids[@]}"
    wait_until 10 node_is_gone "$1"
}

# node_folder I
node_folder() { printf '%s/n%s\n' "$FOLDER" "$1"; }

prepare_machine() {
    local folder ip
    folder=$(node_folder "$1") ip=$(ip_of "$1")
    keep_addresses "$folder" "$ip:80" "$ip:443" "$ip:3000" "$ip:$PEER_PORT"
    printf 'dns %s\n' "$ip:53" >>"$folder/addresses"
    ln "$TEMPS_BIN" "$(node_binary "$folder")" 2>/dev/null || cp "$TEMPS_BIN" "$(node_binary "$folder")"
    [[ -z ${2:-} ]] || give_images "$1" "$2"
    [[ -z ${TEMPS_CLUSTER_DISKS:-} ]] || mount_disk "$folder"
}

# mount_disk FOLDER: the node's data is on a disk that is kept in disk/. It ends once nobody has it mounted.
mount_disk() {
    mkdir -p "$1/disk" "$1/data"
    setsid "$TEMPS_CLUSTER_DISKS" disk "$1/disk" "$1/data" "$1/disk.sock" >"$1/disk.log" 2>&1 </dev/null 9>&- &
    wait_until 10 test -S "$1/disk.sock" || {
        cat "$1/disk.log"
        return 1
    }
}

# boot_machines N STORE: all at once.
boot_machines() {
    local i jobs=()
    for ((i = 1; i <= $1; i++)); do
        prepare_machine "$i" "$2"
        boot_machine "$i" &
        jobs+=($!)
    done
    for i in "${jobs[@]}"; do wait "$i"; done
}

# join_node I: node 1 admits it, with a token for one node.
join_node() {
    local token
    token=$(client "$(node_folder 1)" nodes token --json | jq -er .token)
    join_with "$1" "$(address "$(node_folder 1)" peer)" "$token"
}

# join_with I PEER TOKEN
join_with() { start_node "$(node_folder "$1")" join "$2" --token "$3"; }

found_alone() {
    start_node "$(node_folder "$1")"
    log_in "$(node_folder "$1")"
}

start_nodes() {
    local i
    step 'start node 1, which founds the cluster' start_node "$(node_folder 1)"
    step 'log in' log_in "$(node_folder 1)"
    for ((i = 2; i <= $1; i++)); do step "node $i joins" join_node "$i"; done
}

# signal I NAME: to the node's processes.
signal() {
    local pids
    mapfile -t pids < <(node_pids "$(node_folder "$1")")
    kill "-$2" "${pids[@]}"
}

# signal_engine I NAME: to dockerd, and to nothing that it has started.
signal_engine() { pkill "-$2" --ns "$(init_pid "$1")" --nslist pid -x dockerd; }

start_again() {
    ! node_runs "$(node_folder "$1")" || die "node $1 runs already"
    start_node "$(node_folder "$1")"
}

power_on() {
    boot_machine "$1"
    # A machine that was bare has no node to start.
    [[ -z $(ls -A "$(node_folder "$1")/data" 2>/dev/null) ]] || start_node "$(node_folder "$1")"
}

# --- up --------------------------------------------------------------------------------------------------------------

# take_folder: one that is in use is left alone.
take_folder() {
    mkdir -p "$FOLDER"
    [[ -z $(ls -A "$FOLDER") ]] || die "there is a cluster, or something else, in $FOLDER" "$0 down"
    chmod 700 "$FOLDER"
    STEP_LOG=$FOLDER/up.log
    : >"$STEP_LOG"
}

# need_images: the host's engine has them; sets STORE.
need_images() {
    STORE=''
    ((${#IMAGES[@]} > 0)) || return 0
    start_dockerd_if_nothing_else_does "$FOLDER"
    docker image inspect "${IMAGES[@]}" >/dev/null 2>&1 || "$HERE/base-images.sh" "${IMAGES[@]}"
    step "lay out ${IMAGES[*]}" lay_out_images
    STORE=$(<"$FOLDER/store")
}

# lay_out_images: one ground at a time, for the store may be shared.
lay_out_images() {
    mkdir -p "$IMAGE_STORE"
    exec 8>"$IMAGE_STORE/lock"
    flock 8
    need_image_store "$IMAGE_STORE" "${IMAGES[@]}" >"$FOLDER/store"
}

up() {
    local nodes=3 how='' argument i
    for argument; do
        case $argument in
        --first | --alone | --bare) how=$argument ;;
        *[!0-9]*) die "unknown argument $argument" "$0 --help" ;;
        *) nodes=$argument ;;
        esac
    done
    ((nodes >= 1 && nodes <= MAX_NODES)) || die "a cluster has 1 to $MAX_NODES nodes here, not $nodes"
    need_root
    take_folder
    lock
    [[ -z ${TEMPS_CLUSTER_CLOCKS:-} ]] || PACKAGES+=(libfaketime)
    apt_install_missing "${PACKAGES[@]}"
    need_docker_engine
    need_binary
    printf '%s\n' "$TEMPS_BIN" >"$FOLDER/binary"
    STEP_HINT="$0 down" step 'make the network' make_network
    need_images
    STEP_HINT="$0 down" step "boot $nodes machines" boot_machines "$nodes" "$STORE"
    case $how in
    '') start_nodes "$nodes" ;;
    --first) start_nodes 1 ;;
    --alone) for ((i = 1; i <= nodes; i++)); do step "start node $i" found_alone "$i"; done ;;
    esac
}

print_summary() {
    local i
    printf '\n%-6s %-24s %-24s %s\n' node API edge log
    for i in $(machines); do
        printf '%-6s %-24s %-24s %s\n' "$i" "$(api_url "$(node_folder "$i")")/api" "http://$(ip_of "$i")" "$(node_folder "$i")/node.log"
    done
    cat <<TEXT

admin     $ADMIN_EMAIL   password: cat $(node_folder 1)/password
log in    $TEMPS_BIN login $(api_url "$(node_folder 1)") --email $ADMIN_EMAIL
deploy    $0 temps deploy $HERE/samples/static-site
engines   docker -H unix://$FOLDER/n1/run/docker.sock ps
end it    $0 down
TEXT
}

# --- down and status -------------------------------------------------------------------------------------------------

down() {
    local i
    [[ -d $FOLDER ]] || { say "there is no $FOLDER" && return; }
    [[ -z $(ls -A "$FOLDER") || -f $FOLDER/lock ]] || die "$FOLDER does not look like a cluster's own folder" 'set TEMPS_CLUSTER_DIR'
    # An `up` that is under way ends first.
    lock
    if [[ -f $FOLDER/run ]]; then
        for i in 0 $(machines); do power_off "$i"; done
        for i in $(machines); do umount -l "$(node_folder "$i")/data" 2>/dev/null || true; done
        remove_network
    fi
    stop_pid "$FOLDER/dockerd.pid" dockerd 30
    rm -rf "$FOLDER"
}

# guard: the cluster lives as long as somebody holds this command's standard input open.
guard() {
    trap '' HUP INT TERM
    cat >/dev/null
    down
}

# memory_of FOLDER: what the node's process has for itself, in MB.
memory_of() { awk '/^Pss:/ { printf "%d MB\n", $2 / 1024 }' "/proc/$(node_pid "$1")/smaps_rollup" 2>/dev/null; }

node_state() {
    if ! machine_runs "$1"; then
        printf 'machine off'
    elif ! node_runs "$(node_folder "$1")"; then
        printf 'node ended'
    else
        node_is_ready "$(node_folder "$1")" >/dev/null 2>&1 && printf 'ready' || printf 'not ready'
    fi
}

status() {
    local i
    printf '%-6s %-12s %-8s %s\n' node state memory API
    for i in $(machines); do
        printf '%-6s %-12s %-8s %s\n' "$i" "$(node_state "$i")" "$(memory_of "$(node_folder "$i")" || printf -- -)" "$(api_url "$(node_folder "$i")")"
    done
}

# key_for I: the API key of its own login, or of the cluster's, which is node 1's.
key_for() {
    local config
    config=$(node_folder "$1")/client/temps/config.json
    [[ -f $config ]] || config=$(node_folder 1)/client/temps/config.json
    jq -er 'first(.contexts[].key)' "$config"
}

# through_any_node COMMAND…: the CLI, through the first node that is ready.
through_any_node() {
    local i
    for i in $(machines); do
        [[ $(node_state "$i") == ready ]] || continue
        TEMPS_API_URL=$(api_url "$(node_folder "$i")") TEMPS_API_TOKEN=$(key_for "$i") client "$(node_folder 1)" "$@"
        return
    done
    die 'no node is ready' "$0 status"
}

# lock: what builds and what removes the ground wait for each other.
lock() {
    exec 9>"$FOLDER/lock"
    flock 9
}

# on_cluster: the command needs a cluster that is up.
on_cluster() {
    need_root
    [[ -f $FOLDER/run ]] || die "there is no cluster in $FOLDER" "$0 up"
    TEMPS_BIN=${TEMPS_BIN:-$(<"$FOLDER/binary")}
}

# on_machine I: the command's argument is one of the machines.
on_machine() {
    on_cluster
    [[ ${1:-} =~ ^[1-9][0-9]*$ && -d $FOLDER/n$1 ]] || die "there is no machine ${1:-without a number}" "$0 status"
}

command=${1:---help}
shift || true
case $command in
up)
    up "$@" >&2
    print_summary
    ;;
down) need_root; down ;;
guard) need_root; guard ;;
status) on_cluster; status ;;
temps) on_cluster; through_any_node "$@" ;;
kill) on_machine "$@"; kill_node "$(node_folder "$1")" ;;
stop) on_machine "$@"; stop_node "$(node_folder "$1")" ;;
start) on_machine "$@"; start_again "$1" ;;
join) on_machine "$@"; join_with "$@" ;;
pid) on_machine "$@"; node_pid "$(node_folder "$1")" ;;
pause) on_machine "$@"; signal "$1" STOP ;;
resume) on_machine "$@"; signal "$1" CONT ;;
pause-engine) on_machine "$@"; signal_engine "$1" STOP ;;
resume-engine) on_machine "$@"; signal_engine "$1" CONT ;;
kill-engine) on_machine "$@"; signal_engine "$1" KILL ;;
start-engine) on_machine "$@"; start_engine "$1" ;;
off) on_machine "$@"; power_off "$1" ;;
on) on_machine "$@"; power_on "$1" ;;
partition) on_cluster; mapfile -t pairs < <(pairs_between "$@"); cut_links "${pairs[@]}" ;;
cut) on_cluster; cut_links "$@" ;;
divert) on_cluster; divert_ports "$@" ;;
shake) on_cluster; shake_links "$@" ;;
heal) on_cluster; heal_links ;;
lost) on_cluster; lost_packets ;;
shaken) on_cluster; shaken ;;
asked) on_cluster; asked "$1" ;;
-h | --help) usage ;;
*) die "unknown command $command" "$0 --help" ;;
esac
