# shellcheck shell=bash
# Node.js and npm for the dashboard: those that are there, or Debian's, or a newer one that npm brings. Sourced after lib.sh.

# The oldest that builds it.
NODE_JS_MIN=20.19.0
# What is fetched where it is older, and where that is kept.
NODE_JS_FETCHED=22
NODE_JS_FOLDER=${XDG_CACHE_HOME:-$HOME/.cache}/temps/node-js

node_js_is_new_enough() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        printf '%s\n' "$NODE_JS_MIN" "$(node --version | tr -d v)" | sort -CV
}

fetch_node_js() { npm install --silent --no-save --prefix "$NODE_JS_FOLDER" "node@$NODE_JS_FETCHED"; }

# need_node_js: `node` and `npm` may be called after it.
need_node_js() {
    [[ ! -x $NODE_JS_FOLDER/node_modules/.bin/node ]] || PATH=$NODE_JS_FOLDER/node_modules/.bin:$PATH
    node_js_is_new_enough && return
    command -v npm >/dev/null || apt_install_missing nodejs npm
    node_js_is_new_enough && return
    mkdir -p "$NODE_JS_FOLDER"
    step "fetch Node.js $NODE_JS_FETCHED" fetch_node_js
    PATH=$NODE_JS_FOLDER/node_modules/.bin:$PATH
    node_js_is_new_enough || die "Node.js $NODE_JS_MIN or newer is needed to build the dashboard"
}
