#!/bin/sh
set -e
# The page is written once, with the greeting of this start.
greeting=$(printf '%s' "${GREETING:-Hello}" | sed 's/[&<>"]//g; s/[\/&]/\\&/g')
mkdir -p /tmp/www && cp /site/style.css /tmp/www/
sed "s/{{greeting}}/$greeting/" /site/index.template.html >/tmp/www/index.html
echo "listening on port $PORT"
busybox httpd -f -p "$PORT" -h /tmp/www &
# As a container's first process busybox would ignore the request to stop; a shell with a trap does not.
trap 'kill $!' TERM
wait
