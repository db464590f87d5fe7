# shellcheck shell=bash
# The checks of deploy.sh before it changes anything. Source it after lib.sh.
# shellcheck disable=SC2154 # lib.sh sets the variables.

# The user of the API in its image.
api_user=10001:10001

check_private() {
    local found
    found=$(privacy_fault "$1")
    [[ ! $found ]] || fault "$found"
}

# Programs treat a carriage return or NUL in a secret in different ways, so each would read another password. All of them
# ignore line feeds at its end.
check_secret() {
    check_private "$1"
    [[ -f $1 ]] || return 0
    ! grep -q $'\r' "$1" || fault "$1 has a carriage return: remove it with sed -i 's/\r//g' $1"
    ! grep -qaP '\x00' "$1" || fault "$1 has a NUL byte"
}

# A password is one line that is not empty.
check_password() {
    check_secret "$1"
    [[ -f $1 ]] || return 0
    local text
    text=$(tr -d '\0' <"$1")
    [[ $text ]] || fault "$1 is empty: openssl rand -base64 32"
    [[ $text != *$'\n'* ]] || fault "$1 has more than one line"
}

check_settings() {
    local name
    for name in ORIGIN_GUARD ORIGIN_PULLS; do
        [[ $(setting $name) == on || $(setting $name) == off ]] || fault "$name is on or off, not $(setting $name)"
    done
    [[ $(setting API_REPLICAS) =~ ^[1-9][0-9]?$ ]] || fault "API_REPLICAS is a number from 1 to 99, not $(setting API_REPLICAS)"
    check_server_name
    check_examples
    check_alertmanager
    check_secrets_in_env
    check_app_tokens
    check_hosts
    [[ ! $(setting DATABASE_USER) =~ ^(aponta_api|aponta_exporter)$ ]] ||
        fault "DATABASE_USER is the superuser of the database, not $(setting DATABASE_USER), which has a role of its own"
    [[ $(setting BACKUP_TIME) =~ ^([01]?[0-9]|2[0-3]):[0-5][0-9]$ ]] || fault "BACKUP_TIME is a time as 03:00, not $(setting BACKUP_TIME)"
}

# A misspelled name would leave its default in effect, like ORIGIN_GAURD=off.
check_names() {
    local known name names
    [[ -f $deploy/.env ]] || return 0
    lines known grep -ohE '\$\{[A-Z][A-Z0-9_]*' "$deploy"/compose.yml "$deploy"/*/compose.yml "$deploy/scripts/settings.yml"
    lines names sed -nE 's/^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=.*/\2/p' "$deploy/.env"
    for name in "${names[@]}"; do
        [[ $name == COMPOSE_* || " ${known[*]} " == *" \${$name "* ]] || fault "$name in $deploy/.env is not a setting of this stack"
    done
}

# compose.yml gives the API its secrets as files only.
check_secrets_in_env() {
    local name owner
    while read -r name owner _; do
        [[ $owner != "$api_user" || ! $(setting "${name^^}") ]] || fault "${name^^} in .env is not read: move it to $deploy/secrets/$name"
    done < <(used_secrets)
}

