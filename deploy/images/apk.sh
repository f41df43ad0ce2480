#!/bin/sh
set -e
# Hands `apk add` to apt-get, under the names that packages have in Debian.
NAMES=/usr/local/share/apk-names.conf

# debian_name NAME: nothing where Debian needs no package.
debian_name() {
    known=$(awk -v name="$1" '$1 == name { print $2; exit }' "$NAMES")
    case ${known:-$1} in
    -) ;;
    py3-*) echo "python3-${1#py3-}" ;;
    *) echo "${known:-$1}" ;;
    esac
}

action=
packages=
skip=
for word; do
    if [ -n "$skip" ]; then
        skip=
        continue
    fi
    case $word in
    # Options with a value of their own.
    -t | --virtual | -X | --repository | -p | --root | --cache-dir) skip=yes ;;
    -* | .*) ;;
    add | del | update | upgrade | cache | info | fix | search | version)
        if [ -n "$action" ]; then packages="$packages $(debian_name "$word")"; else action=$word; fi
        ;;
    *)
        name=${word%%[=<>~@]*}
        packages="$packages $(debian_name "$name")"
        ;;
    esac
done
# shellcheck disable=SC2086 # a list of names
set -- $packages
[ "$action" = add ] && [ $# -gt 0 ] || exit 0
apt-get update -q
for name; do
    if [ -z "$(apt-cache search --names-only "^$(printf %s "$name" | sed 's/[+.]/\\&/g')\$")" ]; then
        echo "apk: this image is Debian with an apk that calls apt-get, and Debian has no package $name" >&2
        echo "apk: use the real Alpine image, or a Dockerfile that starts from Debian" >&2
        exit 1
    fi
done
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/*
# Where Alpine has these.
[ ! -x /usr/bin/tini ] || ln -sf /usr/bin/tini /sbin/tini
[ ! -x /usr/sbin/gosu ] || ln -sf /usr/sbin/gosu /sbin/su-exec
