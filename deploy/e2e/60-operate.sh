#!/usr/bin/env bash
# What people do with a running app: variables, scale, exec, logs, deployments, keys, users, audit; and what programs
# rely on: JSON, exit codes, idempotency, preconditions.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

SECRET=s3cr3t-$$-$RANDOM-value

variable() { ask_app app "/variable?name=$1" -f; }

sets_variables() {
    temps env set PLAIN=hello 'SPACED=two words' --project app
    printf '%s' "$SECRET" | temps env set --secret TOKEN=- --project app
    printf '# a comment\nIMPORTED="from a file"\nexport SECOND=2\n' | temps env import - --project app
    temps env list --project app --json >"$STORY_FOLDER/variables"
    is "$(field '[.items[].name] | sort | join(" ")' <"$STORY_FOLDER/variables")" 'IMPORTED PLAIN SECOND SPACED TOKEN'
    is "$(field '.items[] | select(.name == "IMPORTED") | .value' <"$STORY_FOLDER/variables")" 'from a file'
    field '.items[] | select(.name == "TOKEN") | .secret and .value == null' <"$STORY_FOLDER/variables"
}

variables_reach_app_after_deploy() {
    is "$(variable PLAIN)" '(unset)'
    deploys_app app two
    is "$(variable PLAIN)" hello
    is "$(variable SPACED)" 'two words'
    is "$(variable IMPORTED)" 'from a file'
    is "$(variable TOKEN)" "$SECRET"
    temps env unset PLAIN --project app
    deploys_app app three
    is "$(variable PLAIN)" '(unset)'
    is "$(variable TOKEN)" "$SECRET"
}

# A preset's build sees the variables, and none of its layers has them.
secret_is_in_no_image() {
    local image
    mkdir -p "$STORY_FOLDER/preset"
    cp "$DEPLOY/e2e/app/server.js" "$STORY_FOLDER/preset/"
    printf 'preset\n' >"$STORY_FOLDER/preset/version"
    cat >"$STORY_FOLDER/preset/package.json" <<'JSON'
{ "name": "preset", "private": true, "scripts": { "build": "test -n \"$TOKEN\" && echo built", "start": "node server.js" } }
JSON
    temps projects create preset
    printf '%s' "$SECRET" | temps env set --secret TOKEN=- --project preset
    temps deploy "$STORY_FOLDER/preset" --project preset
    is "$(ask_app preset '/variable?name=TOKEN' -f)" "$SECRET"
    for image in $(docker images -q --filter "label=sh.temps.data-dir=$NODE/data" | sort -u); do
        exits_with 1 grep -F "$SECRET" <<<"$(docker history --no-trunc "$image")"
        exits_with 1 grep -F "$SECRET" <<<"$(docker inspect "$image")"
    done
    image=$(docker images -q --filter "label=sh.temps.data-dir=$NODE/data" --filter label=sh.temps.project=preset)
    docker save "$image" | tar -xO --wildcards '*.tar' '*.json' >"$STORY_FOLDER/layers"
    # shellcheck disable=SC2016 # the app's own text
    grep -qa 'starting \${version}' "$STORY_FOLDER/layers"
    exits_with 1 grep -qaF "$SECRET" "$STORY_FOLDER/layers"
    rm "$STORY_FOLDER/layers"
}

# Neither a log nor anything else that the node has written holds it in clear.
secret_is_in_no_file() {
    exits_with 1 grep -raF "$SECRET" "$NODE/data" "$NODE/node.log"
    exits_with 1 grep -F "$SECRET" <<<"$(temps logs --build --project preset; temps audit --json; temps projects show app --json
        temps deployments list --project app --json; api GET /projects/app/environments/production/env-vars)"
}

replicas_are() {
    is "$(temps projects show app --json | field '.environments[0].healthy_replicas')" "$1" &&
        is "$(docker ps -q --filter status=running --filter "label=sh.temps.data-dir=$NODE/data" --filter "label=sh.temps.deployment=$(newest app | field .id)" | wc -l)" "$1"
}

scales() {
    temps scale 3 --project app
    wait_for 20 replicas_are 3
    answers app three
    temps scale 1 --project app
    wait_for 50 replicas_are 1
    answers app three
}

