# shellcheck shell=bash disable=SC2154
# The database and the services of the overlays. Source it after lib.sh.

# changed NAME FILE...: returns whether the files differ from those that record_files recorded under NAME.
changed() {
    local name=$1
    shift
    [[ $(cat "$@" | sha256sum) != "$(version_file "$name.sha256")" ]]
}

record_files() {
    local name=$1
    shift
    cat "$@" | sha256sum >"$state/$name.sha256"
}

# Applies the configuration of PostgreSQL. It is recreated, which takes some seconds, only for an image with another name or
# other settings of the backups, and by update.sh for any change of its image or its service. The API returns 503 meanwhile.
apply_database() {
    has_database || return 0
    local running image files=("$deploy/backup/pgbackrest.conf" "$deploy/secrets/backup.conf") recreate=(--no-recreate)
    running=$(containers --status running postgres)
    image=$(compose config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["services"]["postgres"]["image"])')
    if [[ $running && ${UPDATE:-} ]]; then
        # Compose compares the ids of images and the configuration of the service.
        [[ $(compose --dry-run up --detach --no-deps postgres 2>&1) != *Recreate* ]] || recreate=()
    elif [[ $running && $(docker inspect --format '{{.Config.Image}}' "$running") != "$image" ]]; then
        recreate=()
    elif [[ $running ]] && uses backup && changed backup "${files[@]}"; then
        recreate=(--force-recreate)
    fi
    [[ ! $running || ${recreate[*]} == --no-recreate ]] || say "recreating the database: the service returns 503 for some seconds"
    compose up --detach --no-deps "${recreate[@]}" postgres
    wait_healthy 120 "$(containers postgres)" || fail "the database does not become healthy"
    if uses backup; then
        if changed backup "${files[@]}"; then compose up --detach --no-deps --force-recreate backup; fi
        record_files backup "${files[@]}"
    fi
}

# Starts the pooler, through which the new replicas connect. It reads its files only when it starts.
apply_pooler() {
    local files=("$deploy/pooler/pgbouncer.ini" "$deploy/pooler/start.sh" "$deploy/secrets/database_password") recreate=()
    uses pooler || return 0
    if [[ $(containers --status running pooler) ]] && changed pooler "${files[@]}"; then
        say "recreating the pooler: the service returns 503 for some seconds"
        recreate=(--force-recreate)
    fi
    compose up --detach --no-deps "${recreate[@]}" pooler
    wait_healthy 60 "$(containers pooler)" || fail "the pooler does not become healthy"
    record_files pooler "${files[@]}"
}

# Applies the services of the overlays: each is recreated, reloaded or restarted if its files changed.
apply_overlays() {
    local others service directory found files
    lines others compose config --services
    for service in "${others[@]}"; do
        [[ ! $service =~ ^(nginx|api|postgres|pooler)$ ]] || continue
        compose up --detach --no-deps "$service"
        files=()
        for directory in "$deploy/monitoring/${service%-exporter}" "$deploy/local/$service"; do
            [[ -d $directory ]] || continue
            lines found find "$directory" -type f
            files+=("${found[@]}")
        done
        # A replaced file of a secret reaches a container when it starts.
        case $service in
        postgres-exporter) files+=("$deploy/secrets/exporter_password") ;;
        valkey) files=("$deploy"/valkey/{valkey.conf,start.sh} "$deploy/secrets/redis_url") ;;
        alertmanager) files+=("$deploy"/secrets/{smtp_password,slack_webhook,pagerduty_key}) ;;
        esac
        ((${#files[@]})) || continue
        changed "$service" "${files[@]}" || continue
        if [[ $service == prometheus ]]; then
            compose kill --signal HUP "$service"
        else
            compose restart "$service"
        fi
        record_files "$service" "${files[@]}"
    done
}
