#!/usr/bin/env bash
# Runs a temporary PostgreSQL for the process that started this script.
#
#   tests/postgres.sh        prints one line when the server is ready: its URL and the directory of its programs
#   tests/postgres.sh URL    the same with a standby of the server at the URL that another run has printed
#
# The server runs until standard input ends (Ctrl-D, or the exit of the process that holds the other end of the pipe), or
# until SIGTERM or SIGINT. The script then stops it and removes its directory. Standard input takes one command on each
# line, and the script prints `COMMAND: done`: `stop` (fast mode), `kill` (immediate mode), `start` (same port).
#
# APONTA_TEST_POSTGRES names the directory of the programs of another PostgreSQL.
set -euo pipefail

fail() {
    echo "tests/postgres.sh: $*" >&2
    exit 1
}

# Prints the directory of a PostgreSQL that is new enough: 15 by preference, then the highest, then the one in PATH.
find_programs() {
    local candidates directory version
    if [[ -n ${APONTA_TEST_POSTGRES:-} ]]; then
        [[ -x $APONTA_TEST_POSTGRES/postgres ]] || fail "APONTA_TEST_POSTGRES=$APONTA_TEST_POSTGRES has no PostgreSQL"
        echo "$APONTA_TEST_POSTGRES"
        return
    fi
    mapfile -t candidates < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t / -k 5 -n -r)
    candidates=(/usr/lib/postgresql/15/bin "${candidates[@]}" "$(dirname "$(command -v initdb || echo /none/initdb)")")
    for directory in "${candidates[@]}"; do
        [[ -x $directory/postgres && -x $directory/initdb && -x $directory/psql ]] || continue
        version=$("$directory/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        ((version >= 15)) && echo "$directory" && return
    done
    fail "no PostgreSQL 15 or later here; ./tests/run.sh installs it and runs every test"
}

# The server refuses to run as root. It is stopped with this script, even if the script is killed.
as_server=()
if ((EUID == 0)); then
    id -u postgres >/dev/null 2>&1 || fail "called as root, but there is no user «postgres» to run the server"
    command -v setpriv >/dev/null || fail "called as root, but there is no setpriv (util-linux)"
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig QUIT)
fi

programs=$(find_programs)
directory=$(mktemp -d "${TMPDIR:-/tmp}/aponta-postgres.XXXXXX")
server=
port=
trap 'halt QUIT; rm -rf "$directory"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Starts the server on `port`; fails if it does not become ready.
launch() {
    # No durability, because the data is temporary. No socket file, because its path could be too long.
    "${as_server[@]}" "$programs/postgres" -D "$directory/data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 -c shared_buffers=32MB \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
        </dev/null >>"$directory/log" 2>&1 &
    server=$!
    # The server writes its state into the eighth line of this file.
    until [[ $(sed -n 8p "$directory/data/postmaster.pid" 2>/dev/null) == ready* ]]; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.02
    done
}

# Stops the server with a signal: INT is fast mode, QUIT immediate mode.
halt() {
    [[ -n $server ]] || return 0
    kill -s "$1" "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

primary=${1:-}
password=$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')
if [[ -n $primary ]]; then password=${primary#*//*:} && password=${password%%@*}; fi
echo "$password" >"$directory/password"
((EUID == 0)) && chown -R postgres "$directory"
if [[ -n $primary ]]; then
    make=("$programs/pg_basebackup" -D "$directory/data" -d "$primary" -R -X stream -c fast --no-sync)
else
    make=("$programs/initdb" -D "$directory/data" -U postgres --pwfile="$directory/password" --auth=scram-sha-256
        --encoding=UTF8 --locale=C.UTF-8 --no-sync)
fi
"${as_server[@]}" "${make[@]}" </dev/null >"$directory/log" 2>&1 || fail "${make[0]} failed: $(cat "$directory/log")"

# A port below the ephemeral range. A port in use makes the start fail, and another one is tried.
for _ in {1..20}; do
    port=$((20000 + RANDOM % 12000))
    launch && break
    server=
done
[[ -n $server ]] || fail "the server did not start: $(tail -n 20 "$directory/log")"
echo "postgres://postgres:$password@127.0.0.1:$port/postgres $programs"

while read -r command; do
    case $command in
        stop) halt INT ;;
        kill) halt QUIT ;;
        start) [[ -n $server ]] || launch || fail "the server did not start again: $(tail -n 20 "$directory/log")" ;;
        *) fail "unknown command: $command" ;;
    esac
    echo "$command: done"
done
