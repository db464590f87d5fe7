"""The checks of deploy.sh, each over a table of inputs that it accepts or refuses.

usage: checks.py
"""

import pathlib
import re
import shutil
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness.process import run  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = pathlib.Path(tempfile.mkdtemp(prefix="aponta-checks-")) / "deploy"
PASSPHRASE = "m" * 32
ENCRYPTED = f"[global]\nrepo1-cipher-pass={PASSPHRASE}\n"
ALL_FILES = "compose.yml:backup/compose.yml:monitoring/compose.yml:valkey/compose.yml"
SECOND = f"repo2-type=s3\nrepo2-path=/aponta\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={PASSPHRASE}\n"


def faults(program, **settings):
    """Returns the faults that a program of checks.sh finds with these settings of .env. It prints nothing else."""
    assigned = " ".join(f"[{name}]='{value}'" for name, value in settings.items())
    script = (f"set -euo pipefail; source '{DEPLOY}/scripts/lib.sh'; source '{DEPLOY}/scripts/checks.sh'; settings=({assigned}); "
              f"{program}; printf '%s\\n' \"${{faults[@]}}\"")
    printed = run("bash", "-c", script, seconds=60).stdout
    return printed.split("\n")[:-1] if printed.strip() else []


def secret(name, content):
    file = DEPLOY / "secrets" / name
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def unencrypted_repositories_are_refused():
    example = (DEPLOY / "backup/backup.conf.example").read_text()
    filled = example.replace("repo1-cipher-pass=", f"repo1-cipher-pass={PASSPHRASE}", 1)
    # The second repository of the example, with the lines of its cipher still commented out.
    in_the_clear = "".join(line.removeprefix("#") if line.startswith("#repo2") and "cipher" not in line else line
                           for line in filled.splitlines(keepends=True)).replace("=\n", "=x\n")
    for text, found in (
        (ENCRYPTED, []),
        (filled, []),
        (ENCRYPTED + SECOND, []),
        (f"# a comment\n\n [global] \n repo1-cipher-pass = {PASSPHRASE} \nprocess-max=2\n", []),
        (example, ["repo1-cipher-pass has no value", "repo1-cipher-pass has fewer than 32 characters"]),
        (in_the_clear, ["repository 2 would not be encrypted", "repository 2 has no passphrase"]),
        (ENCRYPTED + "repo2-retention-full=28\n", ["repository 2 would not be encrypted", "repository 2 has no passphrase"]),
        (ENCRYPTED + SECOND.replace("aes-256-cbc", "none"), ["repository 2 would not be encrypted"]),
        (ENCRYPTED + SECOND.replace("=aes-256-cbc", "="), ["repo2-cipher-type has no value", "repository 2 would not be encrypted"]),
        (ENCRYPTED + SECOND.replace("repo2-cipher-type", "#repo2-cipher-type"), ["repository 2 would not be encrypted"]),
        (ENCRYPTED + SECOND.replace("repo2-cipher-pass", "#repo2-cipher-pass"), ["repository 2 has no passphrase"]),
        (ENCRYPTED + SECOND.replace(PASSPHRASE, "  "), ["repo2-cipher-pass has no value", "repo2-cipher-pass has fewer than 32"]),
        (ENCRYPTED + SECOND.replace(PASSPHRASE, PASSPHRASE[:31] + " "), ["repo2-cipher-pass has fewer than 32"]),
        (ENCRYPTED + SECOND.replace("repo2-cipher", "repo3-cipher"),
         ["repository 2 would not be encrypted", "repository 2 has no passphrase"]),
        (ENCRYPTED + "repo1-cipher-type=none\n", ["repository 1 would not be encrypted"]),
        ("[global]\n", ["repository 1 has no passphrase"]),
        ("", ["there is no [global]", "repository 1 has no passphrase"]),
        (ENCRYPTED.removeprefix("[global]\n"), ["repo1-cipher-pass stands before [global]", "there is no [global]", "repository 1 has no"]),
        (ENCRYPTED.replace("global", "Global"), ["[Global] is not allowed"]),
        (ENCRYPTED + "[aponta]\nrepo1-cipher-type=none\n", ["[aponta] is not allowed", "repository 1 would not be encrypted"]),
        (ENCRYPTED + "[global:archive-push]\nrepo1-cipher-type=none\n",
         ["[global:archive-push] is not allowed", "repository 1 would not be encrypted"]),
        (ENCRYPTED + f"repo1-cipher-pass={PASSPHRASE}\n", ["repo1-cipher-pass is set twice"]),
        (ENCRYPTED + "repo-cipher-type=none\n", ["repo-cipher-type does not name its repository"]),
        (ENCRYPTED + "repo02-path=/x\n", ["repo02-path does not name its repository"]),
        (ENCRYPTED + "repo1-cipher-pass\n", ["is neither a setting nor a comment"]),
        (ENCRYPTED.replace("\n", "\r\n"), ["has a carriage return"]),
    ):
        file = secret("backup.conf", text.encode())
        reported = faults(f"check_secret '{file}'; check_encryption '{file}'")
        assert len(reported) >= len(found) and all(any(part in line for line in reported) for part in found), (text, reported)
        assert bool(reported) == bool(found) and not any(PASSPHRASE[:31] in line for line in reported), (text, reported)
    print("ok unencrypted repositories are refused", flush=True)


