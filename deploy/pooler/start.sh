#!/bin/sh
# Writes the file of users for PgBouncer from the secret of the API, and becomes PgBouncer.
set -eu
umask 077
password=$(cat /run/secrets/database_password)
# A quote inside of quotes is doubled.
printf '"aponta_api" "%s"\n' "$(printf %s "$password" | sed 's/"/""/g')" >/run/pgbouncer/users.txt
exec pgbouncer /etc/aponta/pooler/pgbouncer.ini