executes() {
    is "$(temps exec --project app -- cat /app/version)" three
    exits_with 7 temps exec --project app -- sh -c 'exit 7'
    is "$(temps exec --project app -- sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    is "$(printf 'through a pipe' | temps exec -i --project app -- cat)" 'through a pipe'
    [[ $(temps exec --project app -- id -u) =~ ^[0-9]+$ ]]
    temps exec --project app -- no-such-program 2>"$STORY_FOLDER/complaint" && return 1
    has 'no such program in the container: no-such-program' <"$STORY_FOLDER/complaint"
}

refuses_reserved_variables() {
    exits_with 1 temps env set PORT=5000 --project app 2>"$STORY_FOLDER/complaint"
    has 'temps.json' <"$STORY_FOLDER/complaint"
    printf 'PORT=5000\nBESIDE=yes\n' | temps env import - --project app 2>"$STORY_FOLDER/complaint"
    has 'PORT is left out' <"$STORY_FOLDER/complaint"
    is "$(temps env list --project app --json | field '[.items[].name] | any(. == "PORT")' || true)" false
    temps env unset BESIDE --project app
}

static_sites_have_no_replicas() {
    deploys static-site
    exits_with 1 temps scale 2 --project static-site 2>"$STORY_FOLDER/complaint"
    has 'static site' <"$STORY_FOLDER/complaint"
}

# The first address is nobody's; the second node of the list is this one.
falls_over_to_another_node() {
    local url
    url=$(api_url "$NODE")
    temps projects list --url "http://127.0.0.1:1,$url" 2>"$STORY_FOLDER/complaint" | has app
    has "asking $url" <"$STORY_FOLDER/complaint"
}

shows_logs() {
    temps logs --project app --tail 50 | has 'listening on port'
    is "$(temps logs --project app --tail 1 | wc -l)" 1
    temps logs --project app --tail 50 --json | jq -es 'all(.[]; .at and .replica and .stream == "stdout" and .text)'
    temps logs --build --project app | has 'done'
    temps logs --build 1 --project app --json | jq -es 'length > 0 and all(.[]; .at and (.step | type) == "string")'
}

follows_logs() {
    temps logs --project app -f --tail 0 >"$STORY_FOLDER/followed" 2>&1 &
    local pid=$!
    wait_for 20 line_is_followed
    kill "$pid"
}

# The line is written again and again: nobody knows when the stream is open.
line_is_followed() {
    temps exec --project app -- sh -c 'echo a-new-line >/proc/1/fd/1'
    grep -q a-new-line "$STORY_FOLDER/followed"
}

shows_deployments() {
    temps deployments list --project app | grep -E '^3 +live '
    is "$(temps deployments list --project app --json | field '[.items[].number] | join(" ")')" '3 2 1'
    is "$(temps deployments show 2 --project app --json | field .number)" 2
    temps deployments show --project app --json | field '[.history[].phase] | join(" ")' | has 'queued building'
    temps deployments show 3 --project app | has live
}

is_phase() { is "$(temps deployments show --project app --json | field .phase)" "$1"; }

cancels() {
    write_app "$STORY_FOLDER/long" never
    printf 'RUN echo %s && sleep 300\n' "$STORY_FOLDER" >>"$STORY_FOLDER/long/Dockerfile"
    temps deploy "$STORY_FOLDER/long" --project app >"$STORY_FOLDER/cancelled" 2>&1 &
    local pid=$!
    wait_for 15 is_phase building
    temps deployments cancel --project app
    exits_with 3 wait "$pid"
    is_phase cancelled
    answers app three
    # The builder is free again.
    deploys_app app four
    answers app four
}

idempotent() {
    local body='{"source": {"type": "image", "reference": "node:22-slim"}}' first second before
    before=$(api GET '/projects/app/deployments?limit=200' | field '.items | length')
    first=$(api_json POST /projects/app/deployments "$body" -H 'Idempotency-Key: the same' | field .id)
    second=$(api_json POST /projects/app/deployments "$body" -H 'Idempotency-Key: the same' | field .id)
    is "$second" "$first"
    is "$(api GET '/projects/app/deployments?limit=200' | field '.items | length')" $((before + 1))
    api POST "/projects/app/deployments/$first/cancel"
}