def ambiguous_secrets_are_refused():
    for content, found in (
        (b"segredo", None), (b"segredo\n", None), (b"segredo\n\n", None), (b" s%3:@/'\"\\\xc3\xa9 \n", None),
        (b"segredo\r\n", "carriage return"), (b"seg\rredo\n", "carriage return"), (b"segredo\n\r\n", "carriage return"),
        (b"segredo\0\n", "NUL"), (b"\0", "NUL"), (b"", "is empty"), (b"\n\n", "is empty"), (b"um\ndois\n", "more than one line"),
    ):
        reported = faults(f"check_password '{secret('database_password', content)}'")
        assert (not reported) if found is None else found in reported[0], (content, reported)
    overlays = {name: overlay for name, overlay, _, _ in secret_table()}
    names = set(overlays)
    for bad in sorted(names):
        files = f"{ALL_FILES}:hosts/compose.yml" if overlays[bad] == "hosts" else ALL_FILES
        for name in names:
            secret(name, b"a\r\n" if name == bad else ENCRYPTED.encode() if name == "backup.conf" else b"a\n")
        reported = [line for line in faults("check_secrets", COMPOSE_FILE=files) if "carriage return" in line]
        assert len(reported) == 1 and f"secrets/{bad} " in reported[0], (bad, reported)
    print("ok secrets with a carriage return or NUL are refused", flush=True)


