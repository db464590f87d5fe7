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
start

# Whatever else failed: somebody has to serve, and the version that did is the one that does it.
back() {
    local serving
    abandon || return 1
    lines serving containers api || return 1
    ((${#serving[@]} == 0)) || return 0
    [[ $current ]] || return 1
    say "going back to $current"
    export APONTA_VERSION=$current
    replace_replicas
}

current=$(version_file current)
version=${arguments[0]:-$(version_file previous)}
[[ $version ]] || fail "there is no version before; name one"
[[ $version != "$current" ]] || fail "$version serves already"
image_id "$version" >/dev/null || fail "there is no image aponta-api:$version any more"

unknown=$(count_steps "$version" 'unknown to this version') || fail "$version does not say which migrations it knows"
if ((unknown)) && ! $undo; then
    fail "$version does not know the newest $unknown migration(s); --undo-migrations undoes them, with what they hold"
fi
if $dry_run; then
    say "would go from ${current:-nothing} to $version, undoing $unknown migration(s)"
    exit
fi
lock
watch_the_end
if ((unknown)); then
    say "undoing $unknown migration(s); the service is away meanwhile"
    stop_and_undo_steps "$current" "$unknown" || fail "nothing was changed"
fi

say "replacing the replicas"
export APONTA_VERSION=$version
replace_replicas || fail "$version does not become healthy: see status.sh"
note_version "$version" "$current"
verify || fail "$version does not answer as it should: see status.sh"
say "$version serves"
