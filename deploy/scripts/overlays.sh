# shellcheck shell=bash disable=SC2154
# The database and what the overlays of compose.yml bring. To be sourced after lib.sh.

# Whether files are others than when this was last asked of NAME and noted.
changed() {
    local name=$1
    shift
    [[ $(cat "$@" | sha256sum) != "$(version_file "$name.sha256")" ]]
}

note_files() {
    local name=$1
    shift
    cat "$@" | sha256sum >"$state/$name.sha256"
}

# PostgreSQL as the files have it. It is made anew, which takes some seconds, only for another image or other settings of
# the backups: each replica of the API outlives that with answers of 503.
apply_database() {
    local running wanted files=("$deploy/backup/pgbackrest.conf" "$deploy/secrets/backup.conf") how=(--no-recreate)
    running=$(containers --status running postgres)
    wanted=$(compose config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["services"]["postgres"]["image"])')
    if [[ $running && $(docker inspect --format '{{.Config.Image}}' "$running") != "$wanted" ]]; then
        how=()
    elif [[ $running ]] && uses backup && changed backup "${files[@]}"; then
        how=(--force-recreate)
    fi
    [[ ! $running || ${how[*]} == --no-recreate ]] || say "the database is started anew: the service answers 503 for some seconds"
    compose up --detach --no-deps "${how[@]}" postgres
    wait_healthy 120 "$(containers postgres)" || fail "the database does not become healthy"
    if uses backup; then
        if changed backup "${files[@]}"; then compose up --detach --no-deps --force-recreate backup; fi
        note_files backup "${files[@]}"
    fi
}

# The rest, each made anew or told to look when its files are others.
apply_overlays() {
    local others service files
    lines others compose config --services
    for service in "${others[@]}"; do
        [[ $service != nginx && $service != api && $service != postgres ]] || continue
        compose up --detach --no-deps "$service"
        files=()
        lines files find "$deploy/monitoring/${service%-exporter}" -type f 2>/dev/null || true
        # It reads its password when it starts.
        [[ $service != postgres-exporter ]] || files=("$deploy/secrets/exporter_password")
        ((${#files[@]})) || continue
        changed "$service" "${files[@]}" || continue
        case $service in
        prometheus | alertmanager) compose kill --signal HUP "$service" ;;
        *) compose restart "$service" ;;
        esac
        note_files "$service" "${files[@]}"
    done
}
