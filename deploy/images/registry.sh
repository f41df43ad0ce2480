# shellcheck shell=bash
# Real images first: what Docker already holds, then what its registry gives.

# How long the registry may take to say whether it has an image, and to hand one over. Seconds.
REGISTRY_ANSWER_SECONDS=${TEMPS_REGISTRY_ANSWER_SECONDS:-10}
PULL_SECONDS=${TEMPS_PULL_SECONDS:-600}
# Set at the first silence, so that not every name waits for the same one. Registries differ, so by their host.
declare -A SILENT=()

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# registry_of NAME: the host in front of it, if there is one.
registry_of() {
    local first=${1%%/*}
    if [[ $1 == */* && ($first == *.* || $first == *:* || $first == localhost) ]]; then
        printf '%s\n' "$first"
    else
        printf 'docker.io\n'
    fi
}

# ask_registry NAME: the HTTP status of Docker's own question to the registry; 000 when no answer came in time.
ask_registry() {
    local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
    curl -s -o /dev/null -w '%{http_code}' --max-time "$REGISTRY_ANSWER_SECONDS" --unix-socket "${socket#unix://}" \
        "http://docker/distribution/$1/json" || true
}

# pull NAME: 0 when the image is here afterwards, 1 when a stand-in is needed.
pull() {
    local registry status
    registry=$(registry_of "$1")
    [[ -z ${SILENT[$registry]:-} ]] || return 1
    status=$(ask_registry "$1")
    case $status in
    200) ;;
    401 | 403 | 404)
        say "  -     the registry has no $1 for us"
        return 1
        ;;
    *)
        SILENT[$registry]=yes
        say "  -     the registry $registry cannot be reached: stand-ins are made instead"
        return 1
        ;;
    esac
    local began
    began=$(now_ms)
    timeout "$PULL_SECONDS" docker pull -q "$1" >>"$STEP_LOG" 2>&1 || return 1
    say "  ${GREEN}ok${PLAIN}    pull $1 ($(seconds_since "$began") s)"
}
