#!/usr/bin/env bash
# A stand-in for docker without an engine. `compose config` is that of the real compose, in $COMPOSE. Nothing runs unless a
# variable says so:
#
#   ABSENT        compose, or engine: that is missing
#   PROJECTS      directories of the containers of the project, one per line
#   PUBLISHER     project and container that publish every port
#   VOLUMES       names of the volumes, one per line
#   INFO          output of pgbackrest info
#   METRICS       metrics of the backups
case "$*" in
"compose version"*) [[ $ABSENT != compose ]] ;;
"compose "*" config"*)
    [[ $ABSENT != compose ]] || { echo "docker: 'compose' is not a docker command" >&2 && exit 1; }
    exec "$COMPOSE" "${@:2}"
    ;;
*) [[ $ABSENT != engine ]] || { echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock" >&2 && exit 1; } ;;
esac || exit 1
case "$*" in
"compose "*" pgbackrest "*) printf '%s' "${INFO:-}" ;;
"compose "*/var/lib/aponta-backup/*) printf '%s' "${METRICS:-}" ;;
"compose "*" exec "* | "compose "*" run "*) exit 1 ;;
"info "*) echo / ;;
"volume ls "*) printf '%s' "${VOLUMES:-}" ;;
"ps --all "*) printf '%s' "${PROJECTS:-}" ;;
"ps --filter publish="*) printf '%s' "${PUBLISHER:-}" ;;
esac