stale_precondition() {
    local tag now other
    tag=$(api GET /projects/app -D - -o "$STORY_FOLDER/project" | sed -nE 's/^etag: (.*)\r$/\1/Ip')
    [[ -n $tag ]]
    now=$(jq .previews "$STORY_FOLDER/project")
    other=$(jq '.previews | not' "$STORY_FOLDER/project")
    is "$(api_json PATCH /projects/app "{\"previews\": $other}" -H "If-Match: $tag" -o /dev/null -w '%{http_code}')" 200
    is "$(api_json PATCH /projects/app "{\"previews\": $now}" -H "If-Match: $tag" -o "$STORY_FOLDER/stale" -w '%{http_code}')" 412
    is "$(field .code <"$STORY_FOLDER/stale")" changed
    is "$(api GET /projects/app | jq .previews)" "$other"
}

# as TOKEN COMMAND…: the CLI with that key and no login.
as() { XDG_CONFIG_HOME=$STORY_FOLDER/nobody TEMPS_API_URL=$(api_url "$NODE") TEMPS_API_TOKEN=$1 "$TEMPS_BIN" "${@:2}"; }

keys_are_scoped() {
    local key id
    temps apikeys create reading --permission read --expires-in-days 1 --json >"$STORY_FOLDER/key"
    key=$(field .key <"$STORY_FOLDER/key")
    id=$(field .id <"$STORY_FOLDER/key")
    [[ $key == tk_* ]]
    as "$key" projects show app --json | field .name | grep -x app
    exits_with 1 as "$key" scale 2 --project app
    exits_with 1 as "$key" env set A=b --project app
    exits_with 1 as "$key" exec --project app -- true
    exits_with 1 as "$key" deploy "$STORY_FOLDER/apps/app" --project app
    exits_with 1 as "$key" users list
    temps apikeys list --json | field '.items[] | select(.name == "reading") | .expires_at' | grep .
    exits_with 1 grep -F "$key" <<<"$(temps apikeys list --json)"
    temps apikeys delete "$id"
    exits_with 1 as "$key" projects
    exits_with 1 as tk_nonsense projects
    exits_with 1 grep -raF "$key" "$NODE/data" "$NODE/node.log"
}

# log_in_as EMAIL PASSWORD: prints the API key of the new login.
log_in_as() {
    local home=$STORY_FOLDER/login-$1
    mkdir -p "$home"
    printf '%s\n' "$2" | XDG_CONFIG_HOME=$home "$TEMPS_BIN" login "$(api_url "$NODE")" --email "$1" --password-stdin >&2
    jq -er '.contexts[].key' "$home/temps/config.json"
}

roles_hold() {
    local password reader
    password=$(temps users create reader@localho.st --role reader --json | field .password)
    reader=$(log_in_as reader@localho.st "$password")
    as "$reader" projects list --json | field '.items[].name' | grep -x app
    exits_with 1 as "$reader" scale 2 --project app 2>"$STORY_FOLDER/refused"
    has permi <"$STORY_FOLDER/refused"
    exits_with 1 as "$reader" users list
    exits_with 1 as "$reader" audit
    exits_with 1 as "$reader" settings set preview_domain=example.com
    exits_with 1 as "$reader" apikeys create more --permission admin
    temps users role reader@localho.st user
    reader=$(log_in_as reader@localho.st "$password")
    as "$reader" scale 1 --project app
    exits_with 1 as "$reader" users create another@localho.st
    rm -r "$STORY_FOLDER/login-reader@localho.st"
    exits_with 2 log_in_as reader@localho.st wrong
    temps users delete reader@localho.st --yes
    exits_with 1 as "$reader" projects
}

last_admin_stays() { exits_with 1 temps users delete "$ADMIN_EMAIL" --yes; }

# A browser's session needs the CSRF token for every change.
sessions_are_protected() {
    local jar=$STORY_FOLDER/jar url token
    url=$(api_url "$NODE")/api
    curl -sS -c "$jar" -H 'Content-Type: application/json' "$url/auth/login" \
        --data "$(jq -n --arg e "$ADMIN_EMAIL" --arg p "$(<"$NODE/password")" '{email: $e, password: $p}')" >"$STORY_FOLDER/session"
    token=$(field .csrf_token <"$STORY_FOLDER/session")
    grep -q '^#HttpOnly_' "$jar"
    is "$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' "$url/projects")" 200
    is "$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' --data '{"name": "csrf"}' "$url/projects")" 403
    is "$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -H "X-CSRF-Token: $token" --data '{"name": "csrf"}' "$url/projects")" 201
    is "$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' -X POST -H "X-CSRF-Token: $token" "$url/logout")" 204
    is "$(curl -sS -b "$jar" -o /dev/null -w '%{http_code}' "$url/projects")" 401
}

