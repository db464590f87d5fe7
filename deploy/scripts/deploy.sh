#!/usr/bin/env bash
# Builds the version of this work tree and replaces the running one without a failed request. The image of the former
# version is kept. If the new version does not become healthy, the script restores the former one.
#
#   deploy.sh [--dry-run] [VERSION]
#
# VERSION is the tag of the image. The default is the commit, with -dirty if the sources differ from it. The script can be
# run again at any time.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=checks.sh
source "$deploy/scripts/checks.sh"
# shellcheck source=nginx.sh
source "$deploy/scripts/nginx.sh"
# shellcheck source=replicas.sh
source "$deploy/scripts/replicas.sh"
# shellcheck source=roles.sh
source "$deploy/scripts/roles.sh"
# shellcheck source=overlays.sh
source "$deploy/scripts/overlays.sh"

# The sources of the image.
sources=(Cargo.toml Cargo.lock crates migration benches/Cargo.toml tests/Cargo.toml tests/src docs/openapi.json deploy/Dockerfile)
git() {
    command git -C "$deploy/.." "$@"
}

name_version() {
    version=${arguments[0]:-}
    revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
    created=$(git show --no-patch --format=%cI HEAD 2>/dev/null || echo unknown)
    # The URL may contain a password.
    source=$(git remote get-url origin 2>/dev/null | sed 's#//[^/@]*@#//#' || echo unknown)
    [[ ! $version ]] || return 0
    version=$(git rev-parse --short=12 HEAD) || fail "git cannot determine the version: name one"
    [[ ! $(git status --porcelain -- "${sources[@]}") ]] || version+=-dirty
}

# Builds the image. If the tag exists, its image is kept under a tag of its own.
build() {
    local id
    id=$(image_id "$version" || true)
    export APONTA_VERSION=$version APONTA_REVISION=$revision APONTA_CREATED=$created APONTA_SOURCE=$source
    if [[ ${SKIP_BUILD:-} ]]; then
        [[ $id ]] || fail "there is no image $image_name:$version"
        return
    fi
    say "building $image_name:$version"
    if [[ $id ]]; then run docker tag "$id" "$image_name:$version-${id:7:12}"; fi
    run compose build ${UPDATE:+--pull} api
    ! uses backup || run compose build ${UPDATE:+--pull} postgres
    if [[ $id ]] && ! $dry_run; then
        if [[ $current == "$version" && $(image_id "$version") != "$id" ]]; then
            current=$version-${id:7:12}
        else
            docker rmi "$image_name:$version-${id:7:12}" >/dev/null
        fi
    fi
}

# Lets the new version check the settings that it would start with.
judge_settings() {
    compose run --rm --no-deps -T api config >/dev/null
}

# Lets the new version compare the connections of all hosts with those that a database elsewhere accepts.
judge_connections() {
    local report line
    has_database && return
    # Other checks may fail, and so the command.
    report=$(compose run --rm --no-deps -T api doctor --replicas "$(counted_replicas)") || true
    line=$(grep '^WRONG *connections ' <<<"$report") || return 0
    printf '%s\n' "$line" >&2
    return 1
}

# Whether the schema or the replicas may have changed.
begun=false
pending=0
undo_changes() {
    local left undo=0
    $begun || return 0
    say "the deploy failed"
    remove_new_replicas || return 1
    [[ $current ]] || { say "there is no former version" && return 0; }
    if ((pending)); then
        left=$(count_steps "$version" pending) || return 1
        undo=$((pending - left))
    fi
    if ! $replaced; then
        if ((undo > 0)); then say "undoing $undo migration(s)" && undo_steps "$version" "$undo" || return 1; fi
    else
        say "restoring $current"
        if ((undo > 0)); then stop_and_undo_steps "$version" "$undo" || return 1; fi
        export APONTA_VERSION=$current
        replace_replicas && record_version "$current" "$before_current" || return 1
    fi
    [[ ! $(nginx_container) ]] || verify || return 1
    say "$current serves as before"
}

options "$@"
read_settings
say "checking"
check
current=$(version_file current)
before_current=$(version_file previous)
name_version
if ! $dry_run; then lock; fi
create_passwords || fail "the passwords could not be written; nothing was changed"
hand_secrets_over
run test_nginx || fail "nginx refuses its configuration; nothing was changed"
build
run judge_settings || fail "the image refuses the settings; nothing was changed"
run judge_connections || fail "the database accepts too few connections; nothing was changed"
if $dry_run; then
    say "would migrate, replace the replicas of ${current:-nothing} by $version and verify"
    exit
fi

undo_on_failure
say "database"
apply_database
apply_roles || fail "nothing was changed but roles of the database"
apply_pooler
pending=$(count_steps "$version" pending)
say "migrating: $pending step(s)"
begun=true
compose run --rm --no-deps -T api migrate up || fail "the migration failed"
if [[ $(nginx_container) ]]; then
    say "nginx"
    apply_nginx || fail "nginx does not become healthy"
fi

say "replacing the replicas"
replace_replicas || fail "the new version failed"
record_version "$version" "$current"
if [[ ! $(nginx_container) ]]; then
    say "nginx"
    apply_nginx || fail "nginx does not become healthy"
fi
apply_overlays
lock_superuser || fail "the superuser keeps its password"
say "verifying"
verify || fail "the stack does not respond as expected"
begun=false
say "$version serves"
