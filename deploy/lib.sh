# shellcheck shell=bash
# Shell functions that the scripts of this folder share: sourced, never run.

# Where `step` writes what its command prints; a failure shows the end of it.
STEP_LOG=${STEP_LOG:-$(mktemp "${TMPDIR:-/tmp}/temps-step.XXXXXX")}
# How many lines of the log a failure shows.
STEP_LOG_TAIL=25

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    GREEN=$'\e[32m' YELLOW=$'\e[33m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
    GREEN='' YELLOW='' RED='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%swarning:%s %s\n' "$YELLOW" "$PLAIN" "$*" >&2; }

# die WHAT [WHAT TO TRY]
die() {
    printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
    [[ -z ${2:-} ]] || printf '  try: %s\n' "$2" >&2
    exit 1
}

now_ms() { date +%s%3N; }

# seconds_since MS: the time gone by since `now_ms` gave MS, as 12.3
seconds_since() {
    local gone=$(($(now_ms) - $1))
    printf '%d.%d' $((gone / 1000)) $((gone % 1000 / 100))
}

# step TITLE COMMAND…: one progress line with its timing; the command's output goes to the log.
# On failure it shows the end of the log, STEP_HINT if that is set, and ends the script.
# Never call it behind `if`, `&&` or `||`: bash would then ignore errors inside COMMAND.
step() {
    local title=$1 began rc mark
    shift
    began=$(now_ms)
    mark=$(wc -l <"$STEP_LOG")
    set +e
    (
        set -e
        "$@"
    ) >>"$STEP_LOG" 2>&1
    rc=$?
    set -e
    if ((rc == 0)); then
        printf '  %sok%s    %s (%s s)\n' "$GREEN" "$PLAIN" "$title" "$(seconds_since "$began")"
    else
        step_failed "$title" "$rc" "$mark"
    fi
}

# step_failed TITLE EXIT-CODE LINES-BEFORE
step_failed() {
    printf '  %sfailed%s %s (exit code %s)\n' "$RED" "$PLAIN" "$1" "$2" >&2
    tail -n "+$(($3 + 1))" "$STEP_LOG" | tail -n "$STEP_LOG_TAIL" | sed 's/^/    | /' >&2
    printf '  whole log: %s\n' "$STEP_LOG" >&2
    [[ -z ${STEP_HINT:-} ]] || printf '  try: %s\n' "$STEP_HINT" >&2
    exit 1
}

need_root() {
    ((EUID == 0)) || die "$(basename "$0") must run as root: it installs packages and talks to Docker" "sudo $0"
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; fails when the time is over.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.1
    done
}

# missing_packages PACKAGE…: those of them that dpkg does not hold as installed.
missing_packages() {
    local package
    for package; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s\n' "$package"
    done
}

# apt_install PACKAGE…
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -qy --no-install-recommends "$@"
}

# apt_install_missing PACKAGE…: asks apt only for what is not there yet.
apt_install_missing() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} == 0)) && return
    command -v apt-get >/dev/null ||
        die "these are missing and there is no apt-get to install them: ${missing[*]}" "run this on Debian 12"
    STEP_HINT="apt-get update && apt-get install ${missing[*]}" step "install ${missing[*]}" apt_install "${missing[@]}"
}

# need_docker_engine: Debian's engine, unless some engine (Docker's own packages, say) is there already.
need_docker_engine() {
    command -v dockerd >/dev/null && command -v docker >/dev/null && return
    docker_answers || apt_install_missing docker.io
}

docker_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# start_dockerd_if_nothing_else_does FOLDER: FOLDER gets dockerd.pid and dockerd.log when it is we who start it.
start_dockerd_if_nothing_else_does() {
    docker_answers && return
    # Installing the engine may have started it a moment ago.
    if pgrep -x dockerd >/dev/null && wait_until 20 docker_answers; then return; fi
    if [[ -d /run/systemd/system ]] && systemctl cat docker.service >/dev/null 2>&1; then
        STEP_HINT='journalctl -u docker' step 'start docker.service' systemctl start docker.service
        return
    fi
    STEP_HINT="read $1/dockerd.log" step 'start dockerd' start_dockerd "$1"
}

start_dockerd() {
    mkdir -p "$1"
    # Its own session, so that a Ctrl-C meant for the script does not take the engine along.
    setsid nohup dockerd >>"$1/dockerd.log" 2>&1 </dev/null 9>&- &
    printf '%s\n' $! >"$1/dockerd.pid"
    wait_until 60 docker_answers || {
        tail -n "$STEP_LOG_TAIL" "$1/dockerd.log"
        return 1
    }
}

# pid_runs FILE NAME: the process of that pid file lives and is still a NAME.
pid_runs() {
    local pid
    [[ -s $1 ]] || return 1
    pid=$(<"$1")
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$2" ]]
}

# stop_pid FILE NAME SECONDS: asks the process to end, and makes it when it does not within the time.
stop_pid() {
    if pid_runs "$1" "$2"; then
        local pid
        pid=$(<"$1")
        kill "$pid"
        wait_until "$3" pid_is_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$1"
}

# A process that ended but was not waited for still has its entry, as a zombie.
pid_is_gone() { ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status" 2>/dev/null; }

# port_is_free PORT: nobody listens on it, on any address.
port_is_free() { ! ss -Hltn "sport = :$1" | grep -q .; }

# free_port_from PORT: the first free one from there on.
free_port_from() {
    local port=$1
    until port_is_free "$port"; do port=$((port + 1)); done
    printf '%s\n' "$port"
}

# remove_node_containers DATA-DIR: every container that the node with this data folder started.
remove_node_containers() {
    local ids
    mapfile -t ids < <(docker ps -aq --filter label=sh.temps.managed=true --filter "label=sh.temps.data-dir=$1")
    ((${#ids[@]} == 0)) || docker rm -f "${ids[@]}" >/dev/null
}

# remove_node_images DATA-DIR: every image that the node with this data folder built.
remove_node_images() {
    local ids
    mapfile -t ids < <(docker images -q --filter label=sh.temps.managed=true --filter "label=sh.temps.data-dir=$1" | sort -u)
    ((${#ids[@]} == 0)) || docker rmi -f "${ids[@]}" >/dev/null
}
