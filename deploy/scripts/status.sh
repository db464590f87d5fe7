#!/usr/bin/env bash
# Prints versions, containers, migrations, disk, certificate and backups. Exits with 1 if one of them has a problem.
#
#   status.sh
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=nginx.sh
source "$deploy/scripts/nginx.sh"

options "$@"
load_settings
problems=0

say "versions: $(version_file current) serves, $(version_file previous) before"
compose ps --format 'table {{.Service}}\t{{.Name}}\t{{.Image}}\t{{.Status}}'
for service in nginx api postgres; do
    mapfile -t running < <(containers --status running "$service")
    if ((${#running[@]} == 0)); then
        say "$service does not run"
        problems=1
    fi
    for container in "${running[@]}"; do
        health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
        [[ $health == healthy ]] || { say "$service is $health" && problems=1; }
    done
done
say "migrations"
compose exec -T --index "$(containers api >/dev/null && compose ps --format '{{.Name}}' api | sed -n '1s/.*[^0-9]//p')" api \
    aponta migrate status || problems=1
say "disk: $(df -h --output=pcent,avail "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)"
say "certificate: $(openssl x509 -in "$deploy/certs/origin.pem" -noout -enddate)"
openssl x509 -in "$deploy/certs/origin.pem" -noout -checkend $((30 * 86400)) >/dev/null ||
    { say "the certificate ends within a month" && problems=1; }
if uses backup; then
    last=$(compose exec -T backup sed -n 's/^aponta_backup_last_success_timestamp_seconds{.*} //p' \
        /var/lib/aponta-backup/backup.prom 2>/dev/null | sort -n | tail -n 1 || true)
    age=$((($(date +%s) - ${last:-0}) / 3600))
    say "backup: the last good one ended $age h ago"
    ((age <= 26)) || { say "there is no backup of the last day" && problems=1; }
fi
verify || { say "the stack does not respond" && problems=1; }
exit "$problems"
