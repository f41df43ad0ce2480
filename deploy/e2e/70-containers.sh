#!/usr/bin/env bash
# How containers run: locked in, within their bounds, checked, prepared once; and what the edge carries to them.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

# The longest wait for a tick of a job of each minute. Seconds.
CRON_SECONDS=70

# live CONFIG-FILTER: of the container of the newest deployment.
live() {
    local id
    id=$(docker ps -q --filter "label=sh.temps.data-dir=$NODE/data" --filter "label=sh.temps.deployment=$(newest app | field .id)")
    docker inspect "$id" | field ".[0] | $1"
}

deploys_configured() {
    write_app "$STORY_FOLDER/apps/app" one
    cat >"$STORY_FOLDER/apps/app/temps.json" <<'JSON'
{
  "health": { "path": "/healthz", "intervalSeconds": 1 },
  "resources": { "cpu": 0.25, "memory": "96Mi", "pids": 77 },
  "cron": [{ "name": "tick", "path": "/cron", "schedule": "* * * * *" }]
}
JSON
    temps projects create app
    printf 'the-cron-secret' | temps env set --secret CRON_SECRET=- --project app
    temps deploy "$STORY_FOLDER/apps/app" --project app
    answers app one
}

locked_in() {
    live '.HostConfig.CapDrop == ["ALL"] and (.HostConfig.CapAdd // [] | length) == 0' | grep -x true
    live '.HostConfig.SecurityOpt | any(startswith("no-new-privileges"))' | grep -x true
    live '.HostConfig.Privileged == false' | grep -x true
    # What the kernel says of the app's own process.
    temps exec --project app -- sh -c 'grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/1/status' >"$STORY_FOLDER/status"
    cat "$STORY_FOLDER/status"
    grep -qE '^CapEff:\s0000000000000000$' "$STORY_FOLDER/status"
    grep -qE '^CapBnd:\s0000000000000000$' "$STORY_FOLDER/status"
    grep -qE '^NoNewPrivs:\s1$' "$STORY_FOLDER/status"
}

bounded() {
    is "$(live .HostConfig.PidsLimit)" 77
    is "$(live .HostConfig.Memory)" $((96 * 1024 * 1024))
    is "$(live 'if .HostConfig.NanoCpus > 0 then .HostConfig.NanoCpus else .HostConfig.CpuQuota * 1000000000 / .HostConfig.CpuPeriod end')" 250000000
}

nothing_published() {
    is "$(live '(.HostConfig.PortBindings // {}) | length')" 0
    is "$(live '[.NetworkSettings.Ports[]? | select(. != null)] | length')" 0
    is "$(live .HostConfig.NetworkMode)" temps
    is "$(docker port "$(live .Id)")" ''
}

health_path_is_asked() {
    local before
    before=$(ask_app app /health-checks -f)
    ((before > 0))
    wait_for 10 more_health_checks "$before"
}

more_health_checks() { (($(ask_app app /health-checks -f) > $1)); }

cron_fires() {
    wait_for "$CRON_SECONDS" cron_was_seen
    ask_app app /cron-seen -f | field '.[0]["x-cron-job"]' | grep -x true
    ask_app app /cron-seen -f | field '.[0].authorization' | grep -x 'Bearer the-cron-secret'
}

cron_was_seen() { ask_app app /cron-seen -f | field 'length > 0'; }

tells_where_it_came_from() {
    local id
    id=$(temps projects show app --json | field .id)
    ask_app app /headers -f -H 'X-Forwarded-For: 203.0.113.9' -H 'X-Client-IP: 203.0.113.9' -H 'X-Project-ID: forged' \
        -D "$STORY_FOLDER/head" >"$STORY_FOLDER/headers"
    cat "$STORY_FOLDER/headers"
    is "$(field '.["x-project-id"]' <"$STORY_FOLDER/headers")" "$id"
    field '.["x-environment-id"]' <"$STORY_FOLDER/headers" | grep .
    is "$(field '.["x-client-ip"]' <"$STORY_FOLDER/headers")" 127.0.0.1
    is "$(field '.["x-forwarded-for"]' <"$STORY_FOLDER/headers")" '203.0.113.9, 127.0.0.1'
    is "$(field '.["x-forwarded-proto"]' <"$STORY_FOLDER/headers")" http
    is "$(field '.["x-request-id"]' <"$STORY_FOLDER/headers")" "$(sed -nE 's/^x-request-id: (.*)\r$/\1/Ip' "$STORY_FOLDER/head")"
}

