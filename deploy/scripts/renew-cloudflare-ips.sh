#!/usr/bin/env bash
# Writes CloudFlare's addresses into nginx/, where both the guard and the client's address come from.
#
#   renew-cloudflare-ips.sh [--dry-run] [V4 V6]
#
# V4 and V6 are the addresses, or files, of the lists; CloudFlare's own without them. Nothing is written unless every line
# is a network and there are enough of them; nginx is reloaded where it runs.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

options "$@"
set -- "${arguments[@]}"
v4=${1:-https://www.cloudflare.com/ips-v4}
v6=${2:-https://www.cloudflare.com/ips-v6}

list() {
    if [[ -f $1 ]]; then cat "$1"; else curl -fsS --max-time 20 "$1"; fi
    # Lists have been seen without an end of line.
    echo
}

networks=$(list "$v4" | grep . || true)
networks+=$'\n'$(list "$v6" | grep . || true)
python3 - "$networks" <<'PYTHON' || fail "not written: the lists are not CloudFlare's networks"
import ipaddress, sys
networks = [ipaddress.ip_network(line) for line in sys.argv[1].split()]
# A network that large would let strangers in.
assert all(n.prefixlen >= (8 if n.version == 4 else 20) and n.is_global for n in networks)
assert {4, 6} == {n.version for n in networks} and len(networks) >= 10
PYTHON

head="# CloudFlare's networks, written by scripts/renew-cloudflare-ips.sh."
write() {
    local file=$deploy/nginx/$1
    if $dry_run; then
        say "would write $file"
    elif ! cmp -s - "$file" <<<"$2"; then
        # In place: the container sees the file and not its name.
        cat <<<"$2" >"$file"
        changed=true
    fi
}

changed=false
write cloudflare.geo.conf "$head"$'\n'"$(awk '{ print $0 " 1;" }' <<<"$networks")"
write cloudflare.real-ip.conf "$head"$'\n'"$(awk '{ print "set_real_ip_from " $0 ";" }' <<<"$networks")"
if $changed && [[ $(compose ps --quiet --status running nginx 2>/dev/null || true) ]]; then
    compose exec -T nginx nginx -t -q && compose exec -T nginx nginx -s reload
    say "nginx has the new addresses"
elif $changed; then
    say "the new addresses are written"
else
    say "nothing changed"
fi
