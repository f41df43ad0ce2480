#!/bin/sh
set -e
# As in the official image: templates get the environment's values, then the scripts of docker-entrypoint.d run.
defined=$(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/${\1}/p' | tr '\n' ' ')
for template in /etc/nginx/templates/*.template; do
    [ -f "$template" ] || continue
    target=/etc/nginx/conf.d/$(basename "$template" .template)
    envsubst "$defined" <"$template" >"$target"
done
for script in /docker-entrypoint.d/*.sh; do
    [ ! -x "$script" ] || "$script"
done
exec "$@"
