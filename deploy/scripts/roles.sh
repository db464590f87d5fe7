# shellcheck shell=bash disable=SC2154
# Who may do what in the database. To be sourced after lib.sh.
#
# The superuser is DATABASE_USER, which PostgreSQL's image makes. Only programs in the database's own containers can be it,
# over the socket. Everything that comes over the network has a role of its own: aponta_api and aponta_exporter.

# A statement, or a script on standard input, as the superuser.
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

# A line that makes the text of a file a variable of psql. Without the line feeds at the end, as all others read it.
variable() {
    local text
    text=$(<"$2")
    text=${text//\\/\\\\}
    printf "\\\\set %s '%s'\n" "$1" "${text//\'/\'\'}"
}

# Makes the roles, or changes them to what they have to be. A table that a long statement uses is waited for.
apply_roles() {
    local attempt said script
    script=$(
        variable api_password "$deploy/secrets/database_password"
        ! uses monitoring || variable exporter_password "$deploy/secrets/exporter_password"
        cat "$deploy/scripts/roles.sql"
    ) || return 1
    for attempt in {1..30}; do
        said=$(superuser -v schema="$(setting DATABASE_SCHEMA)" <<<"$script" 2>&1 >/dev/null) && return
        # Lock timeout; anything else does not get better.
        [[ $said == *'ERROR:  55P03'* ]] || break
        sleep 1
    done
    say "the roles of the database could not be made in $attempt attempt(s): $said"
    return 1
}

# Without a password nobody can be the superuser over the network. Containers from before there were roles still are, until
# a deploy replaces them.
lock_superuser() {
    local all told
    lines all containers --all || return 1
    told=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "${all[@]}") || return 1
    if grep -qxE "(DATABASE_USER|DATA_SOURCE_USER)=$(setting DATABASE_USER)" <<<"$told"; then
        say "the superuser keeps its password until deploy.sh has replaced the containers that use it"
        return
    fi
    superuser -v ON_ERROR_STOP=1 -v role="$(setting DATABASE_USER)" <<<'ALTER ROLE :"role" PASSWORD NULL'
}
