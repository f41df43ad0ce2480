# shellcheck shell=bash
# The Debian system that every stand-in image starts from, and the two things it takes from this machine:
# how package clients reach their registries, and which certificate authorities they trust.

SUITE=bookworm
BASE_IMAGE=temps-stand-in/base:$SUITE
TOOLS_IMAGE=temps-stand-in/tools:$SUITE
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
# Every package client looks for its authorities under another name.
CA_VARIABLES=(SSL_CERT_FILE NODE_EXTRA_CA_CERTS PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO)
# Settings of package clients that may come from this machine's environment.
CLIENT_VARIABLES=(http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY GOPROXY GOSUMDB GONOSUMDB PIP_INDEX_URL UV_INDEX_URL)

# Lines that carry a user name or password in an address stay out of images.
without_credentials() { grep -vE '://[^/[:space:]]*@|[Tt]oken|[Pp]assword' || true; }

# debian_sources: "deb ADDRESS RELEASE COMPONENT" for each Debian source of our suite that this machine uses.
debian_sources() {
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite="$SUITE" '$2 == suite || index($2, suite "-") == 1 { print "deb", $1, $2, $3 }' |
        sort -u | without_credentials || true
}

# debian_mirror: this machine's mirror of the suite, or nothing, and debootstrap takes its own.
debian_mirror() { debian_sources | awk -v suite="$SUITE" '$3 == suite { print $2; exit }'; }

# copy_apt_settings ROOT
copy_apt_settings() {
    local sources
    sources=$(debian_sources)
    [[ -z $sources ]] || printf '%s\n' "$sources" >"$1/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(Check|Retries|[Hh]ttps?|Queue)' | grep -v 'CAInfo' |
        without_credentials >"$1/etc/apt/apt.conf.d/90host" || true
    printf '%s\n' 'APT::Install-Suggests "false";' 'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
        >"$1/etc/apt/apt.conf.d/80small"
}

# copy_client_settings ROOT: pip's, npm's and cargo's, where this machine has any.
copy_client_settings() {
    local pip npm
    pip=$(python3 -m pip config list 2>/dev/null | grep -v '^:env:' |
        sed -nE "s/^[a-z]+\.(index-url|extra-index-url|trusted-host|proxy|timeout)='(.*)'$/\1 = \2/p" | without_credentials || true)
    [[ -z $pip ]] || printf '[global]\n%s\n' "$pip" >"$1/etc/pip.conf"
    npm=$(npm config ls 2>/dev/null | grep -E '^(registry|proxy|https-proxy|noproxy|omit-lockfile-registry-resolved) = ' |
        tr -d '"' | without_credentials || true)
    [[ -z $npm ]] || { mkdir -p "$1/usr/local/etc" && printf '%s\n' "$npm" >"$1/usr/local/etc/npmrc"; }
    copy_cargo_settings "$1"
}

# copy_cargo_settings ROOT
copy_cargo_settings() {
    local file=${CARGO_HOME:-$HOME/.cargo}/config.toml
    [[ -f $file ]] || return 0
    mkdir -p "$1/usr/local/cargo"
    without_credentials <"$file" >"$1/usr/local/cargo/config.toml"
}

# copy_authorities ROOT: both ways, so that the bundle survives a later update-ca-certificates in the image.
copy_authorities() {
    [[ -f $CA_BUNDLE ]] || return 0
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$1/usr/local/share/ca-certificates/" \; 2>/dev/null || true
    chroot "$1" update-ca-certificates >/dev/null 2>&1
    cp "$CA_BUNDLE" "$1$CA_BUNDLE"
}

# Official slim images leave out documentation too; nothing that runs needs it.
make_small() {
    cat >"$1/etc/dpkg/dpkg.cfg.d/docker" <<'DPKG'
force-unsafe-io
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-include /usr/share/doc/*/copyright
DPKG
    printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };\n' \
        >"$1/etc/apt/apt.conf.d/docker-clean"
    # A package's service must not start inside a build.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod +x "$1/usr/sbin/policy-rc.d"
    find "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/info" "$1/usr/share/locale" \
        -type f ! -name copyright -delete
    rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/cache/apt/*.bin "$1"/var/lib/apt/lists/* "$1"/var/log/*.log
}

# image_settings: the `docker import` options that every image inherits.
image_settings() {
    local name
    printf '%s\n' -c 'LABEL sh.temps.stand-in=true' -c 'CMD ["bash"]' \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    for name in "${CA_VARIABLES[@]}"; do printf '%s\n' -c "ENV $name=$CA_BUNDLE"; done
    for name in "${CLIENT_VARIABLES[@]}"; do
        [[ -z ${!name:-} ]] || printf '%s="%s"\n' "$name" "${!name}"
    done | without_credentials | sed 's/^/-c\nENV /'
}

make_root() {
    local mirror
    mirror=$(debian_mirror)
    # shellcheck disable=SC2086 # no mirror must be no argument
    debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata "$SUITE" "$1" $mirror
    copy_apt_settings "$1"
    copy_client_settings "$1"
    copy_authorities "$1"
    chroot "$1" sh -c 'apt-get update -q && apt-get upgrade -qy'
    make_small "$1"
}

import_root() {
    local settings
    mapfile -t settings < <(image_settings)
    tar -C "$1" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
        docker import "${settings[@]}" - "$BASE_IMAGE"
}

# ensure_base: makes the common base once.
ensure_base() {
    image_exists "$BASE_IMAGE" && return
    apt_install_missing debootstrap
    STEP_HINT='check that this machine reaches a Debian mirror: apt-get update' \
        step "debootstrap Debian $SUITE" make_root "$WORK/root"
    step "import $BASE_IMAGE" import_root "$WORK/root"
    rm -rf "$WORK/root"
}

# ensure_tools: the base with pip and npm, where recipes fetch what Debian is too old for.
ensure_tools() {
    ensure_base
    image_exists "$TOOLS_IMAGE" ||
        STEP_HINT='check that this machine reaches PyPI' step "make $TOOLS_IMAGE" build_recipe tools "$TOOLS_IMAGE" true
}
