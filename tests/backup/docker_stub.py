#!/usr/bin/env python3
"""A stand-in for docker whose containers of the database are local servers of PostgreSQL, each version on a volume of its own.

$STACK is a directory: volumes/NAME, programs/VERSION, state.json with the containers. `compose config` is that of the real
compose, $COMPOSE. A command that contains $FAILS fails, and one that contains $HANGS does not end.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

STACK = pathlib.Path(os.environ["STACK"])
VOLUMES, STATE, LOG = STACK / "volumes", STACK / "state.json", STACK / "postgres.log"
# Its socket is found by these.
SERVER = {"PGHOST": str(STACK), "PGPORT": os.environ["PGPORT"]}
AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]


def containers():
    return json.loads(STATE.read_text()) if STATE.exists() else {}


def record(name, **values):
    found = containers()
    found.setdefault(name, {}).update(values)
    STATE.write_text(json.dumps(found))


def inside(name, *command, **options):
    """Runs a command as the user of the server, with the programs of its version and the files of the image."""
    version = containers()["postgres"]["version"]
    volume = VOLUMES / containers()["postgres"]["volume"]
    path = f"{STACK}/bin:{STACK}/programs/{version}/bin:/usr/bin:/bin"
    environment = {key: value for key, value in os.environ.items() if key.startswith(("PGBACKREST_", "BACKUP_"))}
    return subprocess.run([*AS_POSTGRES, *command], check=False, cwd=STACK, **options,
                          env={"PATH": path, "LC_ALL": "C.UTF-8", **environment, **SERVER, "PGBACKREST_PG1_PATH": str(volume)}).returncode


def start(name):
    container = containers()[name]
    if name == "postgres" and not container.get("running"):
        volume = VOLUMES / container["volume"]
        is_new = not volume.exists()
        if is_new:
            volume.mkdir()
            shutil.chown(volume, "postgres", "postgres")
            inside(name, "initdb", "-D", volume, "-U", "aponta", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", stdout=subprocess.DEVNULL)
            settings = {**container["settings"], "fsync": "off", "unix_socket_directories": str(STACK), "listen_addresses": "", "port": SERVER["PGPORT"]}
            with open(volume / "postgresql.conf", "a", encoding="utf-8") as file:
                file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        if inside(name, "pg_ctl", "-D", volume, "-l", LOG, "-w", "start", stdout=subprocess.DEVNULL):
            sys.exit(f"postgres does not start on {volume}")
        if is_new:
            inside(name, "createdb", "-U", "aponta", "aponta")
    record(name, running=True)


def stop(name):
    container = containers().get(name, {})
    if name == "postgres" and container.get("running"):
        inside(name, "pg_ctl", "-D", VOLUMES / container["volume"], "-m", "fast", "-w", "stop", stdout=subprocess.DEVNULL)
    if container:
        record(name, running=False)


def up(files, name):
    config = json.loads(subprocess.run([os.environ["COMPOSE"], *files, "config", "--format", "json"], check=True, capture_output=True).stdout)
    service = config["services"][name]
    if name == "postgres":
        wanted = {"version": re.search(r":(\d+)", service["image"])[1], "volume": config["volumes"]["postgres_data"]["name"],
                  "settings": dict(value.split("=", 1) for value in service.get("command", []) if "=" in value)}
        if {**containers().get(name, {}), **wanted} != containers().get(name):
            stop(name)
        record(name, **wanted)
    record(name)
    start(name)


def compose(files, command, arguments):
    words = [argument for argument in arguments if not argument.startswith("-")]
    if command in ("version", "config"):
        os.execv(os.environ["COMPOSE"], [os.environ["COMPOSE"], *files, command, *arguments])
    elif command == "ps":
        is_listed = lambda container: container["running"] or "--all" in arguments  # noqa: E731
        print(*(name for name, container in containers().items() if name in words and is_listed(container)), sep="\n")
    elif command == "up":
        up(files, words[-1])
    elif command in ("start", "stop"):
        for name in words:
            (start if command == "start" else stop)(name)
    elif command in ("exec", "run"):
        if "--user" in arguments:
            at = arguments.index("--user")
            arguments = arguments[:at] + arguments[at + 2:]
        at = min(arguments.index(name) for name in ("postgres", "backup", "api") if name in arguments)
        name = arguments[at]
        if command == "exec" and not containers()[name]["running"]:
            sys.exit(f"service {name} is not running")
        sys.exit(inside(name, *arguments[at + 1:]))


def main():
    text = " ".join(sys.argv[1:])
    if os.environ.get("FAILS", "\0") in text:
        sys.exit(f"failed: {text}")
    if os.environ.get("HANGS", "\0") in text:
        (STACK / "hangs").touch()
        time.sleep(600)
    first, *rest = sys.argv[1:]
    if first == "compose":
        files = []
        while rest[0].startswith("--"):
            files += rest[:2]
            del rest[:2]
        compose(files, rest[0], rest[1:])
    elif (first, rest[0]) == ("volume", "ls"):
        print(*sorted(volume.name for volume in VOLUMES.iterdir()), sep="\n")
    elif (first, rest[0]) == ("volume", "rm"):
        shutil.rmtree(VOLUMES / rest[-1], ignore_errors=True)
    elif first == "start":
        for name in rest:
            start(name)
    elif first == "info":
        print(STACK)
    elif first == "inspect" and "Health" in rest[1]:
        print("healthy" if all(containers()[name]["running"] for name in rest[2:]) else "unhealthy")


main()
