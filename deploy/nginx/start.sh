#!/bin/sh
# Starts nginx for the names in SERVER_NAME, separated by blanks. The rest of the container is read-only, so the file is on
# the tmpfs; a reload reads it again.
set -eu
printf 'server_name %s;\n' "$SERVER_NAME" >/run/server-name.conf
exec nginx "$@"
