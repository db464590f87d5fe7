#!/usr/bin/env bash
# Restores the database to its latest state, or to a moment. Later writes are removed from the database and remain in the
# archive. The service is down meanwhile. A full backup follows.
#
#   restore.sh --yes [--dry-run] [--to 'YYYY-MM-DD HH:MM:SS+00'] [--timeline N] [--repository N]
#
# --timeline: each restore begins a new timeline of PostgreSQL; 1 is the one before the first restore.
# --repository 2: restores from the second repository, after a loss of the disk of this host.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=roles.sh
source "$deploy/scripts/roles.sh"

what=() shared=() yes=false
to='' repository=''
while (($#)); do
    case $1 in
    --yes) yes=true ;;
    --to | --timeline | --repository)
        (($# >= 2)) || fail "$1 needs a value"
        what+=("$1" "$2")
        case $1 in
        --to) to=$2 ;;
        --repository) repository=$2 ;;&
        *) [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 is a number, not $2" ;;
        esac
        shift
        ;;
    *) shared+=("$1") ;;
    esac
    shift
done
options "${shared[@]}"
((${#arguments[@]} == 0)) || fail "there is no argument ${arguments[0]}"
load_settings
require_database
uses backup || fail "there are no backups: COMPOSE_FILE in $deploy/.env"
$yes || $dry_run || fail "this replaces the database; say --yes if that is what you want"

# Prints the version of PostgreSQL of the current database in the backups, and when its oldest backup ended, in seconds since
# the epoch. Nothing if there is none.
oldest_backup() {
    local info
    info=$(compose run --rm --no-deps -T backup pgbackrest --stanza=aponta ${repository:+--repo="$repository"} \
        --log-level-console=off --log-level-stderr=error --output=json info) || return 1
    python3 -c '
import json, sys
for stanza in json.load(sys.stdin):
    for database in stanza["db"][-1:]:
        ends = [backup["timestamp"]["stop"] for backup in stanza["backup"] if backup["database"]["id"] == database["id"]]
        if ends:
            print(database["version"], min(ends))
' <<<"$info" 2>/dev/null
}

# Checks before the service stops what would fail afterwards.
check_moment() {
    local found moment oldest version
    found=$(oldest_backup) || fail "the backups cannot be read; nothing was changed"
    [[ $found ]] || fail "there is no backup${repository:+ in repository $repository}"
    read -r version oldest <<<"$found"
    [[ $version == "$(postgres_version)" ]] ||
        fail "the backups are of PostgreSQL $version and this stack is of $(postgres_version); nothing was changed"
    [[ $to ]] || return 0
    # With an offset, so that the time zone is unambiguous.
    if ! [[ $to =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?[+-][0-9]{2}(:?[0-9]{2})?$ ]] ||
        ! moment=$(date -d "$to" +%s 2>/dev/null); then
        fail "--to is a moment as '2026-11-23 14:02:30+00', not '$to'"
    fi
    ((moment <= $(date +%s))) || fail "$to has not come yet"
    ((moment >= oldest)) || fail "the oldest backup is of $(date -u -d "@$oldest" '+%F %T+00'), after $to"
}

# Starts the stopped containers. An untouched database serves again. A partly restored one does not start and needs another
# restore.
undo_changes() {
    local stopped
    say "the restore failed; starting what was stopped"
    compose up --detach --no-deps postgres || return 1
    # Not by compose, which would wait for a healthy database.
    lines stopped containers --all api backup || return 1
    docker start "${stopped[@]}" >/dev/null || return 1
    wait_healthy 60 "$(containers postgres)"
}

check_moment
if ! $dry_run; then
    lock
    undo_on_failure
fi
create_passwords || fail "the passwords could not be written; nothing was changed"
say "stopping the API, the backups and the database"
run compose stop api backup postgres
say "restoring ${what[*]:-the latest state}"
run compose run --rm --no-deps -T backup aponta-restore "${what[@]}"
say "starting the database"
run compose up --detach --no-deps postgres
if ! $dry_run; then
    deadline=$((SECONDS + ${RECOVERY_TIMEOUT:-3600}))
    until [[ $(superuser -c 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
        ((SECONDS < deadline)) || fail "the recovery takes longer than ${RECOVERY_TIMEOUT:-3600} s: compose logs postgres"
        [[ $(containers --status running postgres) ]] || sleep 5
        [[ $(containers --status running postgres) ]] || fail "the database does not start: compose logs postgres"
        sleep 1
    done
fi
if ! $dry_run; then
    # A backup may be older than the roles, or than their passwords.
    say "roles"
    apply_roles || fail "the roles could not be made"
    lock_superuser || fail "the superuser keeps its password"
fi
say "starting the rest"
run compose start api backup
if ! $dry_run; then trap - EXIT; fi
run "$deploy/scripts/backup.sh" full
say "restored"
