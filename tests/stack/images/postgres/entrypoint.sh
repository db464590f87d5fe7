#!/bin/bash
# As the entrypoint of the real image: makes a cluster where there is none, and then becomes the server.
set -euo pipefail

[[ $1 == postgres ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
    # Files of secrets may be for root's eyes only.
    if [[ ${POSTGRES_PASSWORD_FILE:-} ]]; then
        POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
        export POSTGRES_PASSWORD
    fi
    mkdir -p "$PGDATA" /var/run/postgresql
    chown postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA"
    exec gosu postgres "$0" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
    psql --username="$POSTGRES_USER" --dbname=postgres --quiet --command="CREATE DATABASE \"$POSTGRES_DB\"" ||
        [[ $POSTGRES_DB == postgres ]]
    pg_ctl --wait --mode=fast stop >/dev/null
fi
exec "$@"
