#!/bin/sh
# Adds the password of the API's URL to the configuration, and becomes Valkey.
set -eu
umask 077
url=$(cat /run/secrets/redis_url)
password=${url#redis://:}
password=${password%@*}
case $password in
'' | *[!A-Za-z0-9]*)
    echo "redis_url is not redis://:PASSWORD@valkey:6379 with a password of letters and digits" >&2
    exit 1
    ;;
esac
{
    cat /etc/aponta/valkey/valkey.conf
    printf 'requirepass %s\n' "$password"
} >/run/valkey/valkey.conf
exec valkey-server /run/valkey/valkey.conf
