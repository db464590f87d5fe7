# shellcheck shell=bash disable=SC2154
# Reloads and upstreams of nginx. Source it after lib.sh.

# The upstream during a deploy, ignored by git. Files are renamed into place, so that nginx never reads a partial one.
rollout=$deploy/nginx/rollout
# The worker processes of nginx before the last reload.
old_workers=()

nginx_container() {
    containers --status running nginx
}

workers() {
    docker top "$1" -eo pid,args | awk '/nginx: worker process/ { print $1 }'
}

# Makes nginx load its configuration, if it is valid.
reload_nginx() {
    local nginx
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines old_workers workers "$nginx" || return 1
    docker exec "$nginx" nginx -t -q || return 1
    docker exec "$nginx" nginx -s reload
}

# Makes nginx send requests to these containers only.
route_to() {
    local nginx found
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines found addresses "$@" || return 1
    mkdir -p "$rollout" || return 1
    {
        printf 'upstream rollout {\n    zone rollout 64k;\n'
        printf '    server %s:8000 max_fails=2 fail_timeout=5s;\n' "${found[@]}"
        printf '    keepalive 32;\n    keepalive_timeout 4s;\n}\n'
    } >"$rollout/upstream.new" || return 1
    # shellcheck disable=SC2016 # It is nginx's variable.
    echo 'set $replicas rollout;' >"$rollout/location.new" || return 1
    mv "$rollout/upstream.new" "$rollout/upstream.conf" && mv "$rollout/location.new" "$rollout/location.conf" || return 1
    reload_nginx
}

# Makes nginx resolve the name of the service again, which has the addresses of all running replicas.
route_by_name() {
    [[ -e $rollout/upstream.conf || -e $rollout/location.conf ]] || return 0
    # After a reload nginx uses its last resolution of the name, which is up to 2 s old.
    sleep 5
    rm -f "$rollout/location.conf" "$rollout/upstream.conf" || return 1
    reload_nginx
}

# Waits until the old workers have exited, which worker_shutdown_timeout bounds.
wait_drained() {
    local nginx now attempt
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    for attempt in {1..75}; do
        # Without a list of workers the old ones count as running.
        if lines now workers "$nginx" && ((${#now[@]})) && [[ ! $(comm -12 <(sorted "${old_workers[@]}") <(sorted "${now[@]}")) ]]; then
            return 0
        fi
        sleep 1
    done
    say "nginx still has workers with the former configuration after $attempt s"
    return 1
}

sorted() {
    (($# == 0)) || printf '%s\n' "$@" | sort
}

# In the network of nginx: with Valkey the API has one more.
addresses() {
    docker inspect --format "{{(index .NetworkSettings.Networks \"$(setting COMPOSE_PROJECT_NAME)-network\").IPAddress}}" "$@"
}

# Returns whether nginx reaches each of these containers. Their own health checks do not show that.
reachable() {
    local nginx found address
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines found addresses "$@" || return 1
    for address in "${found[@]}"; do
        docker exec "$nginx" curl -fsS -o /dev/null --max-time 5 "http://$address:8000/health" || return 1
    done
}

# Validates the configuration in another container before the running nginx loads it.
test_nginx() {
    compose run --rm --no-deps -T nginx /etc/nginx/start.sh -t -q
}

# Applies the configuration. nginx is recreated only if compose.yml or its image changed.
apply_nginx() {
    local nginx
    compose up --detach --no-deps nginx || return 1
    nginx=$(nginx_container) || return 1
    wait_healthy 60 "$nginx" || return 1
    reload_nginx
}

fingerprint() {
    openssl x509 -noout -fingerprint -sha256
}

# Returns whether the stack responds: from nginx to the API, and from this host over TLS with the configured certificate.
verify() {
    local port name code status=0 presented
    port=$(setting HTTPS_PORT)
    read -r name _ <<<"$(setting SERVER_NAME)"
    compose exec -T nginx curl -fsS -o /dev/null --max-time 10 http://127.0.0.1:8080/health ||
        { say "nginx does not get /health from the API" && return 1; }
    presented=$(timeout 10 openssl s_client -connect "127.0.0.1:$port" -servername "$name" </dev/null 2>/dev/null | fingerprint 2>/dev/null) || true
    [[ $presented && $presented == "$(fingerprint <"$deploy/certs/origin.pem")" ]] ||
        { say "127.0.0.1:$port does not present the certificate of $deploy/certs/origin.pem" && return 1; }
    code=$(curl -sk -o /dev/null -w '%{http_code}' --max-time 10 --resolve "$name:$port:127.0.0.1" \
        "https://$name:$port/health") || status=$?
    case $(setting ORIGIN_GUARD):$(setting ORIGIN_PULLS):$code:$status in
    off:off:200:0 | off:on:400:0) ;;
    # This host is not in a network of CloudFlare, so nginx closes the connection after the handshake.
    on:*:000:52 | on:*:000:56 | on:*:000:92 | on:off:200:0 | on:on:400:0) ;;
    *) say "https://$name:$port/health at 127.0.0.1 returned $code (curl $status)" && return 1 ;;
    esac
}
