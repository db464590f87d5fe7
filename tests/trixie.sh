#!/usr/bin/env bash
# Unpacks packages of a Debian newer than the oldest that the tests run on, for programs that it has too old. Nothing is
# installed.
#
#   trixie.sh DIRECTORY PACKAGE...
#
# Does nothing if DIRECTORY has these packages already. With SUITE the packages are those of that one instead of trixie.
set -euo pipefail

suite=${SUITE:-trixie}
directory=$1
shift
[[ $(cat "$directory/.packages" 2>/dev/null) != "$*" ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2016 # apt-get expands it.
mirror=$(apt-get indextargets --format '$(SITE)' | sed -n 1p)
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/debs"
echo "deb $mirror $suite main" >"$work/sources.list"
options=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >/dev/null
cd "$work/debs"
apt-get "${options[@]}" download "${@/%//$suite}" >/dev/null
cd "$OLDPWD"
rm -rf "$directory"
mkdir -p "$directory"
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$directory"; done
echo "$*" >"$directory/.packages"
