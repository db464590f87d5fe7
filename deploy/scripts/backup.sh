#!/usr/bin/env bash
# Makes a backup at once, in addition to the daily ones.
#
#   backup.sh [--dry-run] [full|incr|stanza-upgrade]
#
# stanza-upgrade: this database replaces the one in the backups, after a dump into another cluster.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
load_settings
require_database
[[ $(containers --status running backup 2>/dev/null) ]] ||
    fail "the backups do not run: COMPOSE_FILE=compose.yml:backup/compose.yml in $deploy/.env, and deploy.sh"
run compose exec -T --user postgres backup aponta-backup "${arguments[@]}"
