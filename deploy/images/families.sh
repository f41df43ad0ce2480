# shellcheck shell=bash
# From an image's name to its recipe: which Dockerfile, which arguments, which files from this machine.
# shellcheck disable=SC2034 # base-images.sh reads what is set here

# What the presets write; made when base-images.sh is called without names.
PRESET_IMAGES=(
    node:22-slim oven/bun:1-slim python:3.12-slim golang:1.24-bookworm rust:1-slim-bookworm debian:bookworm-slim
    ruby:3.3-slim php:8.3-apache eclipse-temurin:21-jdk eclipse-temurin:21-jre maven:3-eclipse-temurin-21 nginx:stable
)
# What a tag without a number means.
NODE_DEFAULT=24
PYTHON_DEFAULT=3.12
# Official images without "slim" in their tag carry what native modules need to compile.
BUILD_PACKAGES='build-essential pkg-config python3 git curl wget ca-certificates libssl-dev'

# repository_of NAME, tag_of NAME: docker.io/library/node:22 is node and 22.
repository_of() {
    local name=${1%%@*}
    name=${name#docker.io/}
    name=${name#library/}
    [[ ${name##*/} == *:* ]] && name=${name%:*}
    printf '%s\n' "$name"
}

tag_of() {
    local last=${1##*/}
    last=${last%%@*}
    if [[ $last == *:* ]]; then printf '%s\n' "${last#*:}"; else printf 'latest\n'; fi
}

# version_of TAG DEFAULT: the number that the tag starts with.
version_of() {
    if [[ $1 =~ ^v?([0-9]+(\.[0-9]+)*) ]]; then printf '%s\n' "${BASH_REMATCH[1]}"; else printf '%s\n' "$2"; fi
}

minor_of() { cut -d. -f1,2 <<<"$1"; }

# packages_of TAG: nothing for slim and alpine tags.
packages_of() { [[ $1 == *slim* || $1 == *alpine* ]] || printf '%s\n' "$BUILD_PACKAGES"; }

machine_arch() { case $(uname -m) in aarch64 | arm64) printf 'arm64\n' ;; *) printf 'x64\n' ;; esac; }

# npm_for NODE-MAJOR: the npm that this Node.js comes with upstream.
npm_for() {
    case $1 in
    [0-9] | 1[0-4]) printf '6\n' ;;
    15 | 16) printf '8\n' ;;
    17 | 18 | 19 | 20 | 21 | 22 | 23) printf '10\n' ;;
    *) printf '11\n' ;;
    esac
}

# plan NAME: sets RECIPE, ARGUMENTS, PREPARE (fills the build folder, given as its last argument), UNDER (an image to
# make first, if any) and NOTE (what differs from the official image). Fails for a name of no known family.
plan() {
    local repository tag
    repository=$(repository_of "$1")
    tag=$(tag_of "$1")
    RECIPE='' ARGUMENTS=() PREPARE=true UNDER='' NOTE=''
    case $repository in
    node) plan_node "$tag" ;;
    oven/bun) plan_bun "$tag" ;;
    python) plan_python "$tag" ;;
    golang) plan_golang "$tag" ;;
    rust) plan_rust "$tag" ;;
    php) plan_php "$tag" ;;
    ruby) RECIPE=ruby NOTE="Debian's Ruby 3.1 stands in" ARGUMENTS=("PACKAGES=$(packages_of "$tag")") ;;
    nginx | nginxinc/nginx-unprivileged) RECIPE=nginx NOTE="Debian's nginx 1.22 stands in" ;;
    eclipse-temurin | openjdk | amazoncorretto) plan_java "$tag" ;;
    maven) RECIPE=java NOTE="Debian's OpenJDK 17 and Maven 3.8 stand in" ARGUMENTS=('PACKAGES=openjdk-17-jdk-headless maven') ;;
    debian | buildpack-deps) RECIPE=debian NOTE="Debian $SUITE stands in" ;;
    ubuntu) RECIPE=debian NOTE="this is Debian $SUITE, not ubuntu" ;;
    gcr.io/distroless/*) plan_distroless "${repository##*/}" "$tag" ;;
    ghcr.io/astral-sh/uv) plan_uv "$tag" ;;
    httpd) RECIPE=httpd NOTE="Debian's Apache stands in" ;;
    caddy) RECIPE=caddy NOTE="Debian's Caddy 2.6 stands in" ;;
    alpine) RECIPE=debian NOTE="this is Debian $SUITE with a small apk that calls apt-get" ;;
    busybox) RECIPE=debian NOTE="Debian $SUITE with its busybox stands in" ARGUMENTS=('PACKAGES=busybox') ;;
    *) return 1 ;;
    esac
}

plan_node() {
    local version
    version=$(version_of "$1" "$NODE_DEFAULT")
    RECIPE=node PREPARE=suit_corepack
    ARGUMENTS=("VERSION=$version" "ARCH=$(machine_arch)" "NPM=$(npm_for "${version%%.*}")" "PACKAGES=$(packages_of "$1")")
}

# suit_corepack FOLDER: corepack asks the registry that npm asks. A mirror may carry neither signatures nor tags,
# and corepack would refuse every download from it: only where that is so is it told not to ask for them.
suit_corepack() {
    local registry signatures
    registry=$(docker run --rm "$TOOLS_IMAGE" npm config get registry)
    signatures=$(docker run --rm "$TOOLS_IMAGE" npm view npm@10.9.0 dist.signatures 2>/dev/null)
    printf 'ENV COREPACK_NPM_REGISTRY=%s\n' "${registry%/}" >>"$1/Dockerfile"
    [[ -n $signatures ]] || printf 'ENV COREPACK_INTEGRITY_KEYS=0 COREPACK_DEFAULT_TO_LATEST=0\n' >>"$1/Dockerfile"
}

