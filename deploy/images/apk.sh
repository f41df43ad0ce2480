#!/bin/sh
set -e
# Hands `apk add` to apt-get. Names that differ are mapped; Alpine's own libc helpers have no meaning here.
action=
packages=
for word; do
    case $word in
    --virtual=* | .*) ;;
    -*) ;;
    add | del | update | upgrade | cache | info | fix) [ -n "$action" ] || action=$word ;;
    libc6-compat | gcompat | musl-dev | musl | alpine-sdk-*) ;;
    build-base | alpine-sdk) packages="$packages build-essential" ;;
    py3-pip) packages="$packages python3-pip" ;;
    python3-dev | python-dev) packages="$packages python3-dev" ;;
    openssl-dev) packages="$packages libssl-dev" ;;
    libffi-dev | libpq-dev | zlib1g-dev) packages="$packages $word" ;;
    postgresql-dev) packages="$packages libpq-dev" ;;
    vips-dev) packages="$packages libvips-dev" ;;
    zlib-dev) packages="$packages zlib1g-dev" ;;
    su-exec) packages="$packages gosu" ;;
    *) packages="$packages ${word%%[=<>~]*}" ;;
    esac
done
[ "$action" = add ] && [ -n "$packages" ] || exit 0
apt-get update -q
# shellcheck disable=SC2086 # a list of names
apt-get install -qy --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