def secret_table():
    """Returns file, overlay, owner and kind of each secret."""
    lines = (DEPLOY / "scripts/secrets.conf").read_text().splitlines()
    return [tuple(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def secret_table_matches_the_stack():
    """The table has the secrets of the compose files, and the files and the runbook have what the table implies."""
    for overlay, file in (("-", "compose.yml"), ("backup", "backup/compose.yml"), ("hosts", "hosts/compose.yml"),
                          ("monitoring", "monitoring/compose.yml"), ("valkey", "valkey/compose.yml")):
        section = (DEPLOY / file).read_text().partition("\nsecrets:\n")[2]
        declared = re.findall(r"^    file: \./secrets/(\S+)$", section, re.MULTILINE)
        assert declared and sorted(declared) == sorted(name for name, used_in, _, _ in secret_table() if used_in == overlay), (file, declared)
    manual = (DEPLOY / "README.md").read_text() + (REPOSITORY / "docs/operations.md").read_text()
    compose = (DEPLOY / "compose.yml").read_text()
    asked = (DEPLOY / "scripts/settings.yml").read_text()
    user = re.search(r"^USER (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[1]
    shared = (DEPLOY / "valkey/compose.yml").read_text()
    of_the_api = []
    for overlay, text, count in (("-", compose, 4), ("valkey", shared, 2)):
        names = [name for name, used_in, owner, _ in secret_table() if (used_in, owner) == (overlay, user)]
        service = re.search(r"^  api:\n(?:    .*\n|\n)+", text, re.MULTILINE)[0]
        assert len(names) == count and f"secrets: [{', '.join(names)}]" in service, names
        of_the_api += [(name, service) for name in names]
    for name, service in of_the_api:
        setting = name.upper()
        assert f"{setting}_FILE: /run/secrets/{name}\n" in service, f"no compose file hands {name} to the API"
        assert f"{setting}: ${{{setting}:+set}}\n" in asked, f"settings.yml lacks {setting}"
        assert f"| `{setting}` |" in (REPOSITORY / "README.md").read_text(), f"the README has no setting {setting}"
    for name, _, _, kind in secret_table():
        # The manuals name each file that the operator has to write.
        assert kind == "generated" or re.search(rf"[`/]{re.escape(name)}\b", manual), f"no manual names {name}"
    rotation = (DEPLOY / "README.md").read_text().split("\n## Rotate secrets\n")[1].split("\n## ")[0]
    for name, _, _, _ in secret_table():
        assert f"`{name}`" in rotation, f"the chapter on rotation lacks {name}"
    print(f"ok the table has the {len(secret_table())} secrets of the stack", flush=True)


# The settings that the stack does not need: it has one address, one database and production's defaults.
# The overlays pooler and valkey pass three of them.
NOT_PASSED = ["API_DEBUG", "API_HOST", "API_PORT", "AUTH_ANY_ORGANISATION", "AUTH_ENABLED", "AZURE_DEVOPS_PROFILE_URL", "DATABASE_DIRECT_URL",
              "DATABASE_PORT", "DATABASE_URL", "REDIS_URL", "SHARED_KEY"]


def every_setting_reaches_the_api():
    table = (REPOSITORY / "README.md").read_text()
    settings = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    service = re.search(r"^  api:\n(?:    .*\n|\n)+", (DEPLOY / "compose.yml").read_text(), re.MULTILINE)[0]
    passed = {name.removesuffix("_FILE") for name in re.findall(r"^      ([A-Z_]+): ", service, re.MULTILINE)} & settings
    assert len(settings) > 20 and sorted(settings - passed) == NOT_PASSED, sorted(settings - passed)
    print(f"ok {len(passed)} settings reach the API, {len(NOT_PASSED)} are left out", flush=True)


def hand_over(existing, **settings):
    """Returns the commands of hand_secrets_over in a dry run."""
    for file in (DEPLOY / "secrets").iterdir():
        file.unlink()
    for name in existing:
        secret(name, b"a\n")
    return [line.replace(f"{DEPLOY}/secrets/", "") for line in faults("dry_run=true; hand_secrets_over", **settings) if line]


def secrets_are_handed_to_their_users():
    assert hand_over({"database_password"}, COMPOSE_FILE="compose.yml") == [
        "would run: chown 10001:10001 database_password",
        "would run: install -m 600 /dev/null extension_app_keys", "would run: chown 10001:10001 extension_app_keys",
        "would run: install -m 600 /dev/null azure_devops_pat", "would run: chown 10001:10001 azure_devops_pat",
        "would run: install -m 600 /dev/null sentry_dsn", "would run: chown 10001:10001 sentry_dsn"]
    of_api = ("database_password", "extension_app_keys", "azure_devops_pat", "sentry_dsn")
    existing = {*of_api, "redis_url"}
    assert hand_over(existing, COMPOSE_FILE=ALL_FILES) == [
        *(f"would run: chown 10001:10001 {name}" for name in (*of_api, "redis_url", "shared_key")),
        "would run: chown 65534:65534 exporter_password", "would run: chown 472:0 grafana_password",
        *(f"would run: chown 65534:65534 {name}" for name in ("smtp_password", "slack_webhook")),
        "would run: install -m 600 /dev/null pagerduty_key", "would run: chown 65534:65534 pagerduty_key"]
    for files, names in (("compose.yml", ["postgres_password"]), (ALL_FILES, ["postgres_password", "shared_key", "exporter_password"])):
        created = faults(f"source '{DEPLOY}/scripts/roles.sh'; create_passwords", COMPOSE_FILE=files)
        assert created[:-1] == [f"==> creating {DEPLOY}/secrets/{name}" for name in names], created
        for name in names:
            file = DEPLOY / "secrets" / name
            assert len(file.read_text().strip()) >= 44 and file.stat().st_mode & 0o777 == 0o600, name
            file.unlink()
    print("ok secrets are created and handed to their users", flush=True)


def optional_secrets_may_be_missing_or_empty():
    secret("database_password", b"segredo\n")
    for name in ("extension_app_keys", "azure_devops_pat", "sentry_dsn"):
        for content in (None, b"", b"\n", b"segredo\n"):
            (DEPLOY / "secrets" / name).unlink(missing_ok=True)
            if content is not None:
                secret(name, content)
            assert faults("check_secrets", COMPOSE_FILE="compose.yml") == [], (name, content)
        (DEPLOY / "secrets" / name).chmod(0o644)
        assert "may be read by others" in faults("check_secrets", COMPOSE_FILE="compose.yml")[0], name
        (DEPLOY / "secrets" / name).chmod(0o600)
    print("ok optional secrets may be missing or empty", flush=True)


def app_token_alone_requires_both_secrets():
    for value, pat, keys, found in (
        ("off", None, None, []), ("off", b"", b"", []), ("members", b"p\n", b"k:a\n", []),
        ("members", None, b"k:a\n", ["azure_devops_pat"]), ("members", b"p\n", b"\n", ["extension_app_keys"]),
        ("members", b"", None, ["azure_devops_pat", "extension_app_keys"]),
        ("true", b"p\n", b"k:a\n", ["is off or members, not true"]), ("Members", b"p\n", b"k:a\n", ["is off or members, not Members"]),
    ):
        for name, content in (("azure_devops_pat", pat), ("extension_app_keys", keys)):
            (DEPLOY / "secrets" / name).unlink(missing_ok=True)
            if content is not None:
                secret(name, content)
        reported = faults("check_app_tokens", APP_TOKEN_ALONE=value)
        assert len(reported) == len(found) and all(part in line for part, line in zip(found, reported, strict=True)), (value, pat, keys, reported)
    print("ok APP_TOKEN_ALONE=members requires both secrets", flush=True)


def secrets_in_env_are_refused():
    names = ("DATABASE_PASSWORD", "AZURE_DEVOPS_PAT", "EXTENSION_APP_KEYS", "SENTRY_DSN", "REDIS_URL", "SHARED_KEY")
    unset = {"COMPOSE_FILE": ALL_FILES, **dict.fromkeys(names, "")}
    assert faults("check_secrets_in_env", **unset) == []
    for name in names:
        reported = faults("check_secrets_in_env", **{**unset, name: "set"})
        assert reported == [f"{name} in .env is not read: move it to {DEPLOY}/secrets/{name.lower()}"], reported
    print("ok secrets in .env are refused", flush=True)


def unknown_names_in_env_are_refused():
    example = (DEPLOY / ".env.example").read_text()
    for added, found in (
        ("", []), ("HTTP_PORT=80\nCOMPOSE_PROJECT_NAME=a\n# ORIGIN_GAURD=off\n", []), ("export LOG=debug\n", []),
        ("ORIGIN_GAURD=off\n", ["ORIGIN_GAURD"]), (" export origin_guard = off\nSECRET='x'\n", ["origin_guard", "SECRET"]), ("API=1\n", ["API"]),
    ):
        (DEPLOY / ".env").write_text(example + added)
        assert faults("check_names") == [f"{name} in {DEPLOY}/.env is not a setting of this stack" for name in found], added
    (DEPLOY / ".env").write_text("".join(line.removeprefix("# ") for line in example.splitlines(keepends=True) if "=" in line.split(" ")[-1]))
    assert faults("check_names") == [], "the example names only known settings"
    (DEPLOY / ".env").unlink()
    print("ok unknown names in .env are refused", flush=True)


def values_of_the_examples_are_refused():
    for organisation, names, files, found in (
        ("https://dev.azure.com/exemplo", "api.exemplo.br", "compose.yml", []),
        ("https://dev.azure.com/names", "api.examples.com", "compose.yml", []),
        ("https://dev.azure.com/name", "api.exemplo.br", "compose.yml", ["AZURE_DEVOPS_ORG_URL is that of the example"]),
        ("https://dev.azure.com/Name/", "API.Example.com", "compose.yml", ["AZURE_DEVOPS_ORG_URL is", "SERVER_NAME is that of the example"]),
    ):
        reported = faults("check_examples", AZURE_DEVOPS_ORG_URL=organisation, SERVER_NAME=names, COMPOSE_FILE=files)
        assert len(reported) == len(found) and all(part in line for part, line in zip(found, reported, strict=True)), reported
    print("ok values of the examples are refused", flush=True)


def alertmanager_requires_a_file_of_the_operator():
    shipped, file = DEPLOY / "monitoring/alertmanager/alertmanager.yml", DEPLOY / "local/alertmanager/alertmanager.yml"
    assert faults("check_alertmanager", COMPOSE_FILE="compose.yml") == []
    assert faults("check_alertmanager", COMPOSE_FILE=ALL_FILES) == [f"{file} is missing: install -D -m 644 {shipped} {file}"]
    run("install", "-D", "-m", "644", shipped, file)
    assert faults("check_alertmanager", COMPOSE_FILE=ALL_FILES) == [f"{file} has addresses of the example"]
    file.write_text(shipped.read_text().replace("example.org", "exemplo.br"))
    assert faults("check_alertmanager", COMPOSE_FILE=ALL_FILES) == []
    for path, mode in ((file, 0o600), (file.parent, 0o700)):
        former = path.stat().st_mode
        path.chmod(mode)
        assert "cannot be read by Alertmanager" in faults("check_alertmanager", COMPOSE_FILE=ALL_FILES)[0], path
        path.chmod(former)
    print("ok Alertmanager requires a file of the operator", flush=True)


def replicas_beyond_the_connections_of_postgresql_are_refused():
    for replicas, pool, running, limit, found in (
        ("2", "10", False, "", None), ("4", "10", False, "", None), ("4", "11", False, "", "DATABASE_POOL_SIZE=10 in"),
        ("5", "10", False, "", "need up to 120 connections, PostgreSQL accepts 100: set DATABASE_POOL_SIZE=8 in"),
        ("23", "1", False, "", "need up to 102 connections, PostgreSQL accepts 100: set fewer replicas in"),
        ("99", "1000", False, "", "set fewer replicas in"),
        # The running server may have another limit, or may not respond.
        ("5", "10", True, "120", None), ("5", "10", True, "119", "PostgreSQL accepts 119: set DATABASE_POOL_SIZE=9 in"),
        ("2", "10", True, "", None),
        # The image refuses these.
        ("2", "0", False, "", None), ("2", "x", False, "", None), ("2", "-1", False, "", None), ("2", "99999", False, "", None), ("2", "08", False, "", None),
    ):
        server = (f"containers() {{ {'echo id' if running else 'return 1'}; }}; "
                  f"superuser() {{ {f'echo {limit}' if limit else 'return 2'}; }}; check_connections")
        reported = faults(server, API_REPLICAS=replicas, DATABASE_POOL_SIZE=pool, COMPOSE_FILE="compose.yml")
        assert (not reported) if found is None else len(reported) == 1 and found in reported[0], (replicas, pool, reported)
    for replicas, pool, limit, found in (
        ("23", "10", "100", []), ("90", "10", "30", []), ("91", "10", "100", ["PgBouncer accepts 2000: set DATABASE_POOL_SIZE=9 in"]),
        ("2", "10", "29", ["default_pool_size=20 in", "at most 19 are for the pooler"]),
    ):
        server = f"containers() {{ echo id; }}; superuser() {{ echo {limit}; }}; check_connections"
        reported = faults(server, API_REPLICAS=replicas, DATABASE_POOL_SIZE=pool, COMPOSE_FILE="compose.yml:pooler/compose.yml")
        assert len(reported) == bool(found) and all(part in reported[0] for part in found), (replicas, limit, reported)
    print("ok replicas beyond the connections of PostgreSQL are refused", flush=True)


def pooler_is_recreated_if_its_files_changed():
    secret("database_password", b"um\n")
    stubs = (f"source '{DEPLOY}/scripts/overlays.sh'; state=$(mktemp -d); running=; compose() {{ echo \"$*\"; running=id; }}; "
             "containers() { echo \"$running\"; }; wait_healthy() { :; }; fail() { echo \"$*\"; exit; }; ")
    apply = "; ".join(["apply_pooler", "apply_pooler", f"echo dois >'{DEPLOY}/secrets/database_password'", "apply_pooler",
                       f"echo '; uma' >>'{DEPLOY}/pooler/pgbouncer.ini'", "apply_pooler", "apply_pooler", "wait_healthy() { return 1; }", "apply_pooler"])
    start, again = "up --detach --no-deps pooler", "up --detach --no-deps --force-recreate pooler"
    said = "==> recreating the pooler: the service returns 503 for some seconds"
    reported = faults(stubs + apply, COMPOSE_FILE="compose.yml:pooler/compose.yml")
    assert reported == [start, start, said, again, said, again, start, start, "the pooler does not become healthy"], reported
    assert faults(stubs + "apply_pooler", COMPOSE_FILE="compose.yml") == []
    print("ok the pooler is recreated if its files changed", flush=True)


def hosts_without_a_database_are_checked():
    """With the overlay `hosts`: what names the database, which overlays fit, and which secrets are used."""
    hosts, url = "compose.yml:hosts/compose.yml", DEPLOY / "secrets/database_url"
    settings = {"COMPOSE_FILE": hosts, "API_HOSTS": "2", "API_REPLICAS": "2", "DATABASE_POOL_SIZE": "10", "POSTGRES_VERSION": "14"}
    assert faults("check_hosts; check_postgres_version; check_connections", **settings, DATABASE_HOST="db1,db2") == []
    for content, found in ((None, "needs DATABASE_HOST in"), (b"", "needs DATABASE_HOST in"), (b"postgresql://a@db/aponta\n", None)):
        url.unlink(missing_ok=True)
        if content is not None:
            secret("database_url", content)
        reported = faults("check_hosts", **settings, DATABASE_HOST="")
        assert (not reported) if found is None else len(reported) == 1 and found in reported[0], (content, reported)
    url.unlink()
    for files, number, found in (
        ("compose.yml:monitoring/compose.yml:hosts/compose.yml", "99", []), ("compose.yml:hosts/compose.yml:local/outro.yml", "1", []),
        ("compose.yml", "nenhum", []), (hosts, "0", ["API_HOSTS is the number"]), (hosts, "dois", ["API_HOSTS is the number"]),
        ("compose.yml:hosts/compose.yml:monitoring/compose.yml", "2", ["comes after monitoring/compose.yml"]),
        ("compose.yml:backup/compose.yml:pooler/compose.yml:hosts/compose.yml", "2", ["backup/compose.yml needs", "pooler/compose.yml needs"]),
    ):
        reported = faults("check_hosts", **settings | {"COMPOSE_FILE": files, "API_HOSTS": number}, DATABASE_HOST="db")
        assert len(reported) == len(found) and all(part in line for part, line in zip(found, reported, strict=True)), (files, number, reported)
    for number, replicas, counted in (("1", "2", "2"), ("2", "2", "3"), ("2", "3", "5"), ("3", "2", "4")):
        printed = faults("counted_replicas", **settings | {"API_HOSTS": number, "API_REPLICAS": replicas})
        assert printed[0] == counted, (number, replicas, printed)
    assert faults("counted_replicas", **settings | {"COMPOSE_FILE": "compose.yml", "API_REPLICAS": "7"})[0] == "7"
    names = [line.split()[0] for line in faults("used_secrets", **settings)[:-1]]
    assert "database_url" in names and "postgres_password" not in names, names
    for line, found in (("ok     connections   x", True), ("WRONG  connections   x", False), ("WRONG  token   x", True), ("", True)):
        script = (f"source <(sed -n '/^judge_connections/,/^}}/p' '{DEPLOY}/scripts/deploy.sh'); compose() {{ echo '{line}'; return 1; }}; "
                  "judge_connections 2>/dev/null && echo passed || echo refused")
        assert faults(script, **settings)[0] == ("passed" if found else "refused"), line
    print("ok hosts without a database are checked", flush=True)


def git_ignores_what_operators_write():
    written = [".env", "certs/origin.key", "certs/origin.pem", "secrets/database_password", "secrets/backup.conf", "kubernetes/overlays/example/secrets/database_password", "state/current", "local/aponta.dump",
               "local/alertmanager/alertmanager.yml", "nginx/rollout/upstream.conf", "origin.key", "origin.pem", "aponta.dump", "client.csr"]
    ignored = run("git", "check-ignore", *written, cwd=REPOSITORY / "deploy").stdout.split()
    assert ignored == written, set(written) - set(ignored)
    print("ok git ignores what operators write", flush=True)


def certificate_must_be_valid_for_the_server_names():
    def certificate(*names):
        subject = ",".join(f"DNS:{name}" for name in names)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=CloudFlare Origin Certificate", "-addext", f"subjectAltName={subject}", "-keyout",
            DEPLOY / "certs/origin.key", "-out", DEPLOY / "certs/origin.pem")

    certificate("*.exemplo.br", "exemplo.br")
    key = DEPLOY / "certs/origin.key"
    key.chmod(0o600)
    # A key of certbot is a symbolic link, whose own mode is 777.
    key.rename(DEPLOY / "certs/real.key")
    key.symlink_to(DEPLOY / "certs/real.key")
    for names, found in (
        ("api.exemplo.br", None), ("api.exemplo.br exemplo.br", None), ("API.Exemplo.br", None),
        ("a.api.exemplo.br", "a.api.exemplo.br"), ("api.exemplo.br outra.com", "outra.com"), ("exemplo.br.outra.com", "exemplo.br.outra.com"),
    ):
        reported = faults("check_server_name; check_certificate", SERVER_NAME=names, ORIGIN_PULLS="off")
        assert (not reported) if found is None else f"is not for {found}," in reported[0], (names, reported)
    key.chmod(0o644)
    assert "may be read by others (mode 644)" in faults("check_certificate", SERVER_NAME="api.exemplo.br", ORIGIN_PULLS="off")[0]
    key.chmod(0o600)
    # For a clock in 1970 the certificate begins in the future.
    early = "date() { if [[ $1 == +%s ]]; then echo 0; else command date \"$@\"; fi; }; check_certificate"
    assert "is not valid yet" in faults(early, SERVER_NAME="exemplo.br", ORIGIN_PULLS="off")[0]
    for name in ("https://api.exemplo.br", "api.exemplo.br:443", "api.exemplo.br;", "_", "~^.*$", "*.exemplo.br", "192.0.2.1", "a..b", "-a.b",
                 "api.exemplo.br,www.exemplo.br", "$host", "api.exemplo.br\r"):
        reported = faults("check_server_name", SERVER_NAME=name)
        assert len(reported) == 1 and "list of host names separated by blanks" in reported[0], (name, reported)
    print("ok a certificate without a name of SERVER_NAME is refused", flush=True)


def main():
    shutil.copytree(REPOSITORY / "deploy", DEPLOY, ignore=shutil.ignore_patterns("secrets", "certs", "state", ".env"))
    for directory in ("certs", "secrets"):
        (DEPLOY / directory).mkdir()
    unencrypted_repositories_are_refused()
    ambiguous_secrets_are_refused()
    optional_secrets_may_be_missing_or_empty()
    secret_table_matches_the_stack()
    every_setting_reaches_the_api()
    secrets_are_handed_to_their_users()
    secrets_in_env_are_refused()
    app_token_alone_requires_both_secrets()
    unknown_names_in_env_are_refused()
    values_of_the_examples_are_refused()
    alertmanager_requires_a_file_of_the_operator()
    replicas_beyond_the_connections_of_postgresql_are_refused()
    pooler_is_recreated_if_its_files_changed()
    hosts_without_a_database_are_checked()
    git_ignores_what_operators_write()
    certificate_must_be_valid_for_the_server_names()
    print("checks: all checks passed")


try:
    main()
finally:
    shutil.rmtree(DEPLOY.parent, ignore_errors=True)
