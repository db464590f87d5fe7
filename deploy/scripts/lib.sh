# shellcheck shell=bash
# What the scripts share: where things are, how to speak, and how to replace replicas without losing a request.
# shellcheck disable=SC2034 # Those that source this use them.

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=$deploy/state
dry_run=false
arguments=()

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Reads --dry-run and --help, and leaves the rest in `arguments`.
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

# Does something that changes things, or only says it.
run() {
    if $dry_run; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

# The files are those of COMPOSE_FILE in .env, as for `docker compose` by hand.
compose() {
    local files=() names name
    IFS=: read -ra names <<<"$(setting COMPOSE_FILE compose.yml)"
    for name in "${names[@]}"; do files+=(-f "$deploy/$name"); done
    docker compose --project-directory "$deploy" "${files[@]}" ${COMPOSE_OVERRIDE:+-f "$COMPOSE_OVERRIDE"} "$@"
}

# Whether an overlay is in use.
uses() {
    [[ :$(setting COMPOSE_FILE compose.yml): == *:$1/compose.yml:* ]]
}

# The value of a setting of .env, or a default.
setting() {
    local value
    value=$(sed -n "s/^$1=//p" "$deploy/.env" 2>/dev/null | tail -n 1)
    printf '%s\n' "${value:-$2}"
}

# What runs now, and what ran before it.
version_file() {
    cat "$state/$1" 2>/dev/null || true
}

containers() {
    compose ps --quiet "$@"
}

# Waits until every container named is healthy.
wait_healthy() {
    local deadline=$((SECONDS + $1)) container health
    shift
    for container in "$@"; do
        until health=$(docker inspect --format '{{.State.Health.Status}}' "$container") && [[ $health == healthy ]]; do
            [[ $health == unhealthy ]] && break
            ((SECONDS < deadline)) || break
            sleep 1
        done
        if [[ $health != healthy ]]; then
            docker logs --tail 20 "$container" >&2 || true
            return 1
        fi
    done
}

addresses() {
    docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$@"
}

# Whether nginx reaches each of these containers, which may be healthy in their own eyes alone.
reachable() {
    local address
    [[ $(containers --status running nginx) ]] || return 0
    for address in $(addresses "$@"); do
        compose exec -T nginx curl -fsS -o /dev/null --max-time 5 "http://$address:8000/health" || return 1
    done
}

# Lets nginx send requests to these containers alone; without any, to whatever the name `api` stands for.
route_to() {
    local file=$deploy/nginx/upstream.conf lines
    [[ $(containers --status running nginx) ]] || return 0
    if (($#)); then
        lines=$(addresses "$@" | sed 's/.*/    server &:8000 max_fails=2 fail_timeout=5s;/')
    else
        lines='    server api:8000 resolve max_fails=2 fail_timeout=5s;'
    fi
    # In place: the container sees the file and not its name.
    awk -v lines="$lines" '/^ *server / { if (!done++) print lines; next } { print }' "$file" >"$state/upstream.conf"
    cat "$state/upstream.conf" >"$file"
    compose exec -T nginx nginx -t -q && compose exec -T nginx nginx -s reload
}

# Waits until nginx's workers with the configuration before have finished; nginx bounds that itself.
drained() {
    local nginx attempt
    nginx=$(containers --status running nginx)
    [[ $nginx ]] || return 0
    for attempt in {1..65}; do
        # Not `grep -q`: it leaves early, and the broken pipe would look like no such worker.
        docker top "$nginx" -eo args | grep 'worker process is shutting down' >/dev/null || return 0
        sleep 1
    done
    say "nginx still has workers that shut down after $attempt s"
}

# Puts replicas of the version in APONTA_VERSION in the place of those that run, and loses no request: the new ones
# start beside the old ones, nginx turns to them, and only then the old ones are asked to stop.
replace_replicas() {
    local replicas old new container
    replicas=$(setting API_REPLICAS 2)
    mapfile -t old < <(containers api)
    compose up --detach --no-deps --no-recreate --scale "api=$((replicas + ${#old[@]}))" api
    mapfile -t new < <(comm -13 <(printf '%s\n' "${old[@]}" | sort) <(containers api | sort))
    if ! wait_healthy 120 "${new[@]}" || ! reachable "${new[@]}"; then
        docker rm --force "${new[@]}" >/dev/null
        return 1
    fi
    # Also when nothing is left to replace: nginx would ask for the name again only after a while.
    route_to "${new[@]}"
    if ((${#old[@]})); then
        drained
        docker stop --time 30 "${old[@]}" >/dev/null
        docker rm "${old[@]}" >/dev/null
    fi
    route_to
    compose up --detach --no-deps --no-recreate --scale "api=$replicas" api
}

# Whether the stack answers as its clients see it: over TLS, through nginx.
verify() {
    local port
    port=$(setting HTTPS_PORT 443)
    compose exec -T nginx curl -fsS -o /dev/null http://127.0.0.1:8080/nginx-health || return 1
    compose exec -T nginx curl -fsS -o /dev/null --max-time 10 http://api:8000/health || return 1
    # From this host nothing comes through CloudFlare, so with the guard an answer of none at all is the right one.
    local code
    code=$(curl -sk -o /dev/null -w '%{http_code}' --max-time 10 "https://127.0.0.1:$port/health" || true)
    case $(setting ORIGIN_GUARD on):$code in
    off:200 | on:000 | on:200) ;;
    *) say "https://127.0.0.1:$port/health answered $code" && return 1 ;;
    esac
}
