#!/bin/sh
# Starts nginx for the names in SERVER_NAME, separated by blanks, and on IPv6 if the kernel has it. The rest of the container
# is read-only, so the files are on the tmpfs; a reload reads them again.
set -eu
printf 'server_name %s;\n' "$SERVER_NAME" >/run/server-name.conf
if [ -e /proc/net/if_inet6 ]; then
    echo 'listen [::]:80;' >/run/ipv6-port-80.conf
    echo 'listen [::]:443 ssl;' >/run/ipv6-port-443.conf
    echo 'listen [::]:80 default_server; listen [::]:443 ssl default_server;' >/run/ipv6-unknown-names.conf
fi
exec nginx "$@"
