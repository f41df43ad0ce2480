#!/bin/sh
set -e
# Alpine's adduser and addgroup, by busybox's short options, on top of useradd and groupadd.
command=$(basename "$0")
# Long options mean the same to Debian's own commands.
case " $*" in *' --'*) exec "/usr/sbin/$command" "$@" ;; esac
id='' group='' home='' shell=/bin/sh make_home=yes system='' gecos=''
while getopts 'SDHh:s:G:g:u:k:' option; do
    case $option in
    S) system=--system ;;
    D) ;;
    H) make_home='' ;;
    h) home=$OPTARG ;;
    s) shell=$OPTARG ;;
    G) group=$OPTARG ;;
    g) if [ "$command" = addgroup ]; then id=$OPTARG; else gecos=$OPTARG; fi ;;
    u) id=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
name=$1
# Options may come after the name too: `adduser nextjs -u 1001`.
if [ $# -gt 1 ] && [ "${2#-}" != "$2" ]; then
    shift
    exec "$0" "$@" ${system:+-S} ${group:+-G "$group"} ${id:+-u "$id"} "$name"
fi
if [ "$command" = addgroup ]; then
    # `addgroup USER GROUP` adds a member.
    if [ $# -eq 2 ]; then exec usermod --append --groups "$2" "$1"; fi
    exec groupadd $system ${id:+--gid "$id"} "$name"
fi
# `adduser USER GROUP` adds a member.
if [ $# -eq 2 ]; then exec usermod --append --groups "$2" "$1"; fi
getent group "${group:-$name}" >/dev/null || groupadd $system "${group:-$name}"
exec useradd $system ${id:+--uid "$id"} --gid "${group:-$name}" --shell "$shell" --comment "$gecos" \
    ${make_home:+--create-home} ${home:+--home-dir "$home"} "$name"
