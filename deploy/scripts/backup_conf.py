"""Prints the faults of the secret settings of the backups: every repository has to be encrypted.

usage: backup_conf.py pgbackrest.conf backup.conf

pgBackRest reads both files as one. It accepts a repository without a cipher and does not encrypt it.
"""

import pathlib
import re
import sys

MIN_PASSPHRASE = 32
REPOSITORY_KEY = re.compile(r"repo([1-9][0-9]{0,2})-[a-z0-9-]+")


def settings_of(text, faults):
    """Returns the settings of [global] by name. Other sections could override them for one command or database."""
    settings, section = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            section = line
            if line != "[global]":
                faults.append(f"line {number}: {line} is not allowed, only [global]")
        elif not equals:
            faults.append(f"line {number} is neither a setting nor a comment")
        elif section is None:
            faults.append(f"line {number}: {key} stands before [global]")
        elif key in settings:
            faults.append(f"line {number}: {key} is set twice")
        else:
            if key.startswith("repo") and not REPOSITORY_KEY.fullmatch(key):
                faults.append(f"line {number}: {key} does not name its repository, like repo1-cipher-pass")
            if not value:
                faults.append(f"line {number}: {key} has no value")
            settings[key] = value
    if section is None:
        faults.append("there is no [global]")
    return settings


def faults_of(shipped, secret):
    """Returns the faults. They contain no value, because it may be a passphrase."""
    faults = []
    settings = settings_of(secret, faults)
    both = settings_of(shipped.split("\n[aponta]")[0], []) | settings
    repositories = {int(found[1]) for key in both if (found := REPOSITORY_KEY.fullmatch(key))}
    for repository in sorted(repositories):
        cipher, passphrase = f"repo{repository}-cipher-type", f"repo{repository}-cipher-pass"
        if both.get(cipher) != "aes-256-cbc":
            faults.append(f"repository {repository} would not be encrypted: {cipher}=aes-256-cbc is missing")
        if passphrase not in both:
            faults.append(f"repository {repository} has no passphrase: {passphrase}, from openssl rand -base64 48")
        elif len(both[passphrase]) < MIN_PASSPHRASE:
            faults.append(f"{passphrase} has fewer than {MIN_PASSPHRASE} characters: openssl rand -base64 48")
    return faults


if __name__ == "__main__":
    print(*faults_of(*(pathlib.Path(name).read_text(errors="replace") for name in sys.argv[1:])), sep="\n", end="")
