"""Checks what .ci/artifacts writes and rejects, in a repository made for the test, and the bill of materials of this one.

usage: artifacts.py
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-artifacts-"))
REPOSITORY = WORK / "repository"
# A compiler that writes a file for the target and the commit, and an engine that writes an image.
CARGO = r"""#!/bin/bash
case $1 in
tree) printf 'http-actix v1.2.0 (/x)\tMIT\nactix-web v4.0.0\tMIT OR Apache-2.0\nserde_derive v1.0.0 (proc-macro)\tMIT/Apache-2.0 (*)\nunlicensed v0.1.0\t\n' ;;
--version) echo cargo ;;
*)
    [[ $* != *"$FAILS"* ]] || exit 1
    while [[ $1 != --target ]]; do shift; done
    mkdir -p "target/$2/dist" && echo "$2 $APONTA_REVISION" >"target/$2/dist/aponta"
    ;;
esac
"""
RUSTC = "#!/bin/bash\ncase $* in *libdir*) case $* in *$MISSING*) echo /absent ;; *) echo / ;; esac ;; *) echo rustc ;; esac\n"
DOCKER = r"""#!/bin/bash
image=$HOME/image
if [[ $1 == save ]]; then
    cp "$image" "$3"
    exit
fi
for word in "$@"; do
    case $word in
    build=*) stage=${word#build=} ;;
    esac
done
{ echo "$*" && cat "$stage/aponta" && (cd "$stage" && find . -type f | sort); } >"$image"
"""


def git(*arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


def artifacts(*arguments, **environment):
    environment = {"PATH": f"{WORK}/bin:/usr/bin:/bin", "HOME": str(WORK), "FAILS": "nothing", "MISSING": "nothing", **environment}
    return subprocess.run([REPOSITORY / ".ci/artifacts", *arguments], capture_output=True, text=True, check=False, env=environment)


def lay_out():
    for directory in (REPOSITORY / ".ci", WORK / "bin"):
        directory.mkdir(parents=True)
    shutil.copy(ROOT / ".ci/artifacts", REPOSITORY / ".ci/artifacts")
    (REPOSITORY / "Cargo.toml").write_text('[workspace.package]\nversion = "1.2.0"\n')
    (REPOSITORY / "Cargo.lock").write_text('[[package]]\nname = "actix-web"\nversion = "4.0.0"\nsource = "x"\nchecksum = "abc"\n')
    (REPOSITORY / ".gitignore").write_text("/target\n")
    for name, text in (("cargo", CARGO), ("rustc", RUSTC), ("docker", DOCKER), ("cc", "#!/bin/sh\n"), ("aarch64-linux-gnu-gcc", "#!/bin/sh\n")):
        (WORK / "bin" / name).write_text(text)
        (WORK / "bin" / name).chmod(0o755)
    git("init", "--quiet")
    git("remote", "add", "origin", "https://user:secret@git.exemplo.br/aponta.git")
    git("add", "--all")
    git("commit", "--quiet", "--message", "release")


def release_that_cannot_be_reproduced_is_rejected():
    directory = WORK / "out"
    done = artifacts(directory)
    assert done.returncode == 1 and "the tag v1.2.0, the version in Cargo.toml, is not at this commit" in done.stderr, done
    git("tag", "--annotate", "v1.2.0", "--message", "v1.2.0")
    (REPOSITORY / "extra").write_text("x")
    (WORK / "bin/aarch64-linux-gnu-gcc").rename(WORK / "bin/away")
    done = artifacts(directory, MISSING="aarch64")
    # The machine may have the real one as well.
    linker = [] if shutil.which("aarch64-linux-gnu-gcc") else [".ci/artifacts: arm64: the linker aarch64-linux-gnu-gcc is not installed"]
    assert done.returncode == 1 and done.stderr.splitlines() == [
        ".ci/artifacts: the work tree has changes that are not committed",
        ".ci/artifacts: arm64: rustup target add aarch64-unknown-linux-gnu", *linker], done
    (REPOSITORY / "extra").unlink()
    (WORK / "bin/away").rename(WORK / "bin/aarch64-linux-gnu-gcc")
    assert not directory.exists() and artifacts(directory, FAILS="aarch64").returncode != 0
    assert not (directory / "SHA256SUMS").exists(), "an unfinished release has no checksums"
    assert "is not empty" in artifacts(directory).stderr
    shutil.rmtree(directory)
    print("ok a release that cannot be reproduced is rejected", flush=True)


def release_has_binaries_images_checksums_and_provenance():
    directory, commit = WORK / "out", git("rev-parse", "HEAD")
    done = artifacts("--images", directory)
    names = [f"aponta-{part}" for part in ("1.2.0-linux-amd64", "1.2.0-linux-amd64.cdx.json", "1.2.0-linux-arm64", "1.2.0-linux-arm64.cdx.json",
                                           "api-1.2.0-amd64.tar", "api-1.2.0-arm64.tar")]
    assert done.returncode == 0 and sorted(path.name for path in directory.iterdir()) == ["SHA256SUMS", *names, "provenance.json"], done
    assert (directory / names[0]).read_text() == f"x86_64-unknown-linux-gnu {commit}\n"
    command, binary, *stage = (directory / names[5]).read_text().splitlines()
    assert "--platform linux/arm64 --file deploy/Dockerfile --build-context build=" in command and f"--build-arg REVISION={commit}" in command, command
    # What the last stage copies from the one that compiles.
    copied = re.findall(r"^COPY --from=build /(\S+) ", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert binary == f"aarch64-unknown-linux-gnu {commit}" and sorted(stage) == sorted(f"./{file}" for file in copied), (stage, copied)
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=directory, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == len(names) + 1, checked
    provenance = json.loads((directory / "provenance.json").read_text())
    assert provenance["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "git+https://git.exemplo.br/aponta.git", "digest": {"gitCommit": commit}}], provenance
    for subject in provenance["subject"]:
        assert subject["digest"]["sha256"] == hashlib.sha256((directory / subject["name"]).read_bytes()).hexdigest(), subject
    assert [subject["name"] for subject in provenance["subject"]] == names
    materials = json.loads((directory / names[1]).read_text())
    assert [(part["name"], part.get("licenses"), part.get("hashes")) for part in materials["components"]] == [
        ("actix-web", [{"expression": "MIT OR Apache-2.0"}], [{"alg": "SHA-256", "content": "abc"}]),
        ("serde_derive", [{"expression": "MIT OR Apache-2.0"}], None), ("unlicensed", None, None)], materials
    shutil.rmtree(directory)
    assert artifacts("--arch", "amd64", directory, MISSING="aarch64").returncode == 0 and len(list(directory.iterdir())) == 4
    print("ok a release has binaries, images, checksums and provenance", flush=True)


def bill_of_materials_has_what_is_in_the_binary():
    done = subprocess.run([ROOT / ".ci/artifacts", "--sbom"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    names = {component["name"] for component in json.loads(done.stdout)["components"]}
    assert {"actix-web", "sea-orm", "rustls", "domain", "migration"} <= names, sorted(names)
    assert names.isdisjoint({"mockall", "wiremock", "libsqlite3-sys", "adapters-sqlite", "http-actix"}), sorted(names)
    print(f"ok the bill of materials has the {len(names)} crates of the binary", flush=True)


try:
    lay_out()
    release_that_cannot_be_reproduced_is_rejected()
    release_has_binaries_images_checksums_and_provenance()
    bill_of_materials_has_what_is_in_the_binary()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
