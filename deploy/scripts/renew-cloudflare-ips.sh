#!/usr/bin/env bash
# Updates nginx/cloudflare.conf: the networks that may connect, and whose header with the client address is honoured.
#
#   renew-cloudflare-ips.sh [--dry-run] [--force] [V4 V6]
#
# V4 and V6 are URLs or files of the lists; the defaults are those of CloudFlare. Nothing is written unless every line is a
# network and there are enough of each kind. A list that removes more than a fifth of the networks needs --force. A running
# nginx is reloaded. If it refuses the new lists, the script restores the former ones.
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
# Networks of that size are not those of CloudFlare alone.
invalid = [n for n in networks if n.prefixlen < (8 if n.version == 4 else 20) or not n.is_global]
if invalid:
    sys.exit(f"these cannot be CloudFlare's: {invalid}")
for version, least in ((4, 10), (6, 4)):
    count = len({n for n in networks if n.version == version})
    if count < least:
        sys.exit(f"only {count} networks of IPv{version}: there were never fewer than {least}")
file = pathlib.Path(sys.argv[2])
before = set(re.findall(r"^set_real_ip_from (\S+);$", file.read_text(), re.M)) if file.exists() else set()
gone = before - set(map(str, networks))
if 5 * len(gone) > len(before) and sys.argv[3] != "true":
    sys.exit(f"{len(gone)} of {len(before)} would go; --force if that is right: {sorted(gone)}")
print("# The networks of CloudFlare, written by scripts/renew-cloudflare-ips.sh. They may connect and name the client address.")
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
# Without a .env nothing runs.
nginx=
if [[ -e $deploy/.env ]]; then
    load_settings
    nginx=$(nginx_container)
fi
former=$(cat "$file" 2>/dev/null || true)
chmod 644 "$new"
mv "$new" "$file"
if [[ ! $nginx ]]; then
    say "the new addresses are written"
elif reload_nginx; then
    say "nginx has the new addresses"
else
    cat <<<"$former" >"$new"
    mv "$new" "$file"
    fail "nginx refuses them; the former addresses are restored"
fi
