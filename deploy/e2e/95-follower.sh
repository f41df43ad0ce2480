#!/usr/bin/env bash
# The dashboard of a follower, in a real browser, while the leader of three nodes is killed.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"
# shellcheck source=../javascript.sh
. "$DEPLOY/javascript.sh"

WEB=$(realpath "$DEPLOY/../web")
export TEMPS_CLUSTER_DIR=$STORY_FOLDER/cluster TEMPS_CLUSTER_IMAGES=''

cluster() { "$DEPLOY/cluster.sh" "$@"; }

# node_that_leads true|false: the number of a node that leads, or does not.
node_that_leads() {
    cluster temps nodes --json | jq -er "[.items[] | select(.leader == $1)][0].name" | tr -dc 0-9
}

# in_a_browser FOLLOWER LEADER: its checks count themselves.
in_a_browser() {
    TEMPS_URL=$(cluster status | grep -o 'http://[^ ]*:3000' | sed -n "$1p") TEMPS_ADMIN_EMAIL=$ADMIN_EMAIL \
        TEMPS_ADMIN_PASSWORD=$(<"$TEMPS_CLUSTER_DIR/n1/password") TEMPS_KILL="$DEPLOY/cluster.sh kill $2" \
        node "$WEB/e2e/follower.mjs"
}

need_node_js
"$DEPLOY/web.sh"
at_end cluster down
step 'three nodes' cluster up 3
in_a_browser "$(node_that_leads false)" "$(node_that_leads true)" || STORY_FAILED=$((STORY_FAILED + 1))
