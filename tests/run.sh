#!/usr/bin/env bash
# Runs every test, after installing what the tests need where it is missing.
#
#   ./tests/run.sh            everything
#   ./tests/run.sh projetos   the tests whose names contain that word
#
# Needs a Rust toolchain. Installs, on Debian and Ubuntu: a C compiler and PostgreSQL 15 or later. It says so and asks
# before it does, but not where nobody can answer: with CI=true, or without a terminal.
set -euo pipefail
cd "$(dirname "$0")/.."

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'tests/run.sh: %s\n' "$*" >&2
    exit 1
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
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

install_missing() {
    local missing=()
    command -v cc >/dev/null || missing+=("a C compiler")
    has_postgresql || missing+=("PostgreSQL 15 or later")
    ((${#missing[@]})) || return 0

    local list
    list=$(printf ', %s' "${missing[@]}")
    list=${list:2}
    command -v apt-get >/dev/null || fail "the tests need $list; install that with this system's package manager"
    say "missing: $list; installing that from the system's packages"
    if [[ ${CI:-} != true && -t 0 ]]; then
        read -r -p "Go on? [Y/n] " answer
        [[ ${answer:-y} == [Yy]* ]] || fail "nothing was installed"
    fi
    as_root apt-get update -q
    command -v cc >/dev/null || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q gcc libc6-dev
    has_postgresql || install_postgresql
    has_postgresql || fail "the system's packages hold no PostgreSQL 15 or later; the tests need one"
}

command -v cargo >/dev/null || fail "there is no Rust toolchain; https://rustup.rs has one"
install_missing

say "building and testing"
cargo test --workspace --locked -- "$@"
say "all tests passed"
