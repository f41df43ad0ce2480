#!/usr/bin/env bash
# Every command that README.md shows works as it is written there; only addresses and repositories are others.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

README=$DEPLOY/../README.md
QUICKSTART=$STORY_FOLDER/quickstart

# shellcheck disable=SC2016 # backquotes are Markdown's here
# readme_commands: those of the shell blocks, and what stands in backquotes in text and tables, in their order.
readme_commands() {
    awk '
        /^```sh/ { block = 1; next }
        /^```/ { block = 0; other = !other && $0 == "```"; next }
        block { sub(/ +# .*/, ""); if (NF) print; next }
        { while (match($0, /`(temps|docker|deploy\/[a-z-]+\.sh)( [^`]*)?`/)) {
            print substr($0, RSTART + 1, RLENGTH - 2); $0 = substr($0, RSTART + RLENGTH) } }
    ' "$README"
}

# as_written COMMAND: runs it in the app's folder, with this story's addresses in place of the examples.
as_written() {
    local command=$1
    command=${command//127.0.0.1:3000/$(address "$NODE" api)}
    command=${command//https:\/\/git.example.com\/team\/shop.git/file://$STORY_FOLDER/shop.git}
    printf '$ %s\n' "$command"
    cd "$STORY_FOLDER/app"
    bash -euc "$command" "${@:2}"
}

# on_a_terminal COMMAND: the same, where it finds a terminal; its standard input is typed.
on_a_terminal() {
    cd "$STORY_FOLDER/app"
    timeout 30 script -qefc "$1" "$STORY_FOLDER/terminal"
}

# type_at PROMPT: passes its standard input on once the terminal shows the prompt.
type_at() {
    wait_until 10 grep -q "$1" "$STORY_FOLDER/terminal"
    cat
}

run_quickstart() { TEMPS_QUICKSTART_DIR=$QUICKSTART "$DEPLOY/quickstart.sh" "$@"; }

# printed_apps_answer: every URL under `Apps`, at the node that was printed with it.
printed_apps_answer() {
    local name url port count=0
    sed -n '/^Apps/,/^$/p' "$STORY_FOLDER/printed" | grep http >"$STORY_FOLDER/apps.printed"
    while read -r name url; do
        port=$(sed -E 's,^http://[^:/]*:?([0-9]*).*,\1,' <<<"$url")
        printf '%s %s\n' "$name" "$url"
        curl -fsS --max-time 20 --connect-to "$(host_of "$url")::127.0.0.1:${port:-80}" "$url" | grep -q 'on Temps</title>'
        count=$((count + 1))
    done <"$STORY_FOLDER/apps.printed"
    is "$count" "$(find "$SAMPLES" -mindepth 1 -maxdepth 1 -type d | wc -l)"
}

quickstart_works() {
    run_quickstart >"$STORY_FOLDER/printed"
    cat "$STORY_FOLDER/printed"
    grep -E '^  password +[^ ]{12,} +\(shown this once\)' "$STORY_FOLDER/printed"
    printed_apps_answer
    curl -fsS "$(sed -nE 's/^  API +(http.*)\/api$/\1/p' "$STORY_FOLDER/printed")/readyz"
}

quickstart_twice_is_harmless() {
    local pid
    pid=$(<"$QUICKSTART/node.pid")
    run_quickstart >"$STORY_FOLDER/printed"
    is "$(<"$QUICKSTART/node.pid")" "$pid"
    exits_with 1 grep 'shown this once' "$STORY_FOLDER/printed"
    printed_apps_answer
}

quickstart_stops() {
    local pid
    pid=$(<"$QUICKSTART/node.pid")
    run_quickstart --stop
    pid_is_gone "$pid"
    is "$(docker ps -aq --filter "label=sh.temps.data-dir=$QUICKSTART/data")" ''
    run_quickstart --stop
}

# login_asks: for the e-mail address and the password, which it does not show.
login_asks() {
    local home=$STORY_FOLDER/typed
    mkdir -p "$home"
    export XDG_CONFIG_HOME=$home TEMPS_API_URL
    TEMPS_API_URL=$(api_url "$NODE")
    : >"$STORY_FOLDER/terminal"
    {
        type_at 'E-mail:' <<<"$ADMIN_EMAIL"
        type_at 'Password:' <"$NODE/password"
    } | on_a_terminal "$1"
    exits_with 1 grep -F -e "$(<"$NODE/password")" "$STORY_FOLDER/terminal"
    jq -e --arg url "$TEMPS_API_URL" '.contexts[$url].key' "$home/temps/config.json"
}

push_works() {
    jq -er '.contexts[].key' "$NODE/client/temps/config.json" >"$STORY_FOLDER/key"
    # Git takes one answer for the user's name and for the password; any name goes with a key.
    printf '#!/bin/sh\ncat %q\n' "$STORY_FOLDER/key" >"$STORY_FOLDER/askpass"
    chmod +x "$STORY_FOLDER/askpass"
    GIT_ASKPASS=$STORY_FOLDER/askpass as_written "$1"
    wait_for 40 answers shop pushed
}

request_is_shown() { as_written "$1" | grep ' 200 GET '; }

log_follows() {
    local pid
    as_written "$1" >"$STORY_FOLDER/followed" &
    pid=$!
    wait_for 10 grep -q 'listening on port' "$STORY_FOLDER/followed"
    kill -0 "$pid"
    kill "$pid"
}

shell_opens() {
    printf 'printf %%s-%%s the-shell says\nexit\n' | on_a_terminal "$1"
    has the-shell-says <"$STORY_FOLDER/terminal"
}

secret_is_read() {
    printf 'a secret' | as_written "$1"
    temps env list --project app --json | field '.items[] | select(.name == "KEY") | .secret' | grep -x true
}

rolls_back() {
    deploys_version two
    answers app two
    as_written "$1"
    answers app one
}

image_deploys() {
    "$DEPLOY/base-images.sh" nginx:stable
    as_written "$1"
    ask_app nginx / -f | has nginx
}

engine_logs_in() {
    temps apikeys create engine --json | field .key >"$STORY_FOLDER/engine.key"
    as_written "$1 --username ci --password-stdin" <"$STORY_FOLDER/engine.key"
}

image_is_pushed() {
    "$DEPLOY/base-images.sh" nginx:stable
    docker tag nginx:stable "$(address "$NODE" api)/team/shop:1"
    as_written "$1"
    docker rmi "$(address "$NODE" api)/team/shop:1"
}

# name_is_waited_for COMMAND: nobody lets the example lead here; the command says so when its time is up.
name_is_waited_for() {
    exits_with 1 as_written "$1 --timeout 3s" 2>&1 | tee "$STORY_FOLDER/verified"
    has 'app.example.com' <"$STORY_FOLDER/verified"
}

# certificate_is_shown COMMAND: by the edge, to whoever asks for the name.
certificate_is_shown() {
    local command=${1/--chain FILE/--chain $STORY_FOLDER/chain.pem}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=e2e' \
        -addext subjectAltName=DNS:app.example.com -keyout "$STORY_FOLDER/key.pem" -out "$STORY_FOLDER/chain.pem" 2>/dev/null
    as_written "${command/--key FILE/--key $STORY_FOLDER/key.pem}"
    wait_for 10 over_https app.example.com
}

# password_is_asked COMMAND: nobody is let in without it; it is taken away again for what follows.
password_is_asked() {
    printf 'e2e-password\n' >"$STORY_FOLDER/password"
    as_written "${1/FILE/$STORY_FOLDER/password}"
    wait_for 10 asks_for_a_password
    temps guards off -p app
}

# account_is_bound COMMAND: to an id, with a key that nobody is shown again; taken back, for that authority is an example.
account_is_bound() {
    local key before
    key=$(openssl rand 32 | base64 | tr '+/' '-_' | tr -d '=')
    before=$(temps settings show --json | field .acme.directory)
    printf '%s\n' "$key" >"$STORY_FOLDER/eab"
    as_written "${1/FILE/$STORY_FOLDER/eab}" | tee "$STORY_FOLDER/bound"
    grep -E 'acme.eab_key_id +ID' "$STORY_FOLDER/bound"
    if grep -F -- "$key" "$STORY_FOLDER/bound"; then return 1; fi
    temps settings set "acme.directory=$before" acme.eab_key_id= acme.eab_key=
}

asks_for_a_password() { status_of "$(app_url "$NODE" app)" | grep -qx 403; }

# other_project_calls COMMAND: the project shop, by then the image that was pushed; listed, and no more once it is denied.
other_project_calls() {
    as_written "${1/OTHER/shop}" | has 'callers deny shop -p app'
    temps projects callers list -p app --json | field '.items[].name' | grep -x shop
    temps projects callers deny shop -p app
    temps projects callers list -p app | has 'Only apps of app itself'
}

# over_https NAME: the app answers with a certificate that the story's own authority vouches for.
over_https() {
    local port
    port=$(address "$NODE" https)
    port=${port##*:}
    curl -fsS --max-time 5 --cacert "$STORY_FOLDER/chain.pem" --connect-to "$1::127.0.0.1:$port" "https://$1/" | grep .
}

# offers_http3: the node holds the UDP port of HTTPS, and says so over TCP.
offers_http3() {
    local port
    port=$(address "$NODE" https)
    port=${port##*:}
    curl -fksS --max-time 5 -o /dev/null -D - --connect-to "::127.0.0.1:$port" "https://app-production.localho.st:$port/" |
        grep -i "^alt-svc: h3=\":$port\""
}

has_headers() { ask_app app / -f -D - -o /dev/null | grep -i '^x-content-type-options: nosniff'; }

deploys_version() {
    printf '%s\n' "$1" >"$STORY_FOLDER/app/version"
    (cd "$STORY_FOLDER/app" && temps deploy)
}

# works COMMAND: what proves it. A command of README.md that is not here fails.
works() {
    case $1 in
    'deploy/quickstart.sh') quickstart_works; quickstart_twice_is_harmless ;;
    'deploy/quickstart.sh --stop') quickstart_stops ;;
    # This story is a part of it.
    'deploy/test.sh') [[ -x $DEPLOY/test.sh ]]; bash -n "$DEPLOY/test.sh" ;;
    'deploy/base-images.sh') "$DEPLOY/base-images.sh" debian:bookworm-slim; docker image inspect debian:bookworm-slim >/dev/null ;;
    'export TEMPS_API_URL='*) as_written "$1 && test -n \"\$TEMPS_API_URL\"" ;;
    'temps login '*) login_asks "$1" ;;
    'temps deploy') as_written "$1" | grep -x "http://app-production.localho.st:$(edge_port "$NODE")"; answers app one ;;
    'temps deploy --git '*) as_written "$1"; answers shop from-git ;;
    'temps deploy --dry-run') as_written "$1" | grep -E '^because +' ;;
    'temps deploy --image nginx:stable') image_deploys "$1" ;;
    'docker login 127.0.0.1:3000') engine_logs_in "$1" ;;
    'docker push 127.0.0.1:3000/team/shop:1') image_is_pushed "$1" ;;
    'temps deploy --image 127.0.0.1:3000/team/shop:1') as_written "$1"; ask_app shop / -f | has nginx ;;
    'temps domains add app.example.com') as_written "$1" | grep -E '^TXT +_temps-challenge.app.example.com ' ;;
    'temps domains verify app.example.com --wait') name_is_waited_for "$1" ;;
    'temps domains show app.example.com') as_written "$1" | has 'waiting for DNS' ;;
    'temps certificates add --chain FILE --key FILE') certificate_is_shown "$1" ;;
    'temps headers set moderate --project app') as_written "$1"; wait_for 10 has_headers ;;
    'temps guards set -p app --deny 203.0.113.0/24') as_written "$1" | has 203.0.113.0/24 ;;
    'temps guards set -p app --rate-per-ip 100/1m --rate-in-all 5000/1m') as_written "$1" | has 5000/1m ;;
    'temps guards set -p app --attack-mode auto') as_written "$1" | has auto ;;
    'temps guards set -p app --password-file FILE') password_is_asked "$1" ;;
    'temps guards show -p app') as_written "$1" | grep -E '^attack mode +off' ;;
    'temps settings set acme.directory='*) account_is_bound "$1" ;;
    'temps settings set edge.trusted_proxies=10.0.0.0/8') as_written "$1" | has 10.0.0.0/8 ;;
    'temps settings set edge.http3=true') as_written "$1" | grep -E 'edge.http3 +true'; wait_for 10 offers_http3 ;;
    'temps settings set dns.zones=apps.example.com') as_written "$1" | grep -E 'dns.zones +.*apps.example.com' ;;
    'temps dns zones show apps.example.com') as_written "$1" | has 'apps.example.com: ' ;;
    'git remote add temps '*) push_works "$1" ;;
    'temps logs -f') log_follows "$1" ;;
    'temps requests') ask_app app / >/dev/null; wait_for 10 request_is_shown "$1" ;;
    'temps status') as_written "$1" | has 'This is the only node' ;;
    'temps deployments list') as_written "$1" | grep -E '^1 +live ' ;;
    'temps env set KEY=value') as_written "$1"; temps env list --project app | grep -E 'KEY.*value' ;;
    'temps env set --secret KEY=-') secret_is_read "$1" ;;
    'temps env import .env') as_written "$1"; temps env list --project app | grep -E 'FROM_FILE.*yes' ;;
    'temps scale 3') as_written "$1"; wait_for 20 is_scaled 3 ;;
    'temps deployments rollback') rolls_back "$1" ;;
    'temps exec -it -- sh') shell_opens "$1" ;;
    'temps users create') as_written "$1 somebody@localho.st"; temps users list | has somebody@localho.st ;;
    'temps apikeys create') as_written "$1 ci" | has tk_ ;;
    'temps audit') as_written "$1" | has "$ADMIN_EMAIL" ;;
    'temps completion bash') as_written "$1" | bash -n ;;
    'temps serve') node_runs "$NODE"; [[ $(tr '\0' ' ' <"/proc/$(<"$NODE/node.pid")/cmdline") == *' serve '* ]] ;;
    'temps nodes token') as_written "$1"; temps nodes token --json | field .token >"$STORY_FOLDER/token"; grep -q '^tj_' "$STORY_FOLDER/token" ;;
    'temps join '*) joins ;;
    'temps nodes list') as_written "$1" | has n2 ;;
    'temps nodes show n2') as_written "$1" | has ready ;;
    'temps nodes drain n2') as_written "$1"; temps nodes show n2 | has drained ;;
    'temps nodes undrain n2') as_written "$1"; temps nodes show n2 | has ready ;;
    'temps nodes label n2 zone=north') as_written "$1"; temps nodes show n2 | has north ;;
    'temps upgrade --binary FILE') upgrades "$1" ;;
    'temps leave') leaves "$1" ;;
    'temps projects callers allow OTHER -p app') other_project_calls "$1" ;;
    'temps nodes remove n2') removes "$1" ;;
    # chaos-tests/ brings clusters up with it.
    'deploy/cluster.sh up 3') "$DEPLOY/cluster.sh" --help | has 'up [N]' ;;
    *) printf 'nothing here proves this command of README.md: %s\n' "$1" && return 1 ;;
    esac
}

is_scaled() { is "$(temps projects show app --json | field '.environments[0].healthy_replicas')" "$1"; }

# Flags, their environment and defaults are as `temps serve --help` says.
# The node that joins, in a folder of its own beside the first.
SECOND=$STORY_FOLDER/second

joins() {
    local port
    port=$(free_port_from $((20000 + $$ * 10 % 10000 + 5)))
    keep_addresses "$SECOND" "127.0.0.1:$port" "127.0.0.1:$(free_port_from $((port + 1)))" "127.0.0.1:$(free_port_from $((port + 2)))" "127.0.0.1:$(free_port_from $((port + 3)))"
    start_node "$SECOND" join "$(address "$NODE" peer)" --token "$(<"$STORY_FOLDER/token")" --name n2
    wait_for 30 second_is_ready
}

# An upgrade replaces the file that a node was started from.
node_binary() {
    [[ -e $1/temps ]] || ln "$TEMPS_BIN" "$1/temps" 2>/dev/null || cp "$TEMPS_BIN" "$1/temps"
    printf '%s/temps\n' "$1"
}

# upgrades COMMAND: to the same program with another digest.
upgrades() {
    local folder
    cp "$TEMPS_BIN" "$STORY_FOLDER/newer"
    printf '\n' >>"$STORY_FOLDER/newer"
    as_written "${1/FILE/$STORY_FOLDER/newer}" | grep 'All 2 nodes run'
    for folder in "$NODE" "$SECOND"; do
        cmp "$STORY_FOLDER/newer" "$folder/temps"
        wait_for 30 only_one_process_of "$folder"
        node_runs "$folder"
        cmp "$STORY_FOLDER/newer" "/proc/$(<"$folder/node.pid")/exe"
    done
    ask_app app / -f | grep .
}

# only_one_process_of FOLDER: the process before has finished what was under way.
only_one_process_of() { is "$(pgrep -cf -- "--data-dir $1/data ")" 1; }

second_is_ready() { temps nodes show n2 | grep -q ready; }
second_is_gone() { ! temps nodes list | grep -q n2; }

# leaves COMMAND: on the second node; its process ends.
leaves() {
    local key
    key=$(temps apikeys create leaving --permission read --permission admin --json | field .key)
    TEMPS_API_TOKEN=$key as_written "$1 --url http://$(address "$SECOND" api) --yes"
    wait_for 30 second_is_gone
}

# removes COMMAND: a node that is lost for ever; it joins once more for that.
removes() {
    stop_node "$SECOND"
    rm -rf "$SECOND"
    temps nodes token --json | field .token >"$STORY_FOLDER/token"
    joins
    kill -9 "$(<"$SECOND/node.pid")"
    as_written "$1"
    second_is_gone
}

flags_are_as_told() {
    local flag variable default help count=0
    help=$("$TEMPS_BIN" serve --help | tr -s ' \n' ' ')
    while IFS='|' read -r _ flag variable default _; do
        flag=$(tr -d '` ' <<<"$flag")
        variable=$(tr -d '` ' <<<"$variable")
        default=$(tr -d '` ' <<<"$default")
        printf '%s %s %s\n' "$flag" "$variable" "$default"
        grep -qE -- "$flag <.*\[env: $variable=?\]" <<<"$help"
        grep -qF -- "[default: $default" <<<"$help"
        count=$((count + 1))
    done < <(grep -E '^\| `--' "$README")
    ((count >= 6))
}

# Every path that README.md names is there.
# shellcheck disable=SC2016 # backquotes are Markdown's here
paths_are_there() {
    local path
    while read -r path; do
        printf '%s\n' "$path"
        [[ -e $DEPLOY/../$path ]]
    done < <(grep -oE '`[a-z]+/[a-z./-]*`' "$README" | tr -d '`' | sort -u; grep -oE '\]\([A-Z]+\.md\)' "$README" | tr -d ']()')
}

prepare() {
    mkdir -p "$STORY_FOLDER/bin"
    export DOCKER_CONFIG=$STORY_FOLDER/docker
    ln -s "$TEMPS_BIN" "$STORY_FOLDER/bin/temps"
    write_app "$STORY_FOLDER/app" one
    printf 'FROM_FILE=yes\n' >"$STORY_FOLDER/app/.env"
    git init -q -b main "$STORY_FOLDER/shop.git"
    write_app "$STORY_FOLDER/shop.git" from-git
    git -C "$STORY_FOLDER/shop.git" add .
    git -C "$STORY_FOLDER/shop.git" -c user.name=e2e -c user.email=e2e@localho.st commit -qm one
    # What is pushed is the app's folder, at another version.
    git init -q -b main "$STORY_FOLDER/app"
    printf 'pushed\n' >"$STORY_FOLDER/app/version"
    git -C "$STORY_FOLDER/app" add version Dockerfile server.js
    git -C "$STORY_FOLDER/app" -c user.name=e2e -c user.email=e2e@localho.st commit -qm one
    printf 'one\n' >"$STORY_FOLDER/app/version"
}

export PATH=$STORY_FOLDER/bin:$PATH GIT_CONFIG_GLOBAL=/dev/null
new_node
export XDG_CONFIG_HOME=$NODE/client
step 'make an app and a repository' prepare
at_end run_quickstart --purge
at_end remove_node_images "$SECOND/data"
at_end remove_node_containers "$SECOND/data"
at_end stop_node "$SECOND"
mapfile -t commands < <(readme_commands)
check 'README.md shows commands' test "${#commands[@]}" -gt 15
declare -A seen
for command in "${commands[@]}"; do
    [[ -z ${seen[$command]:-} ]] || continue
    seen[$command]=yes
    check "README.md: $command" works "$command"
done
check 'the flags of temps serve are as README.md says' flags_are_as_told
check 'the paths of README.md are there' paths_are_there
