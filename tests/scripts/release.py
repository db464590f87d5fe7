"""Checks what .ci/release writes and commits, and what it rejects, in a repository made for the test.

usage: release.py
"""

import datetime
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-release-"))
MANIFEST = '[workspace.package]\nversion = "1.0.0"\n\n[workspace.dependencies]\nother = { version = "1.0.0" }\n'
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n\n## [1.0.0] - 2026-11-24\n\n### Added\n\n- All.\n"


def git(*arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=WORK, capture_output=True, text=True, check=True).stdout


def release(version):
    # A cargo that succeeds and does nothing: the documents are not part of this test.
    environment = {"PATH": f"{WORK}/bin:/usr/bin:/bin", "HOME": str(WORK), "GIT_AUTHOR_NAME": "Test",
                   "GIT_AUTHOR_EMAIL": "test@example.com", "GIT_COMMITTER_NAME": "Test",
                   "GIT_COMMITTER_EMAIL": "test@example.com"}
    return subprocess.run([WORK / ".ci/release", version], capture_output=True, text=True, check=False, env=environment)


def commit(manifest=MANIFEST, changelog=CHANGELOG):
    (WORK / "Cargo.toml").write_text(manifest)
    (WORK / "CHANGELOG.md").write_text(changelog)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "state")


def release_writes_version_and_heading_and_commits_them():
    commit()
    done = release("1.1.0")
    assert done.returncode == 0 and done.stdout == "git tag --annotate v1.1.0 --message v1.1.0\n", done
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert (WORK / "Cargo.toml").read_text() == MANIFEST.replace('"1.0.0"', '"1.1.0"', 1)
    heading = f"## [Unreleased]\n\n## [1.1.0] - {today}\n"
    assert (WORK / "CHANGELOG.md").read_text() == CHANGELOG.replace("## [Unreleased]\n", heading)
    assert git("log", "-1", "--format=%s") == "chore(release): 1.1.0\n" and not git("status", "--porcelain")
    print("ok a release writes version and heading and commits them", flush=True)


def release_that_cannot_be_tagged_is_rejected():
    commit()
    git("tag", "v1.2.0")
    for version, message in (
        ("", "usage"), ("1.1", "usage"), ("v1.1.0", "usage"), ("01.1.0", "usage"),
        ("1.0.0", "not higher"), ("0.9.10", "not higher"), ("1.2.0", "exists already"),
    ):
        done = release(version)
        assert done.returncode == 1 and message in done.stderr, (version, done)
    commit(changelog=CHANGELOG.replace("- One.\n", ""))
    assert "no entries" in release("1.1.0").stderr
    commit()
    (WORK / "Cargo.toml").write_text(MANIFEST + "# changed\n")
    assert "not committed" in release("1.1.0").stderr
    assert git("diff", "--stat") and git("log", "-1", "--format=%s") == "state\n"
    print("ok a release that cannot be tagged is rejected", flush=True)


def main():
    for directory in (".ci", "bin"):
        (WORK / directory).mkdir()
    shutil.copy(ROOT / ".ci/release", WORK / ".ci/release")
    (WORK / "bin/cargo").write_text("#!/bin/sh\n")
    (WORK / "bin/cargo").chmod(0o755)
    git("init", "--quiet")
    release_writes_version_and_heading_and_commits_them()
    release_that_cannot_be_tagged_is_rejected()


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
