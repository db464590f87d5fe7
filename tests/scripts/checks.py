"""What deploy.sh checks before it changes anything, each over a table of what it has to accept and to refuse.

usage: checks.py
"""

import pathlib
import shutil
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = pathlib.Path(tempfile.mkdtemp(prefix="aponta-checks-")) / "deploy"
PASSPHRASE = "m" * 32
ENCRYPTED = f"[global]\nrepo1-cipher-pass={PASSPHRASE}\n"
SECOND = f"repo2-type=s3\nrepo2-path=/aponta\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={PASSPHRASE}\n"


def faults(program, **settings):
    """What a check of checks.sh finds, with these settings of .env; nothing but the faults is printed."""
    assigned = " ".join(f"[{name}]='{value}'" for name, value in settings.items())
    script = (f"set -euo pipefail; source '{DEPLOY}/scripts/lib.sh'; source '{DEPLOY}/scripts/checks.sh'; settings=({assigned}); "
              f"{program}; printf '%s\\n' \"${{faults[@]}}\"")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def secret(name, content):
    file = DEPLOY / "secrets" / name
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def every_repository_of_the_backups_is_encrypted():
    example = (DEPLOY / "backup/backup.conf.example").read_text()
    filled = example.replace("repo1-cipher-pass=", f"repo1-cipher-pass={PASSPHRASE}", 1)
    # The second place as the example has it, with the lines of its cipher left as they are shipped.
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
        told = faults(f"check_secret '{file}'; check_encryption '{file}'")
        assert len(told) >= len(found) and all(any(part in line for line in told) for part in found), (text, told)
        assert bool(told) == bool(found) and not any(PASSPHRASE[:31] in line for line in told), (text, told)
    print("ok every repository of the backups is encrypted", flush=True)


def secrets_mean_the_same_to_every_program():
    for content, found in (
        (b"segredo", None), (b"segredo\n", None), (b"segredo\n\n", None), (b" s%3:@/'\"\\\xc3\xa9 \n", None),
        (b"segredo\r\n", "carriage return"), (b"seg\rredo\n", "carriage return"), (b"segredo\n\r\n", "carriage return"),
        (b"segredo\0\n", "NUL"), (b"\0", "NUL"), (b"", "is empty"), (b"\n\n", "is empty"), (b"um\ndois\n", "more than one line"),
    ):
        told = faults(f"check_password '{secret('database_password', content)}'")
        assert (not told) if found is None else found in told[0], (content, told)
    # Each secret that deploy.sh hands to a container.
    names = {"database_password", "extension_app_keys", "azure_devops_pat", "grafana_password", "smtp_password", "slack_webhook", "backup.conf"}
    files = "compose.yml:backup/compose.yml:monitoring/compose.yml"
    for bad in sorted(names):
        for name in names:
            secret(name, b"a\r\n" if name == bad else ENCRYPTED.encode() if name == "backup.conf" else b"a\n")
        told = [line for line in faults("check_secrets", COMPOSE_FILE=files) if "carriage return" in line]
        assert len(told) == 1 and f"secrets/{bad} " in told[0], (bad, told)
    print("ok secrets with a carriage return or NUL are refused", flush=True)


def optional_secrets_may_be_missing_or_empty():
    secret("database_password", b"segredo\n")
    for name in ("extension_app_keys", "azure_devops_pat"):
        for content in (None, b"", b"\n", b"segredo\n"):
            (DEPLOY / "secrets" / name).unlink(missing_ok=True)
            if content is not None:
                secret(name, content)
            assert faults("check_secrets", COMPOSE_FILE="compose.yml") == [], (name, content)
        (DEPLOY / "secrets" / name).chmod(0o644)
        assert "may be read by others" in faults("check_secrets", COMPOSE_FILE="compose.yml")[0], name
        (DEPLOY / "secrets" / name).chmod(0o600)
    print("ok optional secrets may be missing or empty", flush=True)


def app_tokens_sign_in_alone_only_with_all_that_it_needs():
    unset = {"AZURE_DEVOPS_PAT": "", "EXTENSION_APP_KEYS": ""}
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
        told = faults("check_app_tokens", APP_TOKEN_ALONE=value, **unset)
        assert len(told) == len(found) and all(part in line for part, line in zip(found, told, strict=True)), (value, pat, keys, told)
    for name in unset:
        told = faults("check_app_tokens", APP_TOKEN_ALONE="off", **{**unset, name: "set"})
        assert len(told) == 1 and told[0].startswith(f"{name} in .env is not read: move it to ") and told[0].endswith(f"secrets/{name.lower()}")
    print("ok app tokens sign in alone only with all that it needs", flush=True)


def the_certificate_is_for_the_names_that_are_served():
    def certificate(*names):
        subject = ",".join(f"DNS:{name}" for name in names)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-subj", "/CN=CloudFlare Origin Certificate", "-addext", f"subjectAltName={subject}", "-keyout",
                        DEPLOY / "certs/origin.key", "-out", DEPLOY / "certs/origin.pem"], check=True, capture_output=True)

    certificate("*.exemplo.br", "exemplo.br")
    for names, found in (
        ("api.exemplo.br", None), ("api.exemplo.br exemplo.br", None), ("API.Exemplo.br", None),
        ("a.api.exemplo.br", "a.api.exemplo.br"), ("api.exemplo.br outra.com", "outra.com"), ("exemplo.br.outra.com", "exemplo.br.outra.com"),
    ):
        told = faults("check_server_name; check_certificate", SERVER_NAME=names, ORIGIN_PULLS="off")
        assert (not told) if found is None else f"is not for {found}," in told[0], (names, told)
    for name in ("https://api.exemplo.br", "api.exemplo.br:443", "api.exemplo.br;", "_", "~^.*$", "*.exemplo.br", "192.0.2.1", "a..b", "-a.b",
                 "api.exemplo.br,www.exemplo.br", "$host", "api.exemplo.br\r"):
        told = faults("check_server_name", SERVER_NAME=name)
        assert len(told) == 1 and "list of host names separated by blanks" in told[0], (name, told)
    print("ok the certificate is compared with SERVER_NAME", flush=True)


def main():
    shutil.copytree(REPOSITORY / "deploy", DEPLOY, ignore=shutil.ignore_patterns("secrets", "certs", "state", ".env"))
    for directory in ("certs", "secrets"):
        (DEPLOY / directory).mkdir()
    every_repository_of_the_backups_is_encrypted()
    secrets_mean_the_same_to_every_program()
    optional_secrets_may_be_missing_or_empty()
    app_tokens_sign_in_alone_only_with_all_that_it_needs()
    the_certificate_is_for_the_names_that_are_served()
    print("checks: all checks passed")


try:
    main()
finally:
    shutil.rmtree(DEPLOY.parent, ignore_errors=True)
