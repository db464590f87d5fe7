# shellcheck shell=bash disable=SC2154
# The roles of the database. Source it after lib.sh.
#
# The superuser is DATABASE_USER, created by the image of PostgreSQL. It can log in over the socket only, from the containers
# of the database. Network clients have roles of their own: aponta_api and aponta_exporter.

# Runs a statement, or a script on standard input, as the superuser.
superuser() {
    compose exec -T postgres psql -U "$(setting DATABASE_USER)" -d "$(setting DATABASE_NAME)" -XAtq "$@"
}

# Creates the files of generated passwords.
create_passwords() {
    local name kind
    while read -r name _ kind; do
        [[ $kind == generated && ! -e $deploy/secrets/$name ]] || continue
        say "creating $deploy/secrets/$name"
        ! $dry_run || continue
        (umask 077 && openssl rand -base64 32 >"$deploy/secrets/$name") || return 1
    done < <(used_secrets)
}

# psql_variable NAME FILE: prints a command that sets a variable of psql to the text of a file, without line feeds at its end.
psql_variable() {
    local text
    text=$(<"$2")
    text=${text//\\/\\\\}
    printf "\\\\set %s '%s'\n" "$1" "${text//\'/\'\'}"
}

# Creates or updates the roles. Retries while a long statement holds a lock.
apply_roles() {
    local attempt output script
    has_database || return 0
    script=$(
        psql_variable api_password "$deploy/secrets/database_password"
        ! uses monitoring || psql_variable exporter_password "$deploy/secrets/exporter_password"
        cat "$deploy/scripts/roles.sql"
    ) || return 1
    for attempt in {1..30}; do
        output=$(superuser -v schema="$(setting DATABASE_SCHEMA)" <<<"$script" 2>&1 >/dev/null) && return
        # 55P03 is a lock timeout. Other errors are permanent.
        [[ $output == *'ERROR:  55P03'* ]] || break
        sleep 1
    done
    say "the roles of the database could not be created in $attempt attempt(s): $output"
    return 1
}

# Removes the password of the superuser, so that it cannot log in over the network. Containers of versions without roles
# still use it until a deploy replaces them.
lock_superuser() {
    local all environment
    has_database || return 0
    lines all containers --all || return 1
    environment=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "${all[@]}") || return 1
    if grep -qxE "(DATABASE_USER|DATA_SOURCE_USER)=$(setting DATABASE_USER)" <<<"$environment"; then
        say "the superuser keeps its password until deploy.sh has replaced the containers that use it"
        return
    fi
    superuser -v ON_ERROR_STOP=1 -v role="$(setting DATABASE_USER)" <<<'ALTER ROLE :"role" PASSWORD NULL'
}
