# shellcheck shell=bash disable=SC2034,SC2154
# How replicas are replaced without losing a request, and what is noted of it. To be sourced after nginx.sh.
#
# These functions are called where `set -e` does not hold (`… || …`, the end of a script), so each step says what follows
# when it fails.

# The replicas that serve while others are made ready; whether that is so now; and whether the others have taken over.
old=()
replacing=false
replaced=false

image_id() {
    docker image inspect --format '{{.Id}}' "aponta-api:$1" 2>/dev/null
}

# Whether these containers are so many, and all of one image.
are_of() {
    local image=$1 number=$2 images
    shift 2
    (($# == number)) || { say "there are $# replicas, not $number" && return 1; }
    lines images docker inspect --format '{{.Image}}' "$@" || return 1
    [[ $(printf '%s\n' "${images[@]}" | sort -u) == "$image" ]] || { say "not all replicas are of the version" && return 1; }
}

# All replicas but those that served before.
newcomers() {
    local all
    lines all containers --all api || return 1
    comm -13 <(sorted "${old[@]}") <(sorted "${all[@]}")
}

# Lets nginx send requests to those of the old replicas that are well; where none is, nothing can be lost.
route_to_the_old() {
    local told well
    ((${#old[@]})) || return 0
    told=$(docker inspect --format '{{.Id}} {{.State.Health.Status}}' "${old[@]}") || return 1
    # shellcheck disable=SC2016 # They are awk's.
    lines well awk '$2 == "healthy" { print $1 }' <<<"$told" || return 1
    ((${#well[@]} == 0)) || route_to "${well[@]}"
}

# Puts replicas of the version in APONTA_VERSION in the place of those that run: the new ones start beside the old ones and
# get no request before they are well, nginx turns to them, and only when it answers from there the old ones have to stop.
replace_replicas() {
    local replicas image stopped new
    replicas=$(setting API_REPLICAS)
    image=$(image_id "$APONTA_VERSION") || return 1
    route_by_name || return 1
    # They would be counted and started again, with the image that they had.
    lines stopped containers --all --status exited --status created --status dead api || return 1
    ((${#stopped[@]} == 0)) || docker rm "${stopped[@]}" >/dev/null || return 1
    lines old containers api || return 1
    replacing=true replaced=false
    route_to_the_old || return 1
    compose up --detach --no-deps --no-recreate --scale "api=$((replicas + ${#old[@]}))" api || return 1
    lines new newcomers || return 1
    are_of "$image" "$replicas" "${new[@]}" || return 1
    wait_healthy 120 "${new[@]}" || return 1
    reachable "${new[@]}" || return 1
    # Also when nothing is left to replace: nginx would ask for the name again only after a while.
    route_to "${new[@]}" || return 1
    [[ ! $(nginx_container) ]] || verify || return 1
    if ((${#old[@]})); then
        drained || return 1
        replacing=false replaced=true
        docker stop --time 30 "${old[@]}" >/dev/null || return 1
        docker rm "${old[@]}" >/dev/null || return 1
    fi
    replacing=false replaced=true
    route_by_name || return 1
    lines new containers api || return 1
    are_of "$image" "$replicas" "${new[@]}"
}

# Gives up replicas that did not come to serve: those from before go on.
abandon() {
    local new
    $replacing || return 0
    replacing=false
    route_to_the_old && drained || return 1
    lines new newcomers || return 1
    ((${#new[@]} == 0)) || docker rm --force "${new[@]}" >/dev/null || return 1
    route_by_name
}

# Notes that VERSION serves and BEFORE did, for the scripts and, as the tag `latest`, for compose by hand.
note_version() {
    if [[ $2 && $2 != "$1" ]]; then
        echo "$2" >"$state/previous.new" && mv "$state/previous.new" "$state/previous" || return 1
    fi
    echo "$1" >"$state/current.new" && mv "$state/current.new" "$state/current" || return 1
    docker tag "aponta-api:$1" aponta-api:latest
}

# How many steps of the schema are in a state, as VERSION sees it.
count_steps() {
    APONTA_VERSION=$1 compose run --rm --no-deps -T api migrate status | awk -v state="  $2" \
        'substr($0, length($0) - length(state) + 1) == state { n++ } END { print n + 0 }'
}

undo_steps() {
    APONTA_VERSION=$1 compose run --rm --no-deps -T api migrate down --steps "$2"
}

# Undoes steps with VERSION, which knows them, while nothing uses them. What was stopped for that comes back when it fails.
stop_and_undo_steps() {
    local serving
    lines serving containers api || return 1
    ((${#serving[@]} == 0)) || docker stop --time 30 "${serving[@]}" >/dev/null || return 1
    undo_steps "$@" && return
    say "the steps could not be undone; what served is started again"
    ((${#serving[@]} == 0)) || docker start "${serving[@]}" >/dev/null && wait_healthy 120 "${serving[@]}"
    return 1
}
