#!/usr/bin/env bash
# Every sample deploys and answers; a static site is served as it should be.
# shellcheck source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"

sample_says() {
    deploys "$1"
    ask_app "$1" / -f | has "$2"
}

# The page is made in the browser: what proves it is its script, whose name has its content's hash in it.
vite_sample_says() {
    local script
    deploys vite-react
    ask_app vite-react / -f >"$STORY_FOLDER/vite.html"
    has 'React on Temps' <"$STORY_FOLDER/vite.html"
    script=$(grep -oE '/assets/[^"]+\.js' "$STORY_FOLDER/vite.html" | head -1)
    ask_app vite-react "$script" -f | has ' from React'
    ask_app vite-react "$script" -fI | has 'immutable'
    is "$(ask_app vite-react /a/route/of/the/page -f)" "$(<"$STORY_FOLDER/vite.html")"
    is "$(containers vite-react)" ''
}

second_deploy_works() {
    deploys "$1"
    is "$(temps deployments list --project "$1" --json | field '.items | length')" 2
    is "$(temps deployments show --project "$1" --json | field .phase)" live
    ask_app "$1" / -f | has "$2"
}

all_answer_at_their_own_host() {
    local sample
    for sample in dockerfile go-hello node-express python-flask static-site; do
        [[ $(app_url "$NODE" "$sample") == http://$sample-production.localho.st:* ]]
        ask_app "$sample" / -f | has "$(<"$STORY_FOLDER/$sample.says")"
    done
}

missing_page() {
    is "$(ask_app static-site /nowhere -o "$STORY_FOLDER/404" -w '%{http_code}')" 404
    cmp "$STORY_FOLDER/404" "$SAMPLES/static-site/404.html"
}

validators() {
    local etag modified
    ask_app static-site /style.css -f -D "$STORY_FOLDER/head" -o /dev/null
    etag=$(sed -nE 's/^etag: (.*)\r$/\1/Ip' "$STORY_FOLDER/head")
    modified=$(sed -nE 's/^last-modified: (.*)\r$/\1/Ip' "$STORY_FOLDER/head")
    [[ $etag == '"'*'"' ]]
    is "$(ask_app static-site /style.css -o "$STORY_FOLDER/304" -w '%{http_code}' -H "If-None-Match: $etag")" 304
    [[ ! -s $STORY_FOLDER/304 ]]
    is "$(ask_app static-site /style.css -o /dev/null -w '%{http_code}' -H "If-Modified-Since: $modified")" 304
    is "$(ask_app static-site /style.css -o /dev/null -w '%{http_code}' -H 'If-None-Match: "other"')" 200
}

ranges() {
    local file=$SAMPLES/static-site/style.css size
    size=$(stat -c %s "$file")
    is "$(ask_app static-site /style.css -f -r 5-24)" "$(head -c 25 "$file" | tail -c 20)"
    is "$(ask_app static-site /style.css -f -r -10)" "$(tail -c 10 "$file")"
    ask_app static-site /style.css -f -r 5-24 -D - -o /dev/null | grep -i "^content-range: bytes 5-24/$size"
    is "$(ask_app static-site /style.css -o /dev/null -w '%{http_code}' -r "$size-")" 416
}

# A file that is worth compressing.
deploy_long_file() {
    seq 1 5000 >"$STORY_FOLDER/samples/static-site/long.txt"
    deploys static-site
}

# encoded NAME COMMAND…: the answer in that encoding is what COMMAND unpacks to the file.
encoded() {
    local file=$STORY_FOLDER/samples/static-site/long.txt
    ask_app static-site /long.txt -f -H "Accept-Encoding: $1" -D "$STORY_FOLDER/head" -o "$STORY_FOLDER/packed"
    grep -qi "^content-encoding: $1" "$STORY_FOLDER/head"
    grep -qi '^vary:.*accept-encoding' "$STORY_FOLDER/head"
    "${@:2}" <"$STORY_FOLDER/packed" | cmp - "$file"
    (($(stat -c %s "$STORY_FOLDER/packed") * 2 < $(stat -c %s "$file")))
}

unbrotli() {
    docker run -i --rm --network none node:22-slim node -e \
        'process.stdin.pipe(require("node:zlib").createBrotliDecompress()).pipe(process.stdout)'
}

without_encoding() {
    ask_app static-site /long.txt -f -H 'Accept-Encoding: identity' -D "$STORY_FOLDER/head" -o "$STORY_FOLDER/plain"
    cmp "$STORY_FOLDER/plain" "$STORY_FOLDER/samples/static-site/long.txt"
    exits_with 1 grep -i '^content-encoding' "$STORY_FOLDER/head"
}

# No spelling of a way out of the folder shows a file of the machine.
no_path_escape() {
    local path status
    for path in /../../etc/passwd /../../../../../../../../etc/passwd /..%2f..%2f..%2fetc/passwd \
        /%2e%2e/%2e%2e/%2e%2e/etc/passwd /%2e%2e%2f%2e%2e%2fetc%2fpasswd /..%5c..%5cetc%5cpasswd \
        /%252e%252e%252fetc%252fpasswd //etc/passwd /.%00/../etc/passwd /style.css/../../../../etc/passwd \
        /..%c0%af..%c0%afetc/passwd /static/../../../cluster.key /../../cluster.key; do
        status=$(ask_app static-site "$path" --path-as-is -o "$STORY_FOLDER/escaped" -w '%{http_code}')
        printf '%s: %s\n' "$path" "$status"
        [[ $status == 400 || $status == 404 ]]
        exits_with 1 grep -q 'root:' "$STORY_FOLDER/escaped"
    done
}

unknown_host() { is "$(status_of http://nobody-production.localho.st/)" 503; }

disabled_project() {
    temps projects disable static-site
    wait_until 5 app_has_status 403
    temps projects enable static-site
    wait_until 5 app_has_status 200
}

app_has_status() { is "$(ask_app static-site / -o /dev/null -w '%{http_code}')" "$1"; }

new_node
says=('dockerfile|Hello from a Dockerfile' 'go-hello|Hello from Go' 'node-express|Hello from Express'
    'python-flask|Hello from Flask' 'static-site|Hello from a static site')
for entry in "${says[@]}"; do
    printf '%s' "${entry#*|}" >"$STORY_FOLDER/${entry%%|*}.says"
    check "the sample ${entry%%|*} deploys and answers" sample_says "${entry%%|*}" "${entry#*|}"
done
check 'the sample vite-react deploys, and is served without a container' vite_sample_says
check 'a second deploy of an unchanged container app works' second_deploy_works dockerfile 'Hello from a Dockerfile'
check 'a second deploy of an unchanged static site works' second_deploy_works static-site 'Hello from a static site'
check 'every app answers at its own host' all_answer_at_their_own_host
check 'a missing page is the site'\''s own 404.html' missing_page
check 'an unchanged file is 304, by ETag and by date' validators
check 'ranges are answered' ranges
check 'a changed static site deploys' deploy_long_file
check 'gzip is served precompressed' encoded gzip gzip -dc
check 'brotli is served precompressed' encoded br unbrotli
check 'zstd is served precompressed' encoded zstd zstd -dc
check 'a client that accepts no encoding gets the file' without_encoding
check 'no path leads out of a static site' no_path_escape
check 'an unknown host is 503' unknown_host
check 'a disabled project is 403, and an enabled one is back' disabled_project
