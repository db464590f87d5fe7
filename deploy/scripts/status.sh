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
services=(nginx api)
if has_database; then services+=(postgres); fi
if uses pooler; then services+=(pooler); fi
if uses valkey; then services+=(valkey); fi
for service in "${services[@]}"; do
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
# backup_time METRIC: prints the newest of its times, 0 without one.
backup_time() {
    local times
    times=$(compose exec -T backup sh -c 'cat /var/lib/aponta-backup/*.prom' 2>/dev/null) || true
    sed -nE "s/^$1(\{.*\})? //p" <<<"$times" | sort -n | tail -n 1 | grep . || echo 0
}

if uses backup; then
    last=$(backup_time aponta_backup_last_success_timestamp_seconds)
    if ((last)); then
        age=$((($(date +%s) - last) / 3600))
        say "backup: the last good one ended $age h ago"
        ((age <= 26)) || problem "there is no backup of the last day"
    else
        problem "there is no backup yet, or the backups do not run"
    fi
    (($(backup_time aponta_backup_wal_dropped_timestamp_seconds) <= last)) ||
        problem "WAL was dropped since then: see WalDropped in docs/operations.md"
fi
verify || problem "the stack does not respond"
exit "$problems"
