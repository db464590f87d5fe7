#!/usr/bin/env bash
# Looks at everything that the service needs: each line says ok, or what to do. Exits with 1 when something is wrong.
#
#   doctor.sh
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
start
show=(--volume "$deploy/certs/origin.pem:/run/origin.pem:ro")
look=(--certificate /run/origin.pem)
if uses backup; then
    show+=(--volume "$(compose config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')_backup_metrics:/run/backup:ro")
    look+=(--backups /run/backup/backup.prom)
fi
compose run --rm --no-deps -T "${show[@]}" api doctor "${look[@]}"
