#!/usr/bin/env bash
# Puts the version before back into service without losing a request.
#
#   rollback.sh [--dry-run] [--undo-migrations] [VERSION]
#
# A version that does not know the newest migrations refuses to start. With --undo-migrations those are undone first, and
# what they hold is lost: the service is away while that happens.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

undo=false
rest=()
for argument in "$@"; do
    if [[ $argument == --undo-migrations ]]; then undo=true; else rest+=("$argument"); fi
done
options "${rest[@]}"

current=$(version_file current)
version=${arguments[0]:-$(version_file previous)}
[[ $version ]] || fail "there is no version before; name one"
[[ $version != "$current" ]] || fail "$version serves already"
docker image inspect "aponta-api:$version" >/dev/null || fail "there is no image aponta-api:$version any more"

unknown=$(APONTA_VERSION=$version compose run --rm --no-deps -T api migrate status | grep -c 'unknown to this version' || true)
if ((unknown)) && ! $undo; then
    fail "$version does not know the newest $unknown migration(s); --undo-migrations undoes them, with what they hold"
fi
if $dry_run; then
    say "would go from ${current:-nothing} to $version, undoing $unknown migration(s)"
    exit
fi
if ((unknown)); then
    say "undoing $unknown migration(s); the service is away meanwhile"
    mapfile -t old < <(containers api)
    docker stop --time 30 "${old[@]}" >/dev/null
    APONTA_VERSION=$current compose run --rm --no-deps -T api migrate down --steps "$unknown"
    docker rm "${old[@]}" >/dev/null
fi

say "replacing the replicas"
export APONTA_VERSION=$version
replace_replicas || fail "$version does not become healthy: see status.sh"
verify || fail "$version does not answer as it should: see status.sh"
echo "$current" >"$state/previous"
echo "$version" >"$state/current"
say "$version serves"
