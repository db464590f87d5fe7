#!/usr/bin/env bash
# Installs security updates: pulls images, builds the others on current bases, and replaces the containers whose image or
# configuration changed. PostgreSQL restarts if it is among them: the service returns 503 for some seconds.
#
#   update.sh [--dry-run]
#
# With SKIP_BUILD=1 it uses the images of this host, for hosts that get their images otherwise.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
((${#arguments[@]} == 0)) || fail "there is no argument ${arguments[0]}"
load_settings
[[ ${SKIP_BUILD:-} ]] || run compose pull --ignore-buildable || fail "the images could not be pulled; nothing was changed"
flags=()
if $dry_run; then flags=(--dry-run); fi
export UPDATE=1
if [[ ${SKIP_BUILD:-} ]]; then exec "$deploy/scripts/deploy.sh" "${flags[@]}" "$(version_file current)"; fi
exec "$deploy/scripts/deploy.sh" "${flags[@]}"
