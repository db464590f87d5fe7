#!/usr/bin/env bash
# Restores the former version without a failed request.
#
#   rollback.sh [--dry-run] [--undo-migrations] [VERSION]
#
# A version without the newest migrations refuses to start. --undo-migrations undoes them first. That deletes their data,
# and the service is down meanwhile.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=nginx.sh
source "$deploy/scripts/nginx.sh"
# shellcheck source=replicas.sh
source "$deploy/scripts/replicas.sh"

undo=false
rest=()
for argument in "$@"; do
    if [[ $argument == --undo-migrations ]]; then undo=true; else rest+=("$argument"); fi
done
options "${rest[@]}"
load_settings

# Keeps the version in service that served before.
undo_changes() {
    local serving
    remove_new_replicas || return 1
    lines serving containers api || return 1
    ((${#serving[@]} == 0)) || return 0
    [[ $current ]] || return 1
    say "restoring $current"
    export APONTA_VERSION=$current
    replace_replicas
}

current=$(version_file current)
version=${arguments[0]:-$(version_file previous)}
[[ $version ]] || fail "there is no former version; name one"
[[ $version != "$current" ]] || fail "$version serves already"
image_id "$version" >/dev/null || fail "there is no image $image_name:$version any more"

unknown=$(count_steps "$version" 'unknown to this version') || fail "the migrations of $version cannot be listed"
if ((unknown)) && ! $undo; then
    fail "$version lacks the newest $unknown migration(s); --undo-migrations undoes them and deletes their data"
fi
if $dry_run; then
    say "would go from ${current:-nothing} to $version, undoing $unknown migration(s)"
    exit
fi
lock
undo_on_failure
if ((unknown)); then
    has_database || say "the versions of the other hosts know these migrations and fail without them: stop their API first"
    say "undoing $unknown migration(s); the service is down meanwhile"
    stop_and_undo_steps "$current" "$unknown" || fail "nothing was changed"
fi

say "replacing the replicas"
export APONTA_VERSION=$version
replace_replicas || fail "$version does not become healthy: see status.sh"
record_version "$version" "$current"
verify || fail "$version does not respond as expected: see status.sh"
say "$version serves"
