# shellcheck shell=bash disable=SC2154
# nginx, as far as the scripts turn it. To be sourced after lib.sh.

# What the scripts write and git does not know. Each file comes and goes by its name, so that nginx sees it whole or not.
turned=$deploy/nginx/turned
# nginx's workers before it was last told to read its configuration.
before=()

nginx_container() {
    containers --status running nginx
}

workers() {
    docker top "$1" -eo pid,args | awk '/nginx: worker process/ { print $1 }'
}

# Makes nginx read its configuration, if it is one.
reload_nginx() {
    local nginx
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines before workers "$nginx" || return 1
    docker exec "$nginx" nginx -t -q || return 1
    docker exec "$nginx" nginx -s reload
}

# Lets nginx send requests to these containers alone.
route_to() {
    local nginx found
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines found addresses "$@" || return 1
    mkdir -p "$turned" || return 1
    {
        printf 'upstream turned {\n    zone turned 64k;\n'
        printf '    server %s:8000 max_fails=2 fail_timeout=5s;\n' "${found[@]}"
        printf '    keepalive 32;\n    keepalive_timeout 4s;\n}\n'
    } >"$turned/upstream.new" || return 1
    # shellcheck disable=SC2016 # It is nginx's variable.
    echo 'set $replicas turned;' >"$turned/location.new" || return 1
    mv "$turned/upstream.new" "$turned/upstream.conf" && mv "$turned/location.new" "$turned/location.conf" || return 1
    reload_nginx
}

# Lets nginx go by the name again, behind which are all replicas that run.
route_by_name() {
    [[ -e $turned/upstream.conf || -e $turned/location.conf ]] || return 0
    # A reload begins with what the name stood for when nginx last asked, which it does every 2 s.
    sleep 5
    rm -f "$turned/location.conf" "$turned/upstream.conf" || return 1
    reload_nginx
}

# Waits until the workers from before the last reload are gone; nginx bounds that itself, by worker_shutdown_timeout.
drained() {
    local nginx now attempt
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    for attempt in {1..75}; do
        # Where nobody can be asked, nobody has finished.
        if lines now workers "$nginx" && ((${#now[@]})) && [[ ! $(comm -12 <(sorted "${before[@]}") <(sorted "${now[@]}")) ]]; then
            return 0
        fi
        sleep 1
    done
    say "nginx still has workers with the configuration before after $attempt s"
    return 1
}

sorted() {
    (($# == 0)) || printf '%s\n' "$@" | sort
}

addresses() {
    docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$@"
}

# Whether nginx reaches each of these containers, which may be healthy in their own eyes alone.
reachable() {
    local nginx found address
    nginx=$(nginx_container) || return 1
    [[ $nginx ]] || return 0
    lines found addresses "$@" || return 1
    for address in "${found[@]}"; do
        docker exec "$nginx" curl -fsS -o /dev/null --max-time 5 "http://$address:8000/health" || return 1
    done
}

# Whether the configuration is one, before the nginx that serves sees it.
test_nginx() {
    compose run --rm --no-deps -T nginx /etc/nginx/start.sh -t -q
}

# nginx as the files have it now. It is made anew only where compose.yml or its image changed.
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

# Whether the stack answers: from nginx to the API as requests go, and from this host over TLS with the certificate that is
# in the files.
verify() {
    local port name code status=0 shown
    port=$(setting HTTPS_PORT)
    read -r name _ <<<"$(setting SERVER_NAME)"
    compose exec -T nginx curl -fsS -o /dev/null --max-time 10 http://127.0.0.1:8080/health ||
        { say "nginx does not get /health from the API" && return 1; }
    shown=$(timeout 10 openssl s_client -connect "127.0.0.1:$port" -servername "$name" </dev/null 2>/dev/null | fingerprint 2>/dev/null) || true
    [[ $shown && $shown == "$(fingerprint <"$deploy/certs/origin.pem")" ]] ||
        { say "127.0.0.1:$port does not show the certificate of $deploy/certs/origin.pem" && return 1; }
    code=$(curl -sk -o /dev/null -w '%{http_code}' --max-time 10 --resolve "$name:$port:127.0.0.1" \
        "https://$name:$port/health") || status=$?
    case $(setting ORIGIN_GUARD):$(setting ORIGIN_PULLS):$code:$status in
    off:off:200:0 | off:on:400:0) ;;
    # From this host nothing comes through CloudFlare, so a connection that is closed after the handshake is right.
    on:*:000:52 | on:*:000:56 | on:*:000:92 | on:off:200:0 | on:on:400:0) ;;
    *) say "https://$name:$port/health at 127.0.0.1 answered $code (curl $status)" && return 1 ;;
    esac
}
