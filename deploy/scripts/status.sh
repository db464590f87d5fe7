#!/usr/bin/env bash
# Says what runs, how it is, and what is about to end. Exits with 1 when something is not as it should be.
#
#   status.sh
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=nginx.sh
source "$deploy/scripts/nginx.sh"

options "$@"
start
wrong=0

say "versions: $(version_file current) serves, $(version_file previous) before"
compose ps --format 'table {{.Service}}\t{{.Name}}\t{{.Image}}\t{{.Status}}'
for service in nginx api postgres; do
    mapfile -t running < <(containers --status running "$service")
    if ((${#running[@]} == 0)); then
        say "$service does not run"
        wrong=1
    fi
    for container in "${running[@]}"; do
        health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
        [[ $health == healthy ]] || { say "$service is $health" && wrong=1; }
    done
done
say "migrations"
compose exec -T --index "$(containers api >/dev/null && compose ps --format '{{.Name}}' api | sed -n '1s/.*[^0-9]//p')" api \
    aponta migrate status || wrong=1
say "disk: $(df -h --output=pcent,avail "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)"
say "certificate: $(openssl x509 -in "$deploy/certs/origin.pem" -noout -enddate)"
openssl x509 -in "$deploy/certs/origin.pem" -noout -checkend $((30 * 86400)) >/dev/null ||
    { say "the certificate ends within a month" && wrong=1; }
if uses backup; then
    last=$(compose exec -T backup sed -n 's/^aponta_backup_last_success_timestamp_seconds{.*} //p' \
        /var/lib/aponta-backup/backup.prom 2>/dev/null | sort -n | tail -n 1 || true)
    age=$((($(date +%s) - ${last:-0}) / 3600))
    say "backup: the last good one ended $age h ago"
    ((age <= 26)) || { say "there is no backup of the last day" && wrong=1; }
fi
verify || { say "the stack does not answer" && wrong=1; }
exit "$wrong"