audits() {
    temps audit --limit 200 --json >"$STORY_FOLDER/audit"
    field '.items | length > 10' <"$STORY_FOLDER/audit"
    field '[.items[] | tostring] | join(" ")' <"$STORY_FOLDER/audit" | has reader@localho.st
    field 'all(.items[]; .at and .actor and .action)' <"$STORY_FOLDER/audit"
    field '[.items[].from] | any(. == "127.0.0.1")' <"$STORY_FOLDER/audit"
}

lists_are_json() {
    local verb
    for verb in projects 'environments --project app' 'deployments --project app' 'env --project app' apikeys users audit; do
        # shellcheck disable=SC2086
        temps $verb --json | field '.items | type' | grep -x array
    done
    temps status --json | field '.cluster_id and .leader and (.may_lose == 0)'
    temps settings get --json | field .preview_domain
    temps open --project app --json | field .url
    temps version --json | field .version
}

exit_codes() {
    exits_with 0 temps status
    exits_with 1 temps projects show no-such-project
    exits_with 2 temps projects --no-such-flag
    exits_with 2 temps no-such-verb
    exits_with 2 temps scale many --project app
    exits_with 1 as '' status
    exits_with 1 temps status --url http://127.0.0.1:1
}

# An error says what, why, and what to try.
errors_help() {
    temps projects show no-such-project 2>"$STORY_FOLDER/error" || true
    has 'error:' <"$STORY_FOLDER/error"
    has 'why:' <"$STORY_FOLDER/error"
    has 'try:' <"$STORY_FOLDER/error"
    temps projects show no-such-project --json 2>"$STORY_FOLDER/error" || true
    is "$(field .code <"$STORY_FOLDER/error")" not_found
}

completes() {
    temps completion bash >"$STORY_FOLDER/completion"
    bash -n "$STORY_FOLDER/completion"
    has deployments <"$STORY_FOLDER/completion"
    temps completion zsh | has '#compdef temps'
    temps completion fish | has temps
}

has_documents() {
    local url
    url=$(api_url "$NODE")
    curl -fsS "$url/api-docs/openapi.json" | field '.openapi | startswith("3.1")'
    curl -fsSL "$url/swagger-ui/" | has '<title>'
    curl -fsSL "$url/api-docs" | has '<title>'
    curl -fsS "$url/api/schema/temps.json" | field '.properties.health'
    curl -fsS "$url/metrics" | has '# EOF'
    curl -fsS "$url/healthz"
}

# A short drain, so that scaling down is soon over.
deploys_first() {
    write_app "$STORY_FOLDER/apps/app" one
    printf '{"drainSeconds": 2}\n' >"$STORY_FOLDER/apps/app/temps.json"
    deploys_app app one
}

new_node
check 'the app deploys' deploys_first
check 'variables are set, imported and listed, secrets without their value' sets_variables
check 'variables reach the app with the next deployment' variables_reach_app_after_deploy
check 'a secret is in no image' secret_is_in_no_image
check 'a secret is in no file of the node and in no answer' secret_is_in_no_file
check 'an app scales up and down' scales
check 'exec gives output, input and the exit code' executes
check 'what Temps sets itself cannot be set' refuses_reserved_variables
check 'a static site is not scaled' static_sites_have_no_replicas
check 'another node is asked where one does not answer' falls_over_to_another_node
check 'logs are shown' shows_logs
check 'logs are followed' follows_logs
check 'deployments are listed and shown' shows_deployments
check 'a build is cancelled' cancels
check 'the same idempotency key makes one deployment' idempotent
check 'a stale precondition is refused' stale_precondition
check 'API keys do what they are for, and nothing else' keys_are_scoped
check 'roles hold' roles_hold
check 'the last admin stays' last_admin_stays
check 'sessions are protected' sessions_are_protected
check 'changes are audited' audits
check 'every list is JSON' lists_are_json
check 'exit codes tell what happened' exit_codes
check 'errors help' errors_help
check 'completions are scripts' completes
check 'the documents are there' has_documents
