#!/usr/bin/env bash
# Makes the base images that Dockerfiles start from, on machines that reach no image registry.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=images/registry.sh
. "$HERE/images/registry.sh"
# shellcheck source=images/base.sh
. "$HERE/images/base.sh"
# shellcheck source=images/families.sh
. "$HERE/images/families.sh"
# shellcheck source=images/dockerfile.sh
. "$HERE/images/dockerfile.sh"

# One run at a time: they share the base, and the second finds what the first has made.
LOCK=/run/lock/temps-base-images.lock

usage() {
    cat <<'TEXT'
Usage: deploy/base-images.sh [NAME…]       these images (without names: those that the presets write)
       deploy/base-images.sh --for DIR     those that DIR/Dockerfile starts from
       deploy/base-images.sh --list        the stand-ins that Docker holds

A name that Docker holds already is left alone; then a pull is tried; only then is a stand-in made from
Debian's packages, npm and PyPI. A stand-in carries the label sh.temps.stand-in=true and this machine's
package client settings, so it is for this machine: do not push it anywhere.
TEXT
}

# build_recipe RECIPE NAME PREPARE [ARGUMENT…]: PREPARE may add files and lines to the build folder.
build_recipe() {
    local recipe=$1 name=$2 prepare=$3 folder argument options=()
    shift 3
    folder=$(mktemp -d "$WORK/build.XXXXXX")
    cp "$HERE/images/$recipe.Dockerfile" "$folder/Dockerfile"
    find "$HERE/images" \( -name '*.conf' -o -name '*.sh' \) -perm -o+r -exec cp -p {} "$folder/" \;
    # shellcheck disable=SC2086 # a function and its arguments
    $prepare "$folder"
    for argument; do options+=(--build-arg "$argument"); done
    # The classic builder is in every engine and needs no plugin.
    DOCKER_BUILDKIT=0 docker build --force-rm "${options[@]}" -t "$name" "$folder"
    rm -rf "$folder"
    remove_stages
}

# remove_stages: the classic builder leaves the stages that files were copied from.
remove_stages() {
    docker images -q --filter dangling=true --filter label=sh.temps.stand-in.stage=fetch | sort -u | xargs -r docker rmi
}

# make_stand_in NAME
make_stand_in() {
    plan "$1" || die "no stand-in is known for $1" "docker pull $1 on a machine that reaches its registry, then docker save and docker load"
    ensure_tools
    if [[ -n $UNDER ]]; then
        ensure_image "$UNDER"
        plan "$1"
    fi
    local target=$1
    is_small "$1" && target=temps-stand-in/under:alpine
    STEP_HINT="$0 $1, once the cause above is gone" \
        step "make $1${NOTE:+ — $NOTE}" build_recipe "$RECIPE" "$target" "$PREPARE" "${ARGUMENTS[@]}"
    [[ $target == "$1" ]] || put_alpine_on_top "$target" "$1"
}

# is_small NAME: whether the official image has busybox for its commands.
is_small() { [[ $1 == *alpine* || $(repository_of "$1") == busybox ]]; }

# put_alpine_on_top FROM NAME
put_alpine_on_top() {
    step "put Alpine's command names on $2" build_recipe alpine "$2" true "FROM=$1"
    docker rmi "$1" >/dev/null
}

ensure_image() {
    if image_exists "$1"; then
        say "  -     $1 is here already"
    else
        pull "$1" || make_stand_in "$1"
    fi
}

# list_stand_ins: images that apps were built on carry the label too, so only names of a known family are shown.
list_stand_ins() {
    local name size
    while read -r name size; do
        plan "$name" && printf '%-45s %s\n' "$name" "$size"
    done < <(docker images --filter label=sh.temps.stand-in=true --format '{{.Repository}}:{{.Tag}} {{.Size}}' | sort)
    return 0
}

main() {
    local names=("${PRESET_IMAGES[@]}")
    case ${1:-} in
    -h | --help) usage && return ;;
    --list) list_stand_ins && return ;;
    --for)
        [[ -n ${2:-} ]] || die '--for needs a folder with a Dockerfile' "$0 --for ."
        mapfile -t names < <(images_of_dockerfile "$2")
        ;;
    -*) die "unknown option $1" "$0 --help" ;;
    ?*) names=("$@") ;;
    esac
    need_root
    apt_install_missing curl
    docker_answers || die 'no Docker engine answers' 'deploy/quickstart.sh installs and starts one; or: systemctl start docker'
    exec 9>"$LOCK"
    flock 9
    WORK=$(mktemp -d /var/tmp/temps-base-images.XXXXXX)
    trap 'rm -rf "$WORK"' EXIT
    local name began
    began=$(now_ms)
    for name in "${names[@]}"; do ensure_image "$name"; done
    say "base images: ${#names[@]} ready in $(seconds_since "$began") s"
}

main "$@"
