#!/usr/bin/env bash
# The node is killed, a container is killed, the cluster key is gone: the apps go on, and nothing is lost.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

FOREIGN=temps-e2e-foreign-$$

kill_node() {
    local pid
    pid=$(<"$NODE/node.pid")
    kill -9 "$pid"
    wait_until 5 pid_is_gone "$pid"
}

# app_listens: asks the container itself, past the edge.
app_listens() {
    local ip
    ip=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(containers app)")
    is "$(curl -sS --max-time 5 "http://$ip:3000/")" "$1"
}

start_foreign_containers() {
    docker run -d --name "$FOREIGN-plain" --network none debian:bookworm-slim sleep 600
    docker run -d --name "$FOREIGN-other" --network none --label sh.temps.managed=true \
        --label sh.temps.data-dir=/another/node --label sh.temps.replica=rep_00000000000000000000000000 \
        debian:bookworm-slim sleep 600
    # Of this node's name and network, but without its labels.
    docker run -d --name "temps-app-production-$$" --network temps debian:bookworm-slim sleep 600
}

foreign_state() { docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.State.Status}}' "$FOREIGN-plain" "$FOREIGN-other" "temps-app-production-$$"; }

survives_kill_while_serving() {
    local before
    before=$(containers app)
    temps env set KEPT=yes --project app
    kill_node
    is "$(containers app)" "$before"
    app_listens one
    start_node "$NODE"
    answers app one
    is "$(containers app)" "$before"
    temps env list --project app --json | field '.items[] | select(.name == "KEPT") | .value' | has yes
    is "$(newest app | field .phase)" live
}

building() { [[ $(newest app | field .phase) == building ]]; }

is_over() { newest app | field .phase | grep -E '^(live|failed)$'; }

survives_kill_while_building() {
    local before phase
    before=$(containers app)
    write_app "$STORY_FOLDER/slow" two
    # Never cached, so that there is time to kill the node.
    printf 'RUN echo %s && sleep 6\n' "$STORY_FOLDER" >>"$STORY_FOLDER/slow/Dockerfile"
    temps deploy "$STORY_FOLDER/slow" --project app --no-wait
    wait_for 15 building
    kill_node
    is "$(containers app)" "$before"
    app_listens one
    start_node "$NODE"
    ask_app app / -f | grep -E '^(one|two)$'
    wait_for 45 is_over
    phase=$(newest app | field .phase)
    if [[ $phase == live ]]; then
        answers app two
    else
        newest app | field .failure.message | grep .
        answers app one
    fi
}

deploys_afterwards() {
    deploys_app app three
    answers app three
    is "$(containers app | wc -l)" "$(docker ps -q --filter "label=sh.temps.data-dir=$NODE/data" | wc -l)"
}


# live_container: the one that takes traffic; kept versions are paused.
live_container() {
    docker ps -q --no-trunc --filter status=running --filter "label=sh.temps.data-dir=$NODE/data" --filter "label=sh.temps.deployment=$(newest app | field .id)"
}

running_since() { docker inspect -f '{{.Id}} {{.State.StartedAt}}' "$(live_container)"; }

is_back() {
    answers app three && [[ -n $(live_container) && $(running_since) != "$1" ]]
}

killed_replica_comes_back() {
    local before
    before=$(running_since)
    docker kill "$(live_container)"
    wait_for 15 is_back "$before"
}

removed_replica_comes_back() {
    local before
    before=$(running_since)
    docker rm -f "$(live_container)"
    wait_for 15 is_back "$before"
}

crashed_app_comes_back() {
    local before
    before=$(running_since)
    ask_app app /crash || true
    wait_for 15 is_back "$before"
}

refuses_without_key() {
    local rc=0
    stop_node "$NODE"
    mv "$NODE/data/cluster.key" "$STORY_FOLDER/cluster.key"
    : >"$STORY_FOLDER/refusal"
    timeout 20 "$TEMPS_BIN" serve --data-dir "$NODE/data" --http "$(address "$NODE" http)" \
        --https "$(address "$NODE" https)" --api "$(address "$NODE" api)" >"$STORY_FOLDER/refusal" 2>&1 || rc=$?
    cat "$STORY_FOLDER/refusal"
    [[ $rc != 0 && $rc != 124 ]]
    has cluster.key <"$STORY_FOLDER/refusal"
    [[ ! -e $NODE/data/cluster.key ]]
}

starts_with_key() {
    mv "$STORY_FOLDER/cluster.key" "$NODE/data/cluster.key"
    start_node "$NODE"
    answers app three
    is "$(stat -c %a "$NODE/data/cluster.key")" 600
}

graceful_stop() {
    local pid before
    before=$(containers app)
    pid=$(<"$NODE/node.pid")
    kill "$pid"
    wait_for 20 pid_is_gone "$pid"
    is "$(containers app)" "$before"
    start_node "$NODE"
    answers app three
}

second_node_is_refused() {
    local rc=0
    timeout 20 "$TEMPS_BIN" serve --data-dir "$NODE/data" --http 127.0.0.1:0 --https off --api 127.0.0.1:0 \
        >"$STORY_FOLDER/second" 2>&1 || rc=$?
    cat "$STORY_FOLDER/second"
    [[ $rc != 0 && $rc != 124 ]]
    answers app three
}

new_node
check 'the app deploys' deploys_app app one
at_end docker rm -f "$FOREIGN-plain" "$FOREIGN-other" "temps-app-production-$$"
step 'start containers that are not the node'\''s' start_foreign_containers
foreign_state >"$STORY_FOLDER/foreign"
check 'kill -9 while serving: containers go on, and the state is there again' survives_kill_while_serving
check 'kill -9 during a build: the old version goes on, and the deployment ends' survives_kill_while_building
check 'the next deploy works' deploys_afterwards
check 'a killed replica is back within seconds' killed_replica_comes_back
check 'a removed replica is back within seconds' removed_replica_comes_back
check 'a crashed app is back within seconds' crashed_app_comes_back
check 'a stop leaves the containers, and a start finds them' graceful_stop
check 'a second node on the same folder is refused' second_node_is_refused
check 'without its cluster key the node refuses to start, and makes no new one' refuses_without_key
check 'with the key back it starts' starts_with_key
check 'containers of others are untouched' is "$(foreign_state)" "$(<"$STORY_FOLDER/foreign")"
