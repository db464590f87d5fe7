"""What .ci/deny does where the database of advisories can be fetched, where it cannot, and where its host is out of reach.

usage: deny.py
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-deny-"))
# Programs that succeed or fail as the environment says, and note what they were told to do.
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >>"$CALLS"\ncase "$*" in *"$FAILS"*) exit 6 ;; esac\n'


def deny(failing="nothing", *, host_responds):
    for name, fails in (("cargo", failing), ("cargo-deny", failing), ("curl", "nothing" if host_responds else "http")):
        (WORK / "bin" / name).write_text(STUB.replace("$FAILS", fails))
        (WORK / "bin" / name).chmod(0o755)
    calls = WORK / "calls"
    calls.write_text("")
    environment = {**os.environ, "PATH": f"{WORK}/bin:{os.environ['PATH']}", "CALLS": str(calls)}
    done = subprocess.run([WORK / ".ci/deny"], capture_output=True, text=True, check=False, env=environment)
    return done, calls.read_text()


def main():
    for directory in (".ci", "bin"):
        (WORK / directory).mkdir()
    shutil.copy(REPOSITORY / ".ci/deny", WORK / ".ci/deny")

    done, calls = deny(host_responds=True)
    assert done.returncode == 0 and "NOT CHECKED" not in done.stdout and "check --disable-fetch advisories" in calls, (done, calls)
    done, _ = deny("advisories", host_responds=True)
    assert done.returncode != 0, "a known vulnerability fails"
    done, _ = deny("bans licenses sources", host_responds=False)
    assert done.returncode != 0, "the other checks need no network"
    done, calls = deny("fetch db", host_responds=True)
    assert done.returncode == 1 and "could not be fetched" in done.stderr and "advisories" not in calls, (done, calls)
    done, calls = deny("fetch db", host_responds=False)
    block = done.stdout.strip().splitlines()
    assert done.returncode == 0 and len(block) == 8 and "NOT CHECKED: known vulnerabilities" in block[2] and "advisories" not in calls, (done, calls)
    assert {len(line) for line in block} == {80}, [len(line) for line in block]
    print("ok .ci/deny says loudly what it could not check")


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
