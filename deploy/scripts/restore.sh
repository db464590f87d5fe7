#!/usr/bin/env bash
# Puts the database back to its latest state, or to a moment. What was written after that is gone from the database, and
# stays in the archive. The service is away meanwhile; a full backup follows.
#
#   restore.sh --yes [--dry-run] [--to 'YYYY-MM-DD HH:MM:SS+00'] [--timeline N] [--repository N]
#
# --timeline: after an earlier restore there are two pasts; 1 is the one before it.
# --repository 2: from the second place, when this host's disk died.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

what=() shared=() yes=false
while (($#)); do
    case $1 in
    --yes) yes=true ;;
    --to | --timeline | --repository)
        (($# >= 2)) || fail "$1 needs a value"
        what+=("$1" "$2")
        shift
        ;;
    *) shared+=("$1") ;;
    esac
    shift
done
options "${shared[@]}"
((${#arguments[@]} == 0)) || fail "what is ${arguments[0]}?"
uses backup || fail "there are no backups: COMPOSE_FILE in $deploy/.env"
$yes || $dry_run || fail "this replaces the database; say --yes if that is what you want"

psql() {
    compose exec -T postgres psql -U "$(setting DATABASE_USER aponta)" -d "$(setting DATABASE_NAME aponta)" -Atqc "$1"
}

say "stopping what uses the database"
run compose stop api backup postgres
say "restoring ${what[*]:-the latest state}"
run compose run --rm --no-deps -T backup aponta-restore "${what[@]}"
say "starting the database"
run compose up --detach --no-deps postgres
if ! $dry_run; then
    deadline=$((SECONDS + ${RECOVERY_TIMEOUT:-3600}))
    until [[ $(psql 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
        ((SECONDS < deadline)) || fail "the recovery takes longer than ${RECOVERY_TIMEOUT:-3600} s: compose logs postgres"
        [[ $(containers --status running postgres) ]] || sleep 5
        [[ $(containers --status running postgres) ]] || fail "the database does not start: compose logs postgres"
        sleep 1
    done
fi
say "starting the rest"
run compose start api backup
run "$deploy/scripts/backup.sh" full
say "restored"
