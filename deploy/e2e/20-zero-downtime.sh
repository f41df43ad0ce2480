#!/usr/bin/env bash
# A deploy, a rollback and deploys in quick succession lose no request of a one-replica app.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

# How long wrk asks, at most: the deploys below take less on a slow machine. Seconds.
LOAD_SECONDS=45
DEPLOYS=5

# app_address: its URL, without a slash at the end.
app_address() { app_url "$NODE" app; }

# start_load: a few hundred requests a second, each checked by wrk; sets LOAD.
start_load() {
    local host
    host=$(host_of "$(app_address)")
    cat >"$STORY_FOLDER/pace.lua" <<'LUA'
-- Each of the connections waits between its requests.
function delay() return math.random(20, 40) end
-- wrk's own summary counts only statuses above 399.
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() others = 0 answered = 0 end
function response(status)
    answered = answered + 1
    if status ~= 200 then others = others + 1 end
end
function done(summary)
    local others, answered = 0, 0
    for _, thread in ipairs(threads) do
        others = others + thread:get("others")
        answered = answered + thread:get("answered")
    end
    local errors = summary.errors
    print(string.format("answered=%d other_status=%d connect=%d read=%d write=%d timeout=%d", answered, others,
        errors.connect, errors.read, errors.write, errors.timeout))
end
LUA
    wrk -t 1 -c 10 -d "${LOAD_SECONDS}s" --timeout 10s -s "$STORY_FOLDER/pace.lua" -H "Host: $host" \
        "http://127.0.0.1:$(edge_port "$NODE")/" >"$STORY_FOLDER/wrk" 2>&1 &
    LOAD=$!
}

# load_is_lossless: wrk asked until now, and every answer was a 200.
load_is_lossless() {
    local answered
    kill -INT "$LOAD"
    wait "$LOAD" || true
    cat "$STORY_FOLDER/wrk"
    grep -q 'other_status=0 connect=0 read=0 write=0 timeout=0' "$STORY_FOLDER/wrk"
    exits_with 1 grep -E 'Non-2xx|Socket errors' "$STORY_FOLDER/wrk"
    answered=$(sed -nE 's/^answered=([0-9]+) .*/\1/p' "$STORY_FOLDER/wrk")
    ((answered > 500))
}

load_still_runs() { kill -0 "$LOAD"; }

survives_deploys() {
    local version
    start_load
    for ((version = 1; version <= DEPLOYS; version++)); do
        deploys_app app "under load $version"
        answers app "under load $version"
    done
    temps deployments rollback --project app
    answers app "under load $((DEPLOYS - 1))"
    load_still_runs
    load_is_lossless
}

# slow_request FILE: takes three seconds; its version and status end up in FILE.
slow_request() { ask "$(app_address)/slow?ms=3000" -w ' %{http_code}\n' >"$1"; }

survives_switch() {
    deploys_app app before
    deploys_app app after --no-wait
    # Asked again and again while the deployment goes on, so that some are under way at the switch.
    local began i=0 pids=() pid
    until answers app after >/dev/null 2>&1; do
        i=$((i + 1))
        ((i < 150))
        slow_request "$STORY_FOLDER/slow.$i" &
        pids+=($!)
        sleep 0.2
    done
    began=$i
    for pid in "${pids[@]}"; do wait "$pid"; done
    cat "$STORY_FOLDER"/slow.*
    # The last one began before the switch was seen and ended after it.
    grep -q '^before 200' "$STORY_FOLDER/slow.$((began > 5 ? began - 4 : 1))"
    is "$(cat "$STORY_FOLDER"/slow.* | grep -cvE '^(before|after) 200$' || true)" 0
}

# Three versions within one drain time: the first is still ending its requests when the third is live.
survives_quick_succession() {
    local pid
    deploys_app app first
    slow_request "$STORY_FOLDER/succession" &
    pid=$!
    ask "$(app_address)/slow?ms=12000" -w ' %{http_code}\n' >"$STORY_FOLDER/long" &
    local long=$!
    deploys_app app second
    deploys_app app third
    answers app third
    wait "$pid" "$long"
    is "$(<"$STORY_FOLDER/succession")" 'first 200'
    is "$(<"$STORY_FOLDER/long")" 'first 200'
}

rolls_back_fast() {
    local began
    began=$(now_ms)
    temps deployments rollback --project app
    (($(now_ms) - began < 5000))
    answers app second
    is "$(containers app | wc -l)" "$(containers app | sort -u | wc -l)"
}

new_node
check 'the app deploys' deploys_app app start
check "no request is lost in $DEPLOYS deploys and a rollback under load" survives_deploys
check 'a request that is under way during the switch is answered by the version it reached' survives_switch
check 'requests outlive two deploys within the drain time' survives_quick_succession
check 'rolling back takes a few seconds at most' rolls_back_fast
