#!/usr/bin/env bash
# The dashboard in a real browser: from the login to a served app, a rollback, a failed build and a node that dies.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"
# shellcheck source=../javascript.sh
. "$DEPLOY/javascript.sh"

WEB=$(realpath "$DEPLOY/../web")

# has HEADER VALUE PATH: what the node sends with a file of the dashboard.
has() { curl -fsS --max-time 10 -o /dev/null -D - --compressed "$(api_url "$NODE")$3" | tr -d '\r' | grep -qi "^$1: .*$2"; }

is_part_of_the_program() {
    local script
    script=$(curl -fsS --max-time 10 "$(api_url "$NODE")/" | grep -o '/assets/[^"]*\.js' | head -1)
    has content-encoding br "$script"
    has cache-control immutable "$script"
    has cache-control no-cache /
    has content-security-policy "frame-ancestors 'none'" /
}

# in_a_browser: its checks count themselves.
in_a_browser() {
    local again="set -e; STEP_LOG='$STEP_LOG'; . '$DEPLOY/lib.sh'; . '$DEPLOY/node.sh'"
    TEMPS_URL=$(api_url "$NODE") TEMPS_ADMIN_EMAIL=$ADMIN_EMAIL TEMPS_ADMIN_PASSWORD=$(admin_password "$NODE") \
        TEMPS_KILL="kill -9 $(<"$NODE/node.pid")" TEMPS_START="bash -c \"$again; start_node '$NODE'\"" \
        node "$WEB/e2e/run.mjs"
}

new_node
need_node_js
"$DEPLOY/web.sh"
check 'the dashboard is part of the program, compressed and cached' is_part_of_the_program
in_a_browser || STORY_FAILED=$((STORY_FAILED + 1))