# With the overlay `hosts` the database is named, and nothing needs that of the stack.
check_hosts() {
    local overlay
    has_database && return
    for overlay in backup pooler; do
        ! uses "$overlay" || fault "$overlay/compose.yml needs the PostgreSQL that hosts/compose.yml drops: remove one of them from COMPOSE_FILE"
    done
    [[ :$(setting COMPOSE_FILE): != *:hosts/*:monitoring/* ]] || fault "hosts/compose.yml comes after monitoring/compose.yml in COMPOSE_FILE"
    [[ $(setting API_HOSTS) =~ ^[1-9][0-9]?$ ]] || fault "API_HOSTS is the number of hosts, from 1 to 99, not $(setting API_HOSTS)"
    [[ $(setting DATABASE_HOST) ]] || grep -q . "$deploy/secrets/database_url" 2>/dev/null ||
        fault "hosts/compose.yml needs DATABASE_HOST in $deploy/.env, or $deploy/secrets/database_url"
}

check_app_tokens() {
    local name
    case $(setting APP_TOKEN_ALONE) in
    off) ;;
    members)
        for name in azure_devops_pat extension_app_keys; do
            grep -q . "$deploy/secrets/$name" 2>/dev/null || fault "APP_TOKEN_ALONE=members needs $deploy/secrets/$name, which is missing or empty"
        done
        ;;
    *) fault "APP_TOKEN_ALONE is off or members, not $(setting APP_TOKEN_ALONE)" ;;
    esac
}

# The values of the examples belong to others.
check_examples() {
    local name host
    host=$(setting AZURE_DEVOPS_ORG_URL)
    [[ ${host,,} != https://dev.azure.com/name?(/) ]] || fault "AZURE_DEVOPS_ORG_URL is that of the example, $host"
    for name in $(setting SERVER_NAME); do
        [[ ! ${name,,} =~ (^|\.)example\.(com|net|org)$ ]] || fault "SERVER_NAME is that of the example, $name"
    done
}

# Alertmanager runs as another user, so the file has to be readable.
check_alertmanager() {
    local file=$deploy/local/alertmanager/alertmanager.yml
    uses monitoring || return 0
    if [[ ! -f $file ]]; then
        fault "$file is missing: install -D -m 644 $deploy/monitoring/alertmanager/alertmanager.yml $file"
    elif grep -q 'example\.org' "$file"; then
        fault "$file has addresses of the example"
    elif [[ ! $(stat -c %A "$file") =~ r..$ || ! $(stat -c %A "${file%/*}") =~ r.x$ ]]; then
        fault "$file cannot be read by Alertmanager: chmod o+rX ${file%/*} $file"
    fi
}

check_server_name() {
    local name label='[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?' names
    read -ra names <<<"$(setting SERVER_NAME)"
    for name in "${names[@]}"; do
        # Not an IP address: clients send only names in the TLS handshake.
        [[ $name =~ ^($label\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$ ]] || fault "SERVER_NAME is a list of host names separated by blanks, not $name"
    done
}

check_secrets() {
    local name kind file
    while read -r name _ kind; do
        file=$deploy/secrets/$name
        case $kind in
        password) check_password "$file" ;;
        generated) [[ ! -e $file ]] || check_password "$file" ;;
        optional) [[ ! -e $file ]] || check_secret "$file" ;;
        text) check_secret "$file" ;;
        pgbackrest)
            check_secret "$file"
            check_encryption "$file"
            ;;
        *) fault "secrets.conf: $name has the unknown kind $kind" ;;
        esac
    done < <(used_secrets)
}

# Every repository of the backups has to be encrypted.
check_encryption() {
    local found line
    [[ -f $1 ]] || return 0
    lines found python3 "$deploy/scripts/backup_conf.py" "$deploy/backup/pgbackrest.conf" "$1" ||
        fault "$1 cannot be checked"
    for line in "${found[@]}"; do fault "$1: $line"; done
}

check_certificate() {
    local certificate=$deploy/certs/origin.pem key=$deploy/certs/origin.key
    [[ -f $certificate ]] || { fault "$certificate is missing: CloudFlare, SSL/TLS, Origin Server" && return; }
    openssl x509 -in "$certificate" -noout 2>/dev/null || { fault "$certificate is not a certificate" && return; }
    check_private "$key"
    [[ -f $key ]] || return 0
    (($(date -d "$(openssl x509 -in "$certificate" -noout -startdate | cut -d= -f2)" +%s) <= $(date +%s))) ||
        fault "$certificate is not valid yet: $(openssl x509 -in "$certificate" -noout -startdate)"
    openssl x509 -in "$certificate" -noout -checkend $((7 * 86400)) >/dev/null ||
        fault "$certificate ends within a week: $(openssl x509 -in "$certificate" -noout -enddate)"
    [[ $(openssl x509 -in "$certificate" -noout -pubkey) == $(openssl pkey -in "$key" -pubout 2>/dev/null) ]] ||
        fault "$certificate does not belong to $key"
    local name names
    read -ra names <<<"$(setting SERVER_NAME)"
    for name in "${names[@]}"; do
        [[ $(openssl x509 -in "$certificate" -noout -checkhost "$name") == *'does match'* ]] ||
            fault "$certificate is not for $name, which SERVER_NAME has"
    done
    [[ $(setting ORIGIN_PULLS) != on || -f $deploy/certs/origin-pull-ca.pem ]] ||
        fault "ORIGIN_PULLS=on needs $deploy/certs/origin-pull-ca.pem"
}

check_disk() {
    local free
    free=$(df --output=avail -B 1M "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)
    ((free >= ${MIN_FREE_MB:-3072})) || fault "only $free MB are free for images and data"
}

# Prints max_connections of the running PostgreSQL; before the first deploy, its default.
max_connections() {
    local running
    running=$(containers --status running postgres 2>/dev/null) || true
    [[ $running ]] && superuser -c 'SHOW max_connections' 2>/dev/null || echo 100
}

# Prints a number of the settings of PgBouncer.
pooler_setting() {
    sed -nE "s/^$1 = ([0-9]+)$/\1/p" "$deploy/pooler/pgbouncer.ini"
}

# A deploy runs the old and the new replicas at the same time. Each has its pool, and a connection for /health. 10 are left
# for superusers, migrations, backups and the monitoring; `aponta doctor` counts alike. With the pooler PostgreSQL sees only
# the connections of PgBouncer.
check_connections() {
    local replicas pool limit server=PostgreSQL needed each shared
    replicas=$(setting API_REPLICAS) pool=$(setting DATABASE_POOL_SIZE)
    # Only the API reaches a database elsewhere: deploy.sh lets the new version count.
    has_database || return 0
    # The API refuses other values itself.
    [[ $replicas =~ ^[1-9][0-9]?$ && $pool =~ ^[1-9][0-9]{0,3}$ ]] || return 0
    limit=$(max_connections)
    if uses pooler; then
        shared=$(pooler_setting default_pool_size)
        ((shared + 10 <= limit)) ||
            fault "default_pool_size=$shared in $deploy/pooler/pgbouncer.ini, PostgreSQL accepts $limit connections: at most $((limit - 10)) are for the pooler"
        server=PgBouncer limit=$(pooler_setting max_client_conn)
    fi
    needed=$((replicas * 2 * (pool + 1) + 10))
    ((needed > limit)) || return 0
    each=$(((limit - 10) / (replicas * 2) - 1))
    if ((each > 0)); then
        fault "API_REPLICAS=$replicas with DATABASE_POOL_SIZE=$pool need up to $needed connections, $server accepts $limit: set DATABASE_POOL_SIZE=$each in $deploy/.env"
    else
        fault "API_REPLICAS=$replicas need up to $needed connections, $server accepts $limit: set fewer replicas in $deploy/.env"
    fi
}

# PostgreSQL does not start on the data of another version.
check_postgres_version() {
    local data
    has_database || return 0
    # The data of 15 has no version in its name, from before there were others.
    if [[ ! $(setting POSTGRES_VERSION) =~ ^(1[678])?$ ]]; then
        fault "POSTGRES_VERSION is 16, 17 or 18, or unset for 15, not $(setting POSTGRES_VERSION)"
        return
    fi
    data=$(data_version) || { fault "the volumes cannot be listed" && return; }
    if [[ -e $state/upgrade-postgres ]]; then
        fault "a move to another PostgreSQL was interrupted: run scripts/upgrade-postgres.sh --yes again"
    elif ((${data:-0} > $(postgres_version))); then
        fault "the data is of PostgreSQL $data: set POSTGRES_VERSION=$data in $deploy/.env"
    elif [[ $data && $data != "$(postgres_version)" ]]; then
        fault "the data is of PostgreSQL $data: scripts/upgrade-postgres.sh moves it to $(postgres_version)"
    fi
}

# Two clones with the same name of the project would replace each other's containers.
check_project() {
    local project directories directory
    project=$(setting COMPOSE_PROJECT_NAME)
    lines directories docker ps --all --filter "label=com.docker.compose.project=$project" \
        --format '{{.Label "com.docker.compose.project.working_dir"}}'
    for directory in "${directories[@]}"; do
        [[ -d $directory && ! $directory -ef $deploy ]] || continue
        fault "the project $project runs from $directory: set another COMPOSE_PROJECT_NAME in $deploy/.env"
        return
    done
}

check_ports() {
    local project name names=(HTTP_PORT HTTPS_PORT) publishers publisher
    project=$(setting COMPOSE_PROJECT_NAME)
    ! uses monitoring || names+=(GRAFANA_PORT)
    for name in "${names[@]}"; do
        lines publishers docker ps --filter "publish=$(setting "$name")" --format '{{.Label "com.docker.compose.project"}} {{.Names}}'
        for publisher in "${publishers[@]}"; do
            [[ ${publisher% *} == "$project" ]] || fault "$name $(setting "$name") is in use by the container ${publisher##* }"
        done
    done
}

# Runs all checks and reports all faults at once. Without settings or an engine, only those that do without.
check() {
    check_names
    if ((${#settings[@]})); then
        check_settings
        check_secrets
        check_certificate
        if [[ ! $(docker_fault) ]]; then
            check_disk
            check_postgres_version
            check_connections
            check_project
            check_ports
        fi
        ((${#faults[@]})) || compose config --quiet || fault "compose.yml and .env do not fit together"
    fi
    ((${#faults[@]} == 0)) || { printf '  %s\n' "${faults[@]}" >&2 && fail "nothing was changed"; }
}

# The containers run as unprivileged users and read their secrets from files of this host.
hand_secrets_over() {
    local name owner kind
    while read -r name owner kind; do
        [[ $kind != optional || -e $deploy/secrets/$name ]] || run install -m 600 /dev/null "$deploy/secrets/$name" || return 1
        [[ $owner == - ]] || run chown "$owner" "$deploy/secrets/$name" || return 1
    done < <(used_secrets)
}