# One masked text frame there, one frame back; both through a socket of bash.
web_socket_echoes() {
    local host
    host=$(host_of "$(app_url "$NODE" app)")
    exec 7<>"/dev/tcp/127.0.0.1/$(edge_port "$NODE")"
    printf 'GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' "$host" >&7
    local line head=''
    while IFS= read -r -t 10 line <&7 && [[ $line != $'\r' ]]; do head+=$line; done
    has '101 Switching Protocols' <<<"$head"
    has 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' <<<"$head"
    # "hello" under a mask of zeros is as it is.
    printf '\x81\x85\x00\x00\x00\x00hello' >&7
    is "$(timeout 10 head -c 7 <&7 | tail -c 5)" hello
    exec 7>&-
}

events_stream() {
    local began
    began=$(now_ms)
    ask "$(app_url "$NODE" app)/events" -fN -H 'Accept-Encoding: gzip' >"$STORY_FOLDER/events" &
    local pid=$!
    wait_for 10 grep -q 'data: 1' "$STORY_FOLDER/events"
    # The first event is here while the last one is not yet written.
    (($(now_ms) - began < 2500))
    exits_with 1 grep -q 'data: 3' "$STORY_FOLDER/events"
    wait "$pid"
    grep -q 'data: 3' "$STORY_FOLDER/events"
}

bodies_stream() {
    head -c 5000000 /dev/urandom >"$STORY_FOLDER/body"
    ask_app app /echo -f --data-binary "@$STORY_FOLDER/body" -H 'Expect:' | cmp - "$STORY_FOLDER/body"
    ask_app app /echo -f --data-binary "@$STORY_FOLDER/body" -H 'Transfer-Encoding: chunked' | cmp - "$STORY_FOLDER/body"
}

speaks_http2() {
    is "$(ask_app app / -f --http2-prior-knowledge -w ' %{http_version}')" 'one 2'
}

# Run once for the version, before it takes traffic, however many replicas there are.
before_deploy_runs_once() {
    deploys_app prepared one
    temps scale 2 --project prepared
    cat >"$STORY_FOLDER/apps/prepared/temps.json" <<'JSON'
{ "beforeDeploy": ["echo preparing-$VERSION_WORD", "node -e 'console.log(1)' >/dev/null"] }
JSON
    temps env set VERSION_WORD=words --project prepared
    deploys_app prepared two
    answers prepared two
    temps logs --build --project prepared >"$STORY_FOLDER/build-log"
    is "$(grep -c 'preparing-words$' "$STORY_FOLDER/build-log")" 1
    newest prepared | field '[.history[].phase] | join(" ")' | has 'preparing starting'
}

before_deploy_failure_keeps_old() {
    printf '{ "beforeDeploy": "echo cannot-migrate && exit 4" }\n' >"$STORY_FOLDER/apps/prepared/temps.json"
    exits_with 3 deploys_app prepared three 2>"$STORY_FOLDER/complaint"
    cat "$STORY_FOLDER/complaint"
    has cannot-migrate <"$STORY_FOLDER/complaint"
    is "$(newest prepared | field .failure.code)" before_deploy_failed
    answers prepared two
}

deleted_project_leaves_nothing() {
    temps projects delete app --yes
    temps projects delete prepared --yes
    wait_for 20 no_container_is_left
    is "$(status_of http://app-production.localho.st/)" 503
}

no_container_is_left() { is "$(docker ps -aq --filter "label=sh.temps.data-dir=$NODE/data")" ''; }

new_node
check 'an app with bounds, a health path and a job deploys' deploys_configured
check 'a container has no capabilities and gets no new privileges' locked_in
check 'a container is bounded as temps.json says' bounded
check 'nothing is published on the host' nothing_published
check 'the health path is asked again and again' health_path_is_asked
check 'the app is told who asks' tells_where_it_came_from
check 'a WebSocket goes through the edge' web_socket_echoes
check 'server-sent events stream' events_stream
check 'large bodies stream both ways' bodies_stream
check 'HTTP/2 without TLS is spoken' speaks_http2
check 'beforeDeploy runs once, before the switch' before_deploy_runs_once
check 'a beforeDeploy that fails keeps the old version' before_deploy_failure_keeps_old
check 'a job fires with its header and its secret' cron_fires
check 'a deleted project leaves no container' deleted_project_leaves_nothing
