# shellcheck shell=bash
# What deploy.sh wants to be right before it changes anything. To be sourced after lib.sh.
# shellcheck disable=SC2154 # lib.sh has what is used.

faults=()

fault() {
    faults+=("$*")
}

check_private() {
    local found
    found=$(private "$1")
    [[ ! $found ]] || fault "$found"
}

check_settings() {
    local name
    for name in ORIGIN_GUARD ORIGIN_PULLS; do
        [[ $(setting $name) == on || $(setting $name) == off ]] || fault "$name is on or off, not $(setting $name)"
    done
    [[ $(setting API_REPLICAS) =~ ^[1-9][0-9]?$ ]] || fault "API_REPLICAS is a number from 1 to 99, not $(setting API_REPLICAS)"
    [[ $(setting AZURE_DEVOPS_ORG_URL) ]] || fault "AZURE_DEVOPS_ORG_URL is not set in $deploy/.env"
    [[ $(setting BACKUP_TIME) =~ ^([01]?[0-9]|2[0-3]):[0-5][0-9]$ ]] || fault "BACKUP_TIME is a time as 03:00, not $(setting BACKUP_TIME)"
}

check_secrets() {
    local name
    for name in database_password extension_app_keys; do check_private "$deploy/secrets/$name"; done
    [[ ! -f $deploy/secrets/database_password || -s $deploy/secrets/database_password ]] ||
        fault "$deploy/secrets/database_password is empty"
    if uses monitoring; then
        for name in grafana_password smtp_password slack_webhook; do check_private "$deploy/secrets/$name"; done
    fi
    if uses backup; then
        check_private "$deploy/secrets/backup.conf"
        check_passphrases "$deploy/secrets/backup.conf"
    fi
}

# Each place of the backups that is encrypted needs one.
check_passphrases() {
    [[ -f $1 ]] || return 0
    grep -q '^repo1-cipher-pass=' "$1" || fault "$1 has no repo1-cipher-pass"
    ! grep -q '^repo[0-9]*-cipher-pass=[[:space:]]*$' "$1" || fault "a passphrase in $1 is empty: openssl rand -base64 48"
}

check_certificate() {
    local certificate=$deploy/certs/origin.pem key=$deploy/certs/origin.key
    [[ -f $certificate ]] || { fault "$certificate is missing: CloudFlare, SSL/TLS, Origin Server" && return; }
    check_private "$key"
    [[ -f $key ]] || return 0
    openssl x509 -in "$certificate" -noout -checkend $((7 * 86400)) >/dev/null ||
        fault "$certificate ends within a week: $(openssl x509 -in "$certificate" -noout -enddate)"
    [[ $(openssl x509 -in "$certificate" -noout -pubkey) == $(openssl pkey -in "$key" -pubout 2>/dev/null) ]] ||
        fault "$certificate does not belong to $key"
    [[ $(setting ORIGIN_PULLS) != on || -f $deploy/certs/origin-pull-ca.pem ]] ||
        fault "ORIGIN_PULLS=on needs $deploy/certs/origin-pull-ca.pem"
}

check_disk() {
    local free
    free=$(df --output=avail -B 1M "$(docker info --format '{{.DockerRootDir}}')" | tail -n 1)
    ((free >= ${MIN_FREE_MB:-3072})) || fault "only $free MB are free for images and data"
}

# Everything that is wrong, at once.
check() {
    check_private "$deploy/.env"
    check_settings
    check_secrets
    check_certificate
    check_disk
    ((${#faults[@]})) || compose config --quiet || fault "compose.yml and .env do not fit together"
    ((${#faults[@]} == 0)) || { printf '  %s\n' "${faults[@]}" >&2 && fail "nothing was changed"; }
}

# The containers run as users without rights, and their secrets come as files of this host.
hand_secrets_over() {
    run chown 10001:10001 "$deploy/secrets/database_password" "$deploy/secrets/extension_app_keys"
    if uses monitoring; then
        # The users of Grafana and of Alertmanager.
        run chown 472:0 "$deploy/secrets/grafana_password"
        run chown 65534:65534 "$deploy/secrets/smtp_password" "$deploy/secrets/slack_webhook"
    fi
}
