#!/usr/bin/env bash
# Makes a backup at once, in addition to the daily ones.
#
#   backup.sh [--dry-run] [full|incr]
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
load_settings
[[ $(containers --status running backup 2>/dev/null) ]] ||
    fail "the backups do not run: COMPOSE_FILE=compose.yml:backup/compose.yml in $deploy/.env, and deploy.sh"
run compose exec -T --user postgres backup aponta-backup "${arguments[@]}"
