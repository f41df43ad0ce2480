#!/usr/bin/env bash
# Git: a push to the node, preview environments, webhooks, and deploys of a repository.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL=/dev/null

# How long a deployment of the small app may take. Seconds.
DEPLOY_SECONDS=40

# commit FOLDER VERSION: a commit of the app at that version.
commit() {
    [[ -d $1/.git ]] || git init -q -b main "$1"
    write_app "$1" "$2"
    git -C "$1" add .
    git -C "$1" -c user.name=e2e -c user.email=e2e@localho.st commit -qm "version $2"
}

hash_of() { git -C "$1" rev-parse HEAD; }

# remote_url PROJECT: with the login's API key as the password.
remote_url() {
    printf 'http://%s:%s@%s/git/%s.git\n' any "$(jq -er '.contexts[].key' "$NODE/client/temps/config.json")" \
        "$(address "$NODE" api)" "$1"
}

# environment_answers PROJECT ENVIRONMENT VERSION
environment_answers() {
    local url
    url=$(temps open --project "$1" --environment "$2" --json | field .url)
    is "$(ask "$url/" -f)" "$3"
}

environments() { temps environments list --project "$1" --json | field '[.items[].name] | sort | join(" ")'; }

push_deploys() {
    temps projects create pushed
    commit "$PUSHED" one
    git -C "$PUSHED" remote add temps "$(remote_url pushed)"
    git -C "$PUSHED" push -q temps main
    wait_for "$DEPLOY_SECONDS" answers pushed one
    is "$(newest pushed | field .revision.commit)" "$(hash_of "$PUSHED")"
    commit "$PUSHED" two
    git -C "$PUSHED" push -q temps main
    wait_for "$DEPLOY_SECONDS" answers pushed two
}

push_needs_a_key() {
    exits_with 128 git ls-remote "http://any:tk_wrong@$(address "$NODE" api)/git/pushed.git"
    exits_with 128 git ls-remote "http://$(address "$NODE" api)/git/pushed.git"
}

clone_gives_it_back() {
    git clone -q "$(remote_url pushed)" "$STORY_FOLDER/clone"
    is "$(<"$STORY_FOLDER/clone/version")" two
}

push_makes_preview() {
    git -C "$PUSHED" checkout -q -b feature/login
    commit "$PUSHED" preview
    git -C "$PUSHED" push -q temps feature/login
    wait_for "$DEPLOY_SECONDS" environment_answers pushed feature-login preview
    answers pushed two
    temps open --project pushed --environment feature-login --json | field .url | has '//pushed-feature-login.localho.st'
}

deleted_branch_ends_preview() {
    git -C "$PUSHED" push -q temps --delete feature/login
    wait_for 10 is_only_production pushed
    answers pushed two
}

is_only_production() { is "$(environments "$1")" production; }

no_previews_when_off() {
    temps projects create plain --no-previews
    git -C "$PUSHED" push -q "$(remote_url plain)" main
    wait_for "$DEPLOY_SECONDS" answers plain two
    git -C "$PUSHED" push -q "$(remote_url plain)" feature/login
    is_only_production plain
    is "$(temps deployments list --project plain --json | field '.items | length')" 1
}

make_hooked_project() {
    commit "$HOOKED" first
    temps projects create hooked --repository "file://$HOOKED" --branch main
    temps projects webhook-secret hooked --json | field .secret >"$STORY_FOLDER/webhook-secret"
}

# push_event BRANCH: what GitHub, GitLab and Gitea agree on.
push_event() {
    jq -nc --arg ref "refs/heads/$1" --arg after "$(hash_of "$HOOKED")" \
        '{ref: $ref, after: $after, commits: [{id: $after, message: "a change", author: {name: "e2e"}}]}'
}

signature() { openssl dgst -sha256 -hmac "$(<"$STORY_FOLDER/webhook-secret")" -r | cut -d' ' -f1; }

