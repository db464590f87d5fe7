# shellcheck shell=bash disable=SC2034,SC2154
# Replaces replicas without a failed request and records the versions. Source it after nginx.sh.
#
# `set -e` does not apply to these functions, because callers use them in `… || …`. So each step handles its failure.

# The replicas to replace; whether a replacement is in progress; whether the new replicas serve.
old=()
replacing=false
replaced=false

image_id() {
    docker image inspect --format '{{.Id}}' "$image_name:$1" 2>/dev/null
}

# are_all_of IMAGE NUMBER CONTAINER...: returns whether the containers have this number and image.
are_all_of() {
    local image=$1 number=$2 images
    shift 2
    (($# == number)) || { say "there are $# replicas, not $number" && return 1; }
    lines images docker inspect --format '{{.Image}}' "$@" || return 1
    [[ $(printf '%s\n' "${images[@]}" | sort -u) == "$image" ]] || { say "not all replicas are of the version" && return 1; }
}

# Prints the replicas that are not in `old`.
new_replicas() {
    local all
    lines all containers --all api || return 1
    comm -13 <(sorted "${old[@]}") <(sorted "${all[@]}")
}

# Makes nginx send requests to the healthy old replicas, if there are any.
route_to_old() {
    local states healthy
    ((${#old[@]})) || return 0
    states=$(docker inspect --format '{{.Id}} {{.State.Health.Status}}' "${old[@]}") || return 1
    # shellcheck disable=SC2016 # The variables are those of awk.
    lines healthy awk '$2 == "healthy" { print $1 }' <<<"$states" || return 1
    ((${#healthy[@]} == 0)) || route_to "${healthy[@]}"
}

# Replaces the running replicas by those of APONTA_VERSION:
#   1. nginx sends requests to the old replicas only.
#   2. The new replicas start and become healthy.
#   3. nginx sends requests to the new replicas only.
#   4. The old workers of nginx exit, then the old replicas stop.
#   5. nginx resolves the name of the service again.
replace_replicas() {
    local replicas image stopped new
    replicas=$(setting API_REPLICAS)
    image=$(image_id "$APONTA_VERSION") || return 1
    route_by_name || return 1
    # Compose would count stopped replicas and start them again with their old image.
    lines stopped containers --all --status exited --status created --status dead api || return 1
    ((${#stopped[@]} == 0)) || docker rm "${stopped[@]}" >/dev/null || return 1
    lines old containers api || return 1
    replacing=true replaced=false
    route_to_old || return 1
    compose up --detach --no-deps --no-recreate --scale "api=$((replicas + ${#old[@]}))" api || return 1
    lines new new_replicas || return 1
    are_all_of "$image" "$replicas" "${new[@]}" || return 1
    wait_healthy 120 "${new[@]}" || return 1
    reachable "${new[@]}" || return 1
    # Also without old replicas: nginx resolves the name only every 2 s.
    route_to "${new[@]}" || return 1
    [[ ! $(nginx_container) ]] || verify || return 1
    if ((${#old[@]})); then
        wait_drained || return 1
        replacing=false replaced=true
        docker stop --time 30 "${old[@]}" >/dev/null || return 1
        docker rm "${old[@]}" >/dev/null || return 1
    fi
    replacing=false replaced=true
    route_by_name || return 1
    lines new containers api || return 1
    are_all_of "$image" "$replicas" "${new[@]}"
}

# Removes the new replicas after a failure. The old ones continue to serve.
remove_new_replicas() {
    local new
    $replacing || return 0
    replacing=false
    route_to_old && wait_drained || return 1
    lines new new_replicas || return 1
    ((${#new[@]} == 0)) || docker rm --force "${new[@]}" >/dev/null || return 1
    route_by_name
}

# record_version VERSION FORMER: records both for the scripts, and tags VERSION as `latest` for manual compose commands.
record_version() {
    if [[ $2 && $2 != "$1" ]]; then
        echo "$2" >"$state/previous.new" && mv "$state/previous.new" "$state/previous" || return 1
    fi
    echo "$1" >"$state/current.new" && mv "$state/current.new" "$state/current" || return 1
    docker tag "$image_name:$1" "$image_name:latest"
}

# count_steps VERSION STATE: prints how many migrations VERSION reports in this state.
count_steps() {
    APONTA_VERSION=$1 compose run --rm --no-deps -T api migrate status | awk -v state="  $2" \
        'substr($0, length($0) - length(state) + 1) == state { n++ } END { print n + 0 }'
}

undo_steps() {
    APONTA_VERSION=$1 compose run --rm --no-deps -T api migrate down --steps "$2"
}

# stop_and_undo_steps VERSION NUMBER: stops the replicas and undoes migrations with VERSION. On failure it starts the replicas
# again.
stop_and_undo_steps() {
    local serving
    lines serving containers api || return 1
    ((${#serving[@]} == 0)) || docker stop --time 30 "${serving[@]}" >/dev/null || return 1
    undo_steps "$@" && return
    say "the migrations could not be undone; starting the replicas again"
    ((${#serving[@]} == 0)) || docker start "${serving[@]}" >/dev/null && wait_healthy 120 "${serving[@]}"
    return 1
}
