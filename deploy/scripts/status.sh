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
problems=0 running=()

problem() {
    say "$*"
    problems=1
}

say "versions: $(version_file current) serves, $(version_file previous) before"
compose ps --format 'table {{.Service}}\t{{.Name}}\t{{.Image}}\t{{.Status}}'
for service in nginx api postgres; do
    lines running containers --status running "$service"
    ((${#running[@]})) || problem "$service does not run"
    for container in "${running[@]}"; do
        health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
        [[ $health == healthy ]] || problem "$service is $health"
    done
done
lines running containers --status running api
if ((${#running[@]})); then
    say "migrations"
    docker exec "${running[0]}" aponta migrate status || problem "the migrations cannot be listed"
fi
say "disk: $(df -h --output=pcent,avail "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)"
if ends=$(openssl x509 -in "$deploy/certs/origin.pem" -noout -enddate 2>/dev/null); then
    say "certificate: $ends"
    openssl x509 -in "$deploy/certs/origin.pem" -noout -checkend $((30 * 86400)) >/dev/null ||
        problem "the certificate ends within a month"
else
    problem "$deploy/certs/origin.pem is missing or not a certificate"
fi
if uses backup; then
    last=$(compose exec -T backup sed -n 's/^aponta_backup_last_success_timestamp_seconds{.*} //p' \
        /var/lib/aponta-backup/backup.prom 2>/dev/null | sort -n | tail -n 1 || true)
    if ((${last:-0})); then
        age=$((($(date +%s) - last) / 3600))
        say "backup: the last good one ended $age h ago"
        ((age <= 26)) || problem "there is no backup of the last day"
    else
        problem "there is no backup yet, or the backups do not run"
    fi
fi
verify || problem "the stack does not respond"
exit "$problems"
