#!/usr/bin/env bash
# Writes CloudFlare's addresses into nginx/cloudflare.conf, where both the guard and the client's address come from.
#
#   renew-cloudflare-ips.sh [--dry-run] [--force] [V4 V6]
#
# V4 and V6 are the addresses, or files, of the lists; CloudFlare's own without them. Nothing is written unless every line
# is a network and there are enough of each kind. Where more than a fifth of those that there are would go, somebody has to
# look and say --force. nginx is reloaded where it runs, and has the lists from before when it does not take the new ones.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=nginx.sh
source "$deploy/scripts/nginx.sh"

force=false
rest=()
for argument in "$@"; do
    if [[ $argument == --force ]]; then force=true; else rest+=("$argument"); fi
done
options "${rest[@]}"
v4=${arguments[0]:-https://www.cloudflare.com/ips-v4}
v6=${arguments[1]:-https://www.cloudflare.com/ips-v6}
file=$deploy/nginx/cloudflare.conf
new=$deploy/nginx/cloudflare.new
trap 'rm -f "$new"' EXIT

list() {
    if [[ -f $1 ]]; then cat "$1"; else curl -fsS --max-time 20 "$1"; fi
}

first=$(list "$v4") || fail "not written: $v4 cannot be had"
second=$(list "$v6") || fail "not written: $v6 cannot be had"
python3 - "$first"$'\n'"$second" "$file" $force >"$new" <<'PYTHON' || fail "not written: see above"
import ipaddress, pathlib, re, sys
try:
    networks = [ipaddress.ip_network(line) for line in sys.argv[1].split()]
except ValueError as error:
    sys.exit(f"no network: {str(error)[:100]}")
# A network that large would let strangers in.
strange = [n for n in networks if n.prefixlen < (8 if n.version == 4 else 20) or not n.is_global]
if strange:
    sys.exit(f"these cannot be CloudFlare's: {strange}")
for version, least in ((4, 10), (6, 4)):
    count = len({n for n in networks if n.version == version})
    if count < least:
        sys.exit(f"only {count} networks of IPv{version}: there were never fewer than {least}")
file = pathlib.Path(sys.argv[2])
before = set(re.findall(r"^set_real_ip_from (\S+);$", file.read_text(), re.M)) if file.exists() else set()
gone = before - set(map(str, networks))
if 5 * len(gone) > len(before) and sys.argv[3] != "true":
    sys.exit(f"{len(gone)} of {len(before)} would go; --force if that is right: {sorted(gone)}")
print("# CloudFlare's networks, written by scripts/renew-cloudflare-ips.sh: who may come in, and whose word on the client counts.")
print("geo $realip_remote_addr $through_cloudflare {\n    default 0;")
print(*(f"    {network} 1;" for network in networks), "}", sep="\n")
print(*(f"set_real_ip_from {network};" for network in networks), sep="\n")
PYTHON

if cmp -s "$new" "$file"; then
    say "nothing changed"
    exit
fi
if $dry_run; then
    say "would write $file"
    diff "$file" "$new" || true
    exit
fi
# Before there is a .env nothing runs that could be reloaded.
nginx=
if [[ -e $deploy/.env ]]; then
    start
    nginx=$(nginx_container)
fi
before_it=$(cat "$file" 2>/dev/null || true)
chmod 644 "$new"
mv "$new" "$file"
if [[ ! $nginx ]]; then
    say "the new addresses are written"
elif reload_nginx; then
    say "nginx has the new addresses"
else
    cat <<<"$before_it" >"$new"
    mv "$new" "$file"
    fail "nginx does not take them; those from before are back"
fi
