#!/usr/bin/env bash
# Lets only CloudFlare connect to the published ports of nginx. It writes a chain that Docker's chain DOCKER-USER calls, and
# can be run again at any time. Rules do not survive a restart of the host: systemd/aponta-firewall@.service runs it then.
#
#   firewall.sh [--dry-run] [--remove]
#
# SSH and other services of the host are not affected. ORIGIN_GUARD=off keeps its meaning for nginx only.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

remove=false
rest=()
for argument in "$@"; do
    if [[ $argument == --remove ]]; then remove=true; else rest+=("$argument"); fi
done
options "${rest[@]}"
((${#arguments[@]} == 0)) || fail "there is no argument ${arguments[0]}"
load_settings
command -v iptables >/dev/null || fail "iptables is not installed"
lists=$deploy/nginx/cloudflare.conf
[[ -f $lists ]] || fail "$lists is missing: scripts/renew-cloudflare-ips.sh"
# The name of a chain has 28 characters at most.
chain=$(setting COMPOSE_PROJECT_NAME)
chain=aponta:${chain:0:21}

# Prints the rules for the networks that match a pattern. The original port, because Docker has translated it already.
rules() {
    local network port
    printf '*filter\n:%s - [0:0]\n' "$chain"
    for port in "$(setting HTTP_PORT)" "$(setting HTTPS_PORT)"; do
        while read -r network; do
            printf -- '-A %s -s %s -p tcp -m conntrack --ctorigdstport %s -j RETURN\n' "$chain" "$network" "$port"
        done < <(sed -nE "s#^set_real_ip_from ($1);\$#\\1#p" "$lists")
        printf -- '-A %s -p tcp -m conntrack --ctorigdstport %s -j DROP\n' "$chain" "$port"
    done
    echo COMMIT
}

# apply FAMILY PATTERN: writes the chain of iptables or ip6tables, and the jump into it for new connections from outside.
apply() {
    local outside jump
    outside=$("${@:3}" route show default | sed -nE '1s/.* dev ([^ ]+).*/\1/p')
    if ! "$1" -w -n -L DOCKER-USER >/dev/null 2>&1; then
        [[ $1 != iptables ]] || fail "there is no chain DOCKER-USER: is Docker's firewall off (\"iptables\": false)?"
        return 0
    fi
    jump=(DOCKER-USER -i "$outside" -m conntrack --ctstate NEW -j "$chain")
    if $remove; then
        while "$1" -w -C "${jump[@]}" 2>/dev/null; do run "$1" -w -D "${jump[@]}"; done
        ! "$1" -w -n -L "$chain" >/dev/null 2>&1 || run "$1" -w -F "$chain"
        ! "$1" -w -n -L "$chain" >/dev/null 2>&1 || run "$1" -w -X "$chain"
        return
    fi
    [[ $outside ]] || { [[ $1 != iptables ]] && return || fail "this host has no default route"; }
    if $dry_run; then
        rules "$2"
    else
        # One step, so that no request meets half of the rules.
        rules "$2" | "$1-restore" -w --noflush
    fi
    "$1" -w -C "${jump[@]}" 2>/dev/null || run "$1" -w -I "${jump[@]}"
}

if $remove; then say "removing the rules"; else say "only CloudFlare reaches the ports $(setting HTTP_PORT) and $(setting HTTPS_PORT)"; fi
apply iptables '[0-9.]+/[0-9]+' ip -4
! command -v ip6tables >/dev/null || apply ip6tables '[0-9a-f:]+:[0-9a-f:]*/[0-9]+' ip -6
