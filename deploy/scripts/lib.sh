# shellcheck shell=bash
# Shared by the scripts: paths, output, settings of .env, and cleanup at the end of a script.
# shellcheck disable=SC2034 # The scripts that source this file use the variables.

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=$deploy/state
dry_run=false
arguments=()
secret_table=$(<"$deploy/scripts/secrets.conf")
declare -A settings=()
faults=()

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Notes a fault. A script reports all of them before it changes anything.
fault() {
    faults+=("$*")
}

# Parses --dry-run and --help. Puts the other arguments into `arguments`.
options() {
    local argument
    for argument in "$@"; do
        case $argument in
        --dry-run) dry_run=true ;;
        -h | --help)
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
            exit
            ;;
        -*) fail "there is no option $argument" ;;
        *) arguments+=("$argument") ;;
        esac
    done
}

# Runs a command that changes something. With --dry-run it prints the command only.
run() {
    if $dry_run; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

# Reads the output of a command into an array, one element per line. Fails if the command fails.
lines() {
    local -n into=$1
    local printed
    printed=$("${@:2}") || return 1
    into=()
    [[ ! $printed ]] || mapfile -t into <<<"$printed"
}

# Prints the fault of a file that only its owner may read, if it has one.
privacy_fault() {
    local mode
    if [[ ! -f $1 ]]; then
        echo "$1 is missing"
    else
        mode=$(stat --dereference -c %a "$1")
        (((8#$mode & 8#077) == 0)) || echo "$1 may be read by others (mode $mode): chmod 600 $1"
    fi
}

# Prints the fault of Docker, if it has one.
docker_fault() {
    if ! docker compose version >/dev/null 2>&1; then
        echo "docker compose is not installed: see deploy/README.md, Prepare the host"
    elif ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
        echo "the Docker engine does not respond: systemctl status docker"
    fi
}

# Reads .env and notes its faults and those of Docker. Without faults `settings` has a value for each name.
# Requires root, because the secrets belong to root, and access to Docker is equivalent to root.
read_settings() {
    local found key value pairs=() command=(docker compose --project-directory "$deploy" --file "$deploy/scripts/settings.yml" config --format json)
    ((EUID == 0)) || fail "only root can do this: sudo $0"
    for found in "$(privacy_fault "$deploy/.env")" "$(docker_fault)"; do [[ ! $found ]] || fault "$found"; done
    if found=$("${command[@]}" 2>/dev/null) && lines pairs python3 -c '
import json, sys
for name, value in json.load(sys.stdin)["services"]["settings"]["environment"].items():
    print(name, value.replace("$$", "$"), sep="=")' <<<"$found"; then
        for found in "${pairs[@]}"; do
            IFS='=' read -r key value <<<"$found"
            settings[$key]=$value
        done
        # compose.yml requires these as well.
        for key in SERVER_NAME AZURE_DEVOPS_ORG_URL; do
            [[ ${settings[$key]} =~ [^[:space:]] ]] || fault "$key is not set in $deploy/.env"
        done
    elif docker compose version >/dev/null 2>&1; then
        fault "$deploy/.env cannot be read: $("${command[@]}" 2>&1 >/dev/null | grep -v level=warning | tr '\n' ' ')"
    fi
    image_name=${settings[COMPOSE_PROJECT_NAME]:-}-api
    # Commands use the version that serves, and not the latest build.
    export APONTA_VERSION=${APONTA_VERSION:-$(version_file current)}
}

# Reads .env, and ends the script if there is a fault.
load_settings() {
    local found
    read_settings
    for found in "${faults[@]}"; do printf '%s: %s\n' "$(basename "$0")" "$found" >&2; done
    ((${#faults[@]} == 0)) || exit 1
}

setting() {
    printf '%s\n' "${settings[$1]}"
}

# Runs docker compose with the files in COMPOSE_FILE of .env, as a manual `docker compose` does.
compose() {
    local files=() names name
    IFS=: read -ra names <<<"$(setting COMPOSE_FILE)"
    for name in "${names[@]}"; do files+=(--file "$deploy/$name"); done
    docker compose --project-directory "$deploy" "${files[@]}" ${COMPOSE_OVERRIDE:+--file "$COMPOSE_OVERRIDE"} "$@"
}

# Returns whether an overlay is in use.
uses() {
    [[ :$(setting COMPOSE_FILE): == *:$1/compose.yml:* ]]
}

# Returns whether PostgreSQL is part of this stack. With the overlay `hosts` it runs elsewhere.
has_database() {
    ! uses hosts
}

# Ends a script that works on the PostgreSQL of this stack, if there is none.
require_database() {
    has_database || fail "PostgreSQL runs elsewhere (hosts/compose.yml), and what this script does has to be done there"
}

# Prints the number of replicas for `aponta doctor`, which counts each of them twice, for a deploy. Hosts are deployed one after
# the other, so only one of them has old and new replicas.
counted_replicas() {
    local hosts=1
    has_database || hosts=$(setting API_HOSTS)
    echo $((($(setting API_REPLICAS) * (hosts + 1) + 1) / 2))
}

# Prints the secrets in use, one per line: name, owner, kind. See secrets.conf.
used_secrets() {
    local name overlay owner kind
    while read -r name overlay owner kind; do
        [[ $name && $name != \#* ]] || continue
        [[ $overlay == - ]] || uses "$overlay" || continue
        [[ $name != postgres_password ]] || has_database || continue
        printf '%s %s %s\n' "$name" "$owner" "$kind"
    done <<<"$secret_table"
}

# Prints the version that runs (`current`), or the one before it (`previous`).
version_file() {
    cat "$state/$1" 2>/dev/null || true
}

# Prints the version of the newest data of PostgreSQL; nothing without data. Each version has a volume: see compose.yml.
data_version() {
    local project volumes
    project=$(setting COMPOSE_PROJECT_NAME)
    volumes=$(docker volume ls --quiet --filter "name=^${project}_postgres_data") || return 1
    sed -nE "s/^${project}_postgres_data$/15/p; s/^${project}_postgres_data_([0-9]+)$/\1/p" <<<"$volumes" | sort -n | tail -n 1
}

# Prints the version of PostgreSQL that .env names.
postgres_version() {
    local version
    version=$(setting POSTGRES_VERSION)
    echo "${version:-15}"
}

containers() {
    compose ps --quiet "$@"
}

# Prevents two scripts from changing the stack at the same time.
lock() {
    mkdir -p "$state"
    exec {lock}>"$state/lock"
    flock --nonblock "$lock" || fail "another script is at work here; nothing was changed"
}

# Calls the function `undo_changes` of the script if it fails or gets a signal.
undo_on_failure() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'on_exit $?' EXIT
}

on_exit() {
    trap - EXIT
    trap '' HUP INT TERM
    (($1 == 0)) || undo_changes || say "the changes could not be undone: see status.sh"
    exit "$1"
}

# wait_healthy SECONDS CONTAINER...: waits until every container is healthy. Fails at once if one restarts five times.
wait_healthy() {
    local deadline=$((SECONDS + $1)) container health restarts
    shift
    (($#)) || return 1
    for container in "$@"; do
        until health=$(docker inspect --format '{{.State.Health.Status}}' "$container") && [[ $health == healthy ]]; do
            restarts=$(docker inspect --format '{{.RestartCount}}' "$container") || break
            [[ $health != unhealthy && $restarts -lt 5 ]] || break
            ((SECONDS < deadline)) || break
            sleep 1
        done
        if [[ $health != healthy ]]; then
            docker logs --tail 20 "$container" >&2 || true
            return 1
        fi
    done
}
