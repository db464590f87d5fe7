#!/usr/bin/env bash
# Runs a command with a Docker engine of its own, which has the stack's base images under their real names, made from
# Debian's packages: no registry of images is asked, and no engine of this machine is touched, nor its network: the
# engine and the command have a network of their own, which reaches the world as a mere process (slirp4netns), and what
# an engine leaves behind there goes with it. Both end with this script, however it ends.
#
#   engine.sh CACHE COMMAND [ARGUMENT ...]
#
# CACHE keeps packages, images and volumes between runs; a warm run builds nothing. Needs root. The command finds the
# engine by DOCKER_HOST, and a root file system that has nginx by NGINX_ROOT. Where there can be no engine, the exit code
# is 75; otherwise it is the command's.
set -Eeuo pipefail

cache=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
# The path of a socket may have 108 bytes at most.
run=$(mktemp -d /tmp/aponta-engine.XXXXXX)
trap 'rm -rf "$run"' EXIT

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'engine.sh: %s\n' "$*" >&2
    exit 75
}

((EUID == 0)) || fail "only root may start an engine"
exec 9>"$cache/lock"
flock -n 9 || fail "another run uses $cache"

# shellcheck disable=SC2016 # apt-get expands it.
mirror=$(apt-get indextargets --format '$(SITE)' | sed -n 1p)

# Packages of a newer Debian, unpacked and not installed. Its own runc does not suit every kernel, this Debian's does.
unpack_engine() {
    [[ ! -f $cache/engine/.done ]] || return 0
    say "fetching an engine from Debian's packages"
    "$here/../trixie.sh" "$cache/engine" docker.io containerd docker-buildx docker-compose
    rm -rf "$cache/debs"
    mkdir -p "$cache/debs"
    (cd "$cache/debs" && apt-get -q -o APT::Sandbox::User=root download runc >/dev/null)
    dpkg -x "$cache"/debs/*.deb "$cache/engine"
    rm -rf "$cache/debs"
    touch "$cache/engine/.done"
}

# A minimal system of a suite, with packages beyond that.
bootstrap() {
    local suite=$1 directory=$2 packages=$3 script=$1
    [[ ! -f $directory/.done ]] || return 0
    say "making a system of $suite"
    rm -rf "$directory"
    [[ -e /usr/share/debootstrap/scripts/$suite ]] || script=sid
    debootstrap --variant=minbase --include="$packages" "$suite" "$directory" "$mirror" \
        "/usr/share/debootstrap/scripts/$script" >"$run/debootstrap.log" 2>&1 ||
        { tail -n 20 "$run/debootstrap.log" >&2 && fail "debootstrap failed"; }
    rm -rf "$directory"/var/cache/apt/archives/*.deb
    touch "$directory/.done"
}

inside() {
    nsenter --net="/proc/$network/ns/net" -- "$@"
}

start_network() {
    local attempt
    setpriv --pdeathsig KILL unshare --net sleep infinity 9>&- &
    network=$!
    for attempt in {1..100}; do
        [[ $(readlink "/proc/$network/ns/net") == "$(readlink /proc/self/ns/net)" ]] || break
        sleep 0.1
    done
    setpriv --pdeathsig KILL slirp4netns --configure --mtu 65520 "$network" tap0 >"$run/slirp4netns.log" 2>&1 9>&- &
    for attempt in {1..100}; do
        ! inside ip route 2>/dev/null | grep default >/dev/null || return 0
        sleep 0.1
    done
    cat "$run/slirp4netns.log" >&2
    fail "there is no network after 10 s ($attempt attempts)"
}

start_engine() {
    setpriv --pdeathsig TERM nsenter --net="/proc/$network/ns/net" -- setsid dockerd --data-root "$cache/data" \
        --exec-root "$run/exec" --pidfile "$run/pid" -H "unix://$run/docker.sock" --storage-driver overlay2 \
        --bip 10.213.0.1/24 --default-address-pool base=10.213.128.0/17,size=24 >"$cache/dockerd.log" 2>&1 9>&- &
    local attempt
    for attempt in {1..150}; do
        docker info >/dev/null 2>&1 && return
        sleep 0.2
    done
    tail -n 20 "$cache/dockerd.log" >&2
    fail "the engine did not start within 30 s ($attempt attempts)"
}

stop_engine() {
    local pid
    pid=$(cat "$run/pid" 2>/dev/null || true)
    # Process ids come back; this one must still be an engine's.
    if [[ $pid ]] && grep -q dockerd "/proc/$pid/cmdline" 2>/dev/null; then
        kill "$pid"
        while [[ -d /proc/$pid ]]; do sleep 0.1; done
    fi
    umount "$run"/exec/netns/* 2>/dev/null || true
    rm -rf "$run"
}

# Builds an image unless its recipe is the one that it was built from.
image() {
    local name=$1 recipe=$2 hash
    shift 2
    hash=$(cat "$recipe"/* <(rustc --version) | sha256sum | cut -c 1-16)
    [[ $(docker image inspect --format '{{index .Config.Labels "recipe"}}' "$name" 2>/dev/null) != "$hash" ]] || return 0
    say "building a stand-in of $name"
    docker build --quiet --network host --label "recipe=$hash" --tag "$name" "$@" >/dev/null
}

# Until there is an engine, whatever fails is this machine's fault and not that of what is to be tested.
trap 'fail "line $LINENO failed"' ERR
export PATH=$cache/engine/usr/bin:$cache/engine/usr/sbin:$PATH
export DOCKER_HOST=unix://$run/docker.sock DOCKER_CONFIG=$cache/config NGINX_ROOT=$cache/nginx
unpack_engine
# The cache may have been moved.
mkdir -p "$cache/config/cli-plugins"
ln -sf "$cache"/engine/usr/libexec/docker/cli-plugins/* "$cache/config/cli-plugins/"
bootstrap bookworm "$cache/bookworm" ca-certificates
# http2 on and upstream resolve are of a newer nginx than this Debian's.
bootstrap forky "$NGINX_ROOT" ca-certificates,curl,nginx-light

trap stop_engine EXIT
start_network
start_engine
docker image inspect debian:bookworm-slim >/dev/null 2>&1 ||
    tar -C "$cache/bookworm" -c . | docker import - debian:bookworm-slim >/dev/null
image postgres:15-alpine "$here/images/postgres" "$here/images/postgres"
image nginx:alpine "$here/images/nginx" --file "$here/images/nginx/Dockerfile" "$NGINX_ROOT"
image rust:1.95-slim-bookworm "$here/images/rust" --build-context "toolchain=$(rustc --print sysroot)" \
    --build-context certificates=/etc/ssl/certs "$here/images/rust"
trap - ERR
inside "$@"
