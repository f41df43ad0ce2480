#!/usr/bin/env bash
# What is wrong is named within seconds, on the command line and in the deployment's record, and the running version
# keeps serving.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

# How long any of these may take to be named. Seconds.
VERDICT_SECONDS=25
# The size of the disk that gets full.
DISK_SIZE=48m

# refused CODE TEXT DEPLOY-ARGUMENT…: the deployment fails with that code, its message has that text.
refused() {
    local code=$1 text=$2 began
    shift 2
    began=$(now_ms)
    exits_with 3 temps deploy "$@" --project app --json >"$STORY_FOLDER/answer" 2>"$STORY_FOLDER/complaint"
    cat "$STORY_FOLDER/answer" "$STORY_FOLDER/complaint"
    (($(now_ms) - began < VERDICT_SECONDS * 1000))
    is "$(field .failure.code <"$STORY_FOLDER/answer")" "$code"
    has "$text" <"$STORY_FOLDER/complaint"
    newest app >"$STORY_FOLDER/record"
    is "$(field .phase <"$STORY_FOLDER/record")" failed
    is "$(field .failure.code <"$STORY_FOLDER/record")" "$code"
    field .failure.message <"$STORY_FOLDER/record" | has "$text"
    field .failure.hint <"$STORY_FOLDER/record" | grep -q .
    is "$(newest app | field .id)" "$(field .id <"$STORY_FOLDER/answer")"
    answers app good
}

# folder NAME: a copy of the app to spoil; sets FOLDER.
folder() {
    FOLDER=$STORY_FOLDER/bad/$1
    write_app "$FOLDER" bad
}

missing_repository() { refused source_not_found "$STORY_FOLDER/nowhere" --git "file://$STORY_FOLDER/nowhere"; }

missing_branch() {
    git init -q -b main "$STORY_FOLDER/repository"
    write_app "$STORY_FOLDER/repository" bad
    git -C "$STORY_FOLDER/repository" add .
    git -C "$STORY_FOLDER/repository" -c user.name=e2e -c user.email=e2e@localho.st commit -qm app
    refused revision_not_found no-such-branch --git "file://$STORY_FOLDER/repository" --branch no-such-branch
    refused revision_not_found 0123456789 --git "file://$STORY_FOLDER/repository" --commit 0123456789012345678901234567890123456789
}

failing_dockerfile() {
    folder dockerfile
    printf 'RUN echo the-reason-for-it && exit 9\n' >>"$FOLDER/Dockerfile"
    refused build_failed 'exit code 9' "$FOLDER"
    field '.failure.log_tail | join(" ")' <"$STORY_FOLDER/record" | has the-reason-for-it
}

unreadable_dockerfile() {
    folder unreadable
    printf 'FRMO nothing\n' >>"$FOLDER/Dockerfile"
    refused build_failed FRMO "$FOLDER"
}

image_that_exits() {
    folder exits
    printf 'CMD ["sh", "-c", "echo last-words; exit 7"]\n' >>"$FOLDER/Dockerfile"
    refused exited 7 "$FOLDER"
    field '.failure.log_tail | join(" ")' <"$STORY_FOLDER/record" | has last-words
}

wrong_port() {
    folder port
    printf '{"port": 4321}\n' >"$FOLDER/temps.json"
    sed -i 's/^const port = .*/const port = 3000;/' "$FOLDER/server.js"
    refused port_closed 4321 "$FOLDER"
}

closed_port() {
    folder closed
    printf '{"health": {"deadlineSeconds": 4}}\n' >"$FOLDER/temps.json"
    printf 'CMD ["sleep", "600"]\n' >>"$FOLDER/Dockerfile"
    refused port_closed 3000 "$FOLDER"
}

unhealthy() {
    folder unhealthy
    printf '{"health": {"path": "/not-here", "deadlineSeconds": 4, "intervalSeconds": 1}}\n' >"$FOLDER/temps.json"
    refused unhealthy 404 "$FOLDER"
}

wrong_key() {
    folder key
    printf '{"helth": {"path": "/"}}\n' >"$FOLDER/temps.json"
    refused config_invalid helth "$FOLDER"
    has health <"$STORY_FOLDER/record"
}

wrong_value() {
    folder value
    printf '{"port": 70000}\n' >"$FOLDER/temps.json"
    refused config_invalid port "$FOLDER"
}

nothing_to_build() {
    FOLDER=$STORY_FOLDER/bad/nothing
    mkdir -p "$FOLDER"
    printf 'just a text\n' >"$FOLDER/notes.txt"
    refused preset_not_found '' "$FOLDER"
}

# Nothing is made for what cannot be deployed.
wrong_arguments() {
    exits_with 2 temps deploy --project fresh --git 'ext::sh -c id'
    exits_with 2 temps deploy --project fresh --git "file://$STORY_FOLDER/nowhere" --branch 'a..b'
    exits_with 2 temps deploy --project fresh --git "file://$STORY_FOLDER/nowhere" --commit HEAD
    exits_with 2 temps deploy --project fresh --image 'UPPER CASE'
    exits_with 1 temps deploy "$STORY_FOLDER/apps/app" --project fresh --environment nowhere
    exits_with 1 temps projects show fresh
}

