#!/usr/bin/env bash
# Builds the version of this work tree and puts it into service without losing a request. What ran before stays at hand,
# and comes back by itself when the new version does not become healthy.
#
#   deploy.sh [--dry-run] [VERSION]
#
# VERSION names the image; without it, the commit does. It is safe to run this again.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
version=${arguments[0]:-$(git -C "$deploy/.." rev-parse --short=12 HEAD 2>/dev/null || echo local)}

# Everything that is wrong, at once.
faults=()
fault() {
    faults+=("$*")
}

# A file that only its owner may read.
private() {
    local mode
    if [[ ! -f $1 ]]; then
        fault "$1 is missing"
    else
        mode=$(stat -c %a "$1")
        (((8#$mode & 8#077) == 0)) || fault "$1 may be read by others (mode $mode): chmod 600 $1"
    fi
}

check_certificate() {
    local certificate=$deploy/certs/origin.pem key=$deploy/certs/origin.key
    [[ -f $certificate ]] || { fault "$certificate is missing: CloudFlare, SSL/TLS, Origin Server" && return; }
    private "$key"
    [[ -f $key ]] || return 0
    openssl x509 -in "$certificate" -noout -checkend $((7 * 86400)) >/dev/null ||
        fault "$certificate ends within a week: $(openssl x509 -in "$certificate" -noout -enddate)"
    [[ $(openssl x509 -in "$certificate" -noout -pubkey) == $(openssl pkey -in "$key" -pubout 2>/dev/null) ]] ||
        fault "$certificate does not belong to $key"
    [[ $(setting ORIGIN_PULLS off) == off || -f $deploy/certs/origin-pull-ca.pem ]] ||
        fault "ORIGIN_PULLS=on needs $deploy/certs/origin-pull-ca.pem"
}

check() {
    private "$deploy/.env"
    private "$deploy/secrets/database_password"
    private "$deploy/secrets/extension_app_keys"
    [[ ! -f $deploy/secrets/database_password || -s $deploy/secrets/database_password ]] ||
        fault "$deploy/secrets/database_password is empty"
    [[ $(setting AZURE_DEVOPS_ORG_URL "") ]] || fault "AZURE_DEVOPS_ORG_URL is not set in $deploy/.env"
    if uses monitoring; then
        private "$deploy/secrets/grafana_password"
        private "$deploy/secrets/smtp_password"
        private "$deploy/secrets/slack_webhook"
    fi
    ! uses backup || private "$deploy/secrets/backup.conf"
    check_certificate
    local free
    free=$(df --output=avail -B 1M "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)
    ((free >= ${MIN_FREE_MB:-3072})) || fault "only $free MB are free for images and data"
    compose config --quiet || fault "compose.yml and .env do not fit together"
    ((${#faults[@]} == 0)) || { printf '  %s\n' "${faults[@]}" >&2 && fail "nothing was changed"; }
    # The API runs as a user without rights, and its secrets come as files of this host.
    run chown 10001:10001 "$deploy/secrets/database_password" "$deploy/secrets/extension_app_keys"
    if uses monitoring; then
        # The users of Grafana and of Alertmanager.
        run chown 472:0 "$deploy/secrets/grafana_password"
        run chown 65534:65534 "$deploy/secrets/smtp_password" "$deploy/secrets/slack_webhook"
    fi
}

back() {
    say "the new version failed; going back to ${1:-nothing}"
    [[ $1 ]] || fail "there is no version before"
    APONTA_VERSION=$1 replace_replicas || fail "the version before does not become healthy either: see status.sh"
    fail "the deploy failed; $1 serves as before"
}

say "checking"
check
current=$(version_file current)
export APONTA_VERSION=$version APONTA_REVISION=$version

if [[ ${SKIP_BUILD:-} ]]; then
    docker image inspect "aponta-api:$version" >/dev/null || fail "there is no image aponta-api:$version"
else
    say "building aponta-api:$version"
    run compose build api
    ! uses backup || run compose build postgres
fi
if $dry_run; then
    say "would migrate, replace the replicas of ${current:-nothing} by $version and verify"
    exit
fi

mkdir -p "$state"
say "database"
running=$(containers --status running postgres)
wanted=$(compose config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["services"]["postgres"]["image"])')
if [[ $running && $(docker inspect --format '{{.Config.Image}}' "$running") != "$wanted" ]]; then
    say "the database becomes $wanted: the service answers 503 for some seconds"
    compose up --detach postgres
else
    compose up --detach --no-recreate postgres
fi
wait_healthy 120 "$(containers postgres)" || fail "the database does not become healthy"
say "migrating"
compose run --rm --no-deps -T api migrate up || fail "the migration failed; nothing was changed"

say "replacing the replicas"
replace_replicas || back "$current"
say "nginx"
compose up --detach --no-deps nginx
wait_healthy 60 "$(containers nginx)" || back "$current"
# What the overlays bring.
mapfile -t others < <(compose config --services | grep -vxE 'nginx|api|postgres' || true)
((${#others[@]} == 0)) || compose up --detach --no-deps "${others[@]}"
say "verifying"
verify || back "$current"

[[ $current == "$version" ]] || { [[ ! $current ]] || echo "$current" >"$state/previous"; }
echo "$version" >"$state/current"
say "$version serves"
