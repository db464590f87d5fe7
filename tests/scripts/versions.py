"""Checks that the files that name a version agree, the compiler's and the service's, and those that name the crates.

usage: versions.py
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each file that names the image of the compiler, with the pattern of the version.
COMPILER_IMAGES = {
    "deploy/Dockerfile": r"^ARG RUST_IMAGE=rust:(\d+\.\d+)-",
    ".github/workflows/ci.yml": r"(?:container|image): rust:(\d+\.\d+)-",
    ".devcontainer/devcontainer.json": r'"image": "rust:(\d+\.\d+)-',
}
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def setting(path, name):
    """Returns the first `name = "value"` of a TOML file."""
    return re.search(rf'^{name} = "(.+)"$', read(path), re.MULTILINE)[1]


def compiler_version_is_the_same_in_every_file():
    minor, channel = setting("Cargo.toml", "rust-version"), setting("rust-toolchain.toml", "channel")
    assert channel.startswith(f"{minor}."), f"rust-toolchain.toml has {channel}, Cargo.toml {minor}"
    for path, pattern in COMPILER_IMAGES.items():
        named = re.findall(pattern, read(path), re.MULTILINE)
        assert named and set(named) == {minor}, f"{path} has {named}, Cargo.toml {minor}"
    print("ok the compiler's version is the same in every file", flush=True)


def changelog_begins_with_unreleased_and_the_current_release():
    changelog = read("CHANGELOG.md")
    headings = re.findall(r"^## .*$", changelog, re.MULTILINE)
    assert headings[0] == "## [Unreleased]", headings
    releases = RELEASE.findall(changelog)
    assert len(releases) == len(headings) - 1, f"a heading is no release: {headings}"
    version = setting("Cargo.toml", "version")
    assert releases[0] == version, f"CHANGELOG.md has {releases[0]}, Cargo.toml {version}"
    ordered = sorted(releases, key=lambda release: [int(part) for part in release.split(".")], reverse=True)
    assert releases == ordered, f"the newest release stands first: {releases}"
    print("ok the changelog has the release of Cargo.toml", flush=True)


def image_is_built_from_every_manifest():
    manifests = {str(path.relative_to(ROOT)) for path in (*ROOT.glob("*/Cargo.toml"), *ROOT.glob("crates/*/Cargo.toml"))}
    copied = set(re.findall(r"^COPY (\S+/Cargo\.toml) ", read("deploy/Dockerfile"), re.MULTILINE))
    assert copied == manifests, f"deploy/Dockerfile and the workspace differ in {copied ^ manifests}"
    print(f"ok the image is built from all {len(manifests)} manifests", flush=True)


def main():
    compiler_version_is_the_same_in_every_file()
    changelog_begins_with_unreleased_and_the_current_release()
    image_is_built_from_every_manifest()


if __name__ == "__main__":
    main()
