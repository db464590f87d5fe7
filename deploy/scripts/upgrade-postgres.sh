#!/usr/bin/env bash
# Moves the data to the version of PostgreSQL that POSTGRES_VERSION in .env names, with a dump. The service is down meanwhile.
#
#   upgrade-postgres.sh --yes [--dry-run]
#
# The former data stays in its own volume, and the dump in local/. If a step fails, the former version serves again. After an
# interruption, run the script again. With SKIP_BUILD=1 it uses the images of this host.
set -euo pipefail
# The dump.
umask 077
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=roles.sh
source "$deploy/scripts/roles.sh"

yes=false
rest=()
for argument in "$@"; do
    if [[ $argument == --yes ]]; then yes=true; else rest+=("$argument"); fi
done
options "${rest[@]}"
((${#arguments[@]} == 0)) || fail "there is no argument ${arguments[0]}"
load_settings
require_database
marker=$state/upgrade-postgres
target=$(postgres_version)
former=$(data_version)
created=$target
# The versions of an interrupted run.
[[ ! -e $marker ]] || read -r former created <"$marker"
services=(api)
if uses backup; then services+=(backup); fi

# Runs docker compose with the former version.
former_compose() {
    local version=$former
    ((version > 15)) || version=''
    POSTGRES_VERSION=$version compose "$@"
}

# Prints the tables and their numbers of rows.
count_rows() {
    superuser -v ON_ERROR_STOP=1 <<'SQL'
SELECT format('SELECT %L, count(*) FROM %I.%I', schemaname || '.' || tablename, schemaname, tablename)
FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY schemaname, tablename \gexec
SQL
}

wait_database() {
    wait_healthy 120 "$(containers postgres)"
}

# Starts the former version on its untouched volume and removes the new one.
undo_changes() {
    local stopped
    say "restoring PostgreSQL $former"
    former_compose up --detach --no-deps postgres || return 1
    wait_database || return 1
    docker volume rm --force "$(setting COMPOSE_PROJECT_NAME)_postgres_data_$created" >/dev/null || return 1
    lines stopped containers --all "${services[@]}" || return 1
    ((${#stopped[@]} == 0)) || docker start "${stopped[@]}" >/dev/null || return 1
    rm -f "$marker"
    say "PostgreSQL $former serves as before"
}

# The dump, and the copy of the data in the new volume.
check_space() {
    local needed directory free
    needed=$(superuser -c 'SELECT pg_database_size(current_database()) / 1048576 + 256')
    for directory in "$deploy" "$(docker info --format '{{.DockerRootDir}}')"; do
        free=$(df --output=avail -B 1M "$directory" | tail -n 1)
        ((free >= 2 * needed)) || fail "only $free MB are free in $directory, $((2 * needed)) are needed; nothing was changed"
    done
}

[[ $former ]] || fail "there is no data yet: scripts/deploy.sh creates it with PostgreSQL $target"
((former < target)) ||
    fail "the data is of PostgreSQL $former and POSTGRES_VERSION is $target: nothing to do. scripts/deploy.sh starts what does not run"
[[ $target =~ ^1[678]$ ]] || fail "POSTGRES_VERSION is 16, 17 or 18, not $target"
$yes || $dry_run || fail "the service is down meanwhile; say --yes if that is what you want"
if $dry_run; then
    say "would move the data from PostgreSQL $former to $target"
    exit
fi
lock
if [[ -e $marker ]]; then
    say "the last run was interrupted"
    undo_changes
    created=$target
fi
[[ $(containers --status running postgres) ]] || fail "PostgreSQL $former does not run: scripts/status.sh"
check_space
if [[ ! ${SKIP_BUILD:-} ]]; then
    if uses backup; then compose build --pull postgres; else compose pull postgres; fi
fi

undo_on_failure
echo "$former $target" >"$marker"
say "stopping the API: the service returns 503"
compose stop "${services[@]}"
dump=$deploy/local/postgres-$former.dump
mkdir -p "$deploy/local"
say "dumping PostgreSQL $former"
before=$(count_rows)
compose exec -T postgres pg_dump -U "$(setting DATABASE_USER)" -Fc "$(setting DATABASE_NAME)" >"$dump.new"
mv "$dump.new" "$dump"
compose stop postgres
say "starting PostgreSQL $target"
compose up --detach --no-deps postgres
wait_database || fail "PostgreSQL $target does not become healthy"
apply_roles || fail "the roles could not be made"
say "restoring the dump"
compose exec -T postgres pg_restore -U "$(setting DATABASE_USER)" -d "$(setting DATABASE_NAME)" --exit-on-error --single-transaction <"$dump"
superuser -c 'ANALYZE'
[[ $(count_rows) == "$before" ]] || fail "PostgreSQL $target has other rows"
lock_superuser || fail "the superuser keeps its password"
rm "$marker"
trap - EXIT HUP INT TERM

say "starting the API"
compose start api
wait_healthy 120 "$(containers api | head -n 1)" || fail "PostgreSQL $target has the data, but the API does not start: compose logs api"
if uses backup; then
    compose up --detach --no-deps backup
    "$deploy/scripts/backup.sh" stanza-upgrade || fail "PostgreSQL $target serves, but is not backed up: scripts/backup.sh stanza-upgrade"
fi
say "PostgreSQL $target serves; the former data is in the volume of $former, and in $dump"
