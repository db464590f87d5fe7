#!/usr/bin/env bash
# Runs `aponta doctor` in a container of the API with the certificate and the metrics of the backups. Exits with 1 if a check
# fails.
#
#   doctor.sh
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
load_settings
mounts=(--volume "$deploy/certs/origin.pem:/run/origin.pem:ro")
checks=(--certificate /run/origin.pem --replicas "$(counted_replicas)")
if uses backup; then
    mounts+=(--volume "$(setting COMPOSE_PROJECT_NAME)_backup_metrics:/run/backup:ro")
    checks+=(--backups /run/backup/backup.prom)
fi
compose run --rm --no-deps -T "${mounts[@]}" api doctor "${checks[@]}"