plan_bun() {
    RECIPE=bun
    ARGUMENTS=("VERSION=$(version_of "$1" 1)" "ARCH=$(machine_arch)")
}

plan_golang() {
    local minor
    minor=$(minor_of "$(version_of "$1" latest)")
    RECIPE=golang
    ARGUMENTS=("MINOR=$minor")
}

plan_python() {
    local minor
    minor=$(minor_of "$(version_of "$1" "$PYTHON_DEFAULT")")
    [[ $minor == *.* ]] || minor=$PYTHON_DEFAULT
    ARGUMENTS=("PACKAGES=$(packages_of "$1")")
    if HOST_PYTHON=$(host_python "$minor"); then
        RECIPE=python-host PREPARE=copy_host_python NOTE="Python $minor of this machine stands in"
    else
        RECIPE=python NOTE="Debian's Python 3.11 stands in"
    fi
}

plan_rust() {
    ARGUMENTS=("PACKAGES=$(packages_of "$1")")
    if HOST_RUST=$(rustc --print sysroot 2>/dev/null) && [[ -x $HOST_RUST/bin/cargo && $HOST_RUST != /usr ]]; then
        RECIPE=rust PREPARE=copy_host_rust NOTE="$(rustc --version | cut -d' ' -f1,2) of this machine stands in"
    else
        RECIPE=rust-debian NOTE="Debian's Rust 1.63 stands in, which is too old for many projects"
    fi
}

# plan_uv TAG: `python3.12-bookworm-slim` is a Python with uv in it, `latest` and `0.8` are uv alone.
plan_uv() {
    RECIPE=uv ARGUMENTS=("FROM=$BASE_IMAGE")
    [[ $1 != *python3* ]] || from_image "python:$(sed -E 's/.*python(3[0-9.]*)-?/\1-/; s/-$//' <<<"$1")"
}

# plan_distroless NAME TAG
plan_distroless() {
    RECIPE=distroless ARGUMENTS=("FROM=$BASE_IMAGE") PREPARE="finish_distroless $1 $2" NOTE="this is Debian $SUITE, not distroless"
    case $1 in
    nodejs*) from_image "node:$(sed -E 's/^nodejs([0-9]*).*/\1/' <<<"$1")-slim" ;;
    python3*) ARGUMENTS+=('PACKAGES=python3') ;;
    java*) ARGUMENTS+=('PACKAGES=openjdk-17-jre-headless') ;;
    esac
}

# finish_distroless NAME TAG FOLDER: what the image starts, and as whom.
finish_distroless() {
    case $1 in
    nodejs*) printf 'ENTRYPOINT ["/nodejs/bin/node"]\n' ;;
    python3*) printf 'ENTRYPOINT ["/usr/bin/python3"]\n' ;;
    java*) printf 'ENTRYPOINT ["java", "-jar"]\n' ;;
    esac >>"$3/Dockerfile"
    [[ $2 != *nonroot* ]] || printf 'USER 65532\nWORKDIR /home/nonroot\n' >>"$3/Dockerfile"
}

# from_image NAME: the recipe starts from another image, which is made first.
from_image() {
    UNDER=$1
    ARGUMENTS=("FROM=$1")
}

plan_php() {
    NOTE="Debian's PHP 8.2 stands in"
    case $1 in
    *apache*) RECIPE=php-apache ;;
    *fpm*) RECIPE=php-fpm ;;
    *) RECIPE=php ;;
    esac
}

plan_java() {
    RECIPE=java NOTE="Debian's OpenJDK 17 stands in"
    if [[ $1 == *jre* ]]; then
        ARGUMENTS=('PACKAGES=openjdk-17-jre-headless')
    else
        ARGUMENTS=('PACKAGES=openjdk-17-jdk-headless')
    fi
}

# host_python MINOR: the prefix of an interpreter of this version outside /usr. Only from the same Debian:
# it is linked to this machine's libraries.
host_python() {
    local candidate prefix
    grep -q "^VERSION_CODENAME=$SUITE$" /etc/os-release || return 1
    for candidate in /usr/local/bin/python"$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python"$1" /opt/python"$1"/bin/python"$1"; do
        [[ -x $candidate ]] || continue
        prefix=$("$candidate" -c 'import sys; print(sys.base_prefix)') || continue
        [[ -d $prefix/lib/python$1 ]] && printf '%s\n' "$prefix" && return
    done
    return 1
}

# copy_host_python FOLDER: the interpreter and its library, without what was installed into it, tests and bytecode.
copy_host_python() {
    local minor
    minor=$(basename "$(find "$HOST_PYTHON/lib" -maxdepth 1 -name 'python3.*' -type d | head -1)")
    local shared
    mapfile -t shared < <(cd "$HOST_PYTHON" && find lib -maxdepth 1 -name 'libpython3*.so*')
    mkdir -p "$1/python"
    tar -C "$HOST_PYTHON" --exclude=__pycache__ --exclude='*.a' --exclude='*/site-packages/*' --exclude="lib/$minor/test" \
        --exclude="lib/$minor/idlelib" --exclude="lib/$minor/tkinter" -c \
        "bin/$minor" "include/$minor" "lib/$minor" "${shared[@]}" |
        tar -C "$1/python" -x
}

# copy_host_rust FOLDER: compiler, cargo and standard library, without documentation and what only editors use.
copy_host_rust() {
    mkdir -p "$1/rust"
    tar -C "$HOST_RUST" --exclude='*san.a' --exclude='bin/rust-analyzer' --exclude='bin/rust-gdb*' --exclude='bin/rust-lldb' \
        --exclude='bin/*miri*' -c bin lib libexec | tar -C "$1/rust" -x
}