# hook SERVER BODY HEADER…: the status of the answer; the body goes to the step's log.
hook() {
    local server=$1 body=$2 header options=()
    shift 2
    for header; do options+=(-H "$header"); done
    curl -sS --max-time 20 -o "$STORY_FOLDER/hook" -w '%{http_code}' -H 'Content-Type: application/json' "${options[@]}" \
        --data-binary "$body" "$(api_url "$NODE")/api/webhook/git/$server/hooked"
}

deployments_of() { api GET "/projects/$1/deployments?limit=200" | field '.items | length'; }

# webhook_deploys SERVER VERSION HEADER…: %s in a header stands for the signature.
webhook_deploys() {
    local server=$1 version=$2 body header wrong=() right=() before
    shift 2
    commit "$HOOKED" "$version"
    body=$(push_event main)
    for header; do
        wrong+=("${header//%s/0000000000000000000000000000000000000000000000000000000000000000}")
        header=${header//%s/$(printf '%s' "$body" | signature)}
        right+=("${header//%t/$(<"$STORY_FOLDER/webhook-secret")}")
    done
    before=$(deployments_of hooked)
    is "$(hook "$server" "$body" "${wrong[@]}")" 401
    is "$(hook "$server" "$body")" 401
    is "$(deployments_of hooked)" "$before"
    is "$(hook "$server" "$body" "${right[@]}")" 202
    cat "$STORY_FOLDER/hook"
    wait_for "$DEPLOY_SECONDS" answers hooked "$version"
    is "$(hook "$server" "$body" "${right[@]}")" 202
    is "$(deployments_of hooked)" $((before + 1))
}

github_deploys() { webhook_deploys github by-github 'X-GitHub-Event: push' 'X-GitHub-Delivery: 1' 'X-Hub-Signature-256: sha256=%s'; }
gitlab_deploys() { webhook_deploys gitlab by-gitlab 'X-Gitlab-Event: Push Hook' 'Idempotency-Key: 2' 'X-Gitlab-Token: %t'; }
gitea_deploys() { webhook_deploys gitea by-gitea 'X-Gitea-Event: push' 'X-Gitea-Delivery: 3' 'X-Gitea-Signature: %s'; }

# A body that was changed on its way does not fit its signature.
changed_body_is_refused() {
    local body
    body=$(push_event main)
    is "$(hook github "$body " 'X-GitHub-Event: push' "X-Hub-Signature-256: sha256=$(printf '%s' "$body" | signature)")" 401
}

other_events_are_ignored() {
    local before
    before=$(deployments_of hooked)
    is "$(hook github '{}' 'X-GitHub-Event: ping' "X-Hub-Signature-256: sha256=$(printf '{}' | signature)")" 200
    is "$(deployments_of hooked)" "$before"
}

deploys_repository() {
    commit "$HOOKED" main-version
    git -C "$HOOKED" checkout -q -b other
    commit "$HOOKED" other-version
    git -C "$HOOKED" checkout -q main
    temps deploy --git "file://$HOOKED" --project repository
    answers repository main-version
    temps deploy --git "file://$HOOKED" --branch other --project repository
    answers repository other-version
    temps deploy --git "file://$HOOKED" --commit "$(git -C "$HOOKED" rev-parse main~1)" --project repository
    answers repository by-gitea
}

PUSHED=$STORY_FOLDER/pushed
HOOKED=$STORY_FOLDER/hooked
new_node
check 'a push to the node deploys, and the next push too' push_deploys
check 'a push needs a key' push_needs_a_key
check 'what was pushed can be cloned' clone_gives_it_back
check 'a push to another branch makes a preview environment' push_makes_preview
check 'deleting the branch ends its preview environment' deleted_branch_ends_preview
check 'a project without previews makes none' no_previews_when_off
step 'create a project with a repository' make_hooked_project
check 'a webhook of GitHub deploys when its signature is right, once' github_deploys
check 'a webhook of GitLab deploys when its token is right, once' gitlab_deploys
check 'a webhook of Gitea deploys when its signature is right, once' gitea_deploys
check 'a webhook whose body was changed is refused' changed_body_is_refused
check 'events that are no pushes deploy nothing' other_events_are_ignored
check 'a repository deploys by its default branch, a branch and a commit' deploys_repository
