"""Makes the files of a release with the engine of DOCKER_HOST, in a clone with a tag. Its compiler is a stand-in, for tests/run.sh
--stack compiles the service elsewhere.

usage: artifacts.py
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A program of this system in place of the service: it has to run in the image.
CARGO = """#!/bin/bash
if [[ $1 == rustc ]]; then
    mkdir -p target/x86_64-unknown-linux-gnu/dist
    cp /usr/bin/true target/x86_64-unknown-linux-gnu/dist/aponta
else
    exec {cargo} "$@"
fi
"""


def output(*command, cwd=None, env=None):
    return subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def main():
    with tempfile.TemporaryDirectory(prefix="aponta-artifacts-") as work:
        clone, files, programs = (pathlib.Path(work) / name for name in ("clone", "files", "programs"))
        output("git", "clone", "--quiet", str(ROOT), str(clone))
        version = re.search(r'^version = "(.+)"$', (clone / "Cargo.toml").read_text(), re.MULTILINE)[1]
        output("git", "tag", "--force", f"v{version}", cwd=clone)
        programs.mkdir()
        (programs / "cargo").write_text(CARGO.format(cargo=shutil.which("cargo")))
        (programs / "cargo").chmod(0o755)
        output(".ci/artifacts", "--images", "--arch", "amd64", str(files), cwd=clone, env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
        output("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=files)
        image = f"aponta-api:{version}"
        output("docker", "image", "rm", image)
        output("docker", "load", "--input", str(files / f"aponta-api-{version}-amd64.tar"))
        (loaded,) = json.loads(output("docker", "image", "inspect", image))
        labels = {name.removeprefix("org.opencontainers.image."): value for name, value in loaded["Config"]["Labels"].items()}
        commit = output("git", "rev-parse", "HEAD", cwd=clone)
        assert (loaded["Architecture"], labels["version"], labels["revision"]) == ("amd64", version, commit), loaded
        output("docker", "run", "--rm", "--network", "none", image)
        print(f"ok the image of the release {version} is built, saved, loaded and run", flush=True)


main()