wrong_start() {
    local folder=$STORY_FOLDER/never
    exits_with 2 env TEMPS_ADMIN_EMAIL=nobody "$TEMPS_BIN" serve --data-dir "$folder"
    exits_with 2 env TEMPS_ADMIN_PASSWORD=short "$TEMPS_BIN" serve --data-dir "$folder"
    [[ ! -e $folder ]]
    : >"$STORY_FOLDER/file"
    exits_with 2 "$TEMPS_BIN" serve --data-dir "$STORY_FOLDER/file" 2>"$STORY_FOLDER/complaint"
    has 'it is a file' <"$STORY_FOLDER/complaint"
}

missing_image() { refused image_not_found no-such-image --image localhost:1/no-such-image:1; }

# None of the failed versions left a container or a phase that goes on.
nothing_is_left() {
    is "$(containers app | wc -l)" 1
    temps deployments list --project app --limit 100 --json >"$STORY_FOLDER/list"
    is "$(jq '[.items[] | select(.phase != "live" and .phase != "failed" and .phase != "kept")] | length' "$STORY_FOLDER/list")" 0
}

without_engine() {
    stop_node "$NODE"
    TEMPS_DOCKER_SOCKET=$STORY_FOLDER/no-such-socket start_node "$NODE"
    folder engine
    answers app good
    refused engine_unavailable no-such-socket "$FOLDER"
    temps status >"$STORY_FOLDER/status"
    has 'ready, no engine' <"$STORY_FOLDER/status"
    has no-such-socket <"$STORY_FOLDER/status"
    curl -fsS "$(api_url "$NODE")/readyz" | field '.warnings[0]' | has 'container engine'
    restart_node
    answers app good
    deploys_app app good
}

# The node's folder is on a disk that another program fills up.
new_node_on_small_disk() {
    mkdir -p "$STORY_FOLDER/small/data"
    mount -t tmpfs -o "size=$DISK_SIZE" temps-e2e "$STORY_FOLDER/small/data"
}

fill_disk() {
    dd if=/dev/zero of="$NODE/data/filler" bs=64k 2>/dev/null || true
    is "$(df --output=avail "$NODE/data" | tail -1 | tr -d ' ')" 0
}

full_disk() {
    deploys static-site
    ask_app static-site / -f | has 'Hello from a static site'
    fill_disk
    head -c 3000000 /dev/urandom >"$STORY_FOLDER/samples/static-site/large.bin"
    local rc=0
    deploys static-site >"$STORY_FOLDER/full" 2>&1 || rc=$?
    cat "$STORY_FOLDER/full"
    [[ $rc == 1 || $rc == 3 ]]
    grep -q 'free space' "$STORY_FOLDER/full"
    ask_app static-site / -f | has 'Hello from a static site'
    node_runs "$NODE"
}

# What cannot be written is refused, again and again, and the apps are served on.
full_disk_refuses_changes() {
    local i
    for i in 1 2 3; do
        exits_with 1 temps env set "A=$i" --project static-site --json 2>"$STORY_FOLDER/complaint"
        cat "$STORY_FOLDER/complaint"
        is "$(field .code <"$STORY_FOLDER/complaint")" disk_full
    done
    ask_app static-site / -f | has 'Hello from a static site'
    node_runs "$NODE"
}

room_again() {
    rm "$NODE/data/filler"
    rm "$STORY_FOLDER/samples/static-site/large.bin"
    deploys static-site
    ask_app static-site / -f | has 'Hello from a static site'
}

new_node
check 'the good version deploys' deploys_app app good
check 'a repository that does not exist' missing_repository
check 'a branch and a commit that do not exist' missing_branch
check 'a Dockerfile whose step fails' failing_dockerfile
check 'a Dockerfile that cannot be read' unreadable_dockerfile
check 'an image that exits at once' image_that_exits
check 'an app that listens on another port' wrong_port
check 'a port nobody listens on' closed_port
check 'a health check that never passes' unhealthy
check 'a configuration with a wrong key' wrong_key
check 'a configuration with a wrong value' wrong_value
check 'a folder that says nothing about its build' nothing_to_build
check 'an image that does not exist' missing_image
check 'arguments that nothing can be deployed from' wrong_arguments
check 'a node that is started with wrong settings' wrong_start
check 'no container and no unfinished deployment is left' nothing_is_left
check 'no container engine' without_engine
step 'mount a small disk' new_node_on_small_disk
at_end umount "$STORY_FOLDER/small/data"
new_node small
check 'a full disk' full_disk
check 'a change that a full disk cannot keep' full_disk_refuses_changes
check 'after the disk has room again, deploys work' room_again
