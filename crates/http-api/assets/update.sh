#!/bin/sh
# Fetches the documentation pages' libraries from npm and keeps what /docs and /redoc need, gzipped, beside this script.
#
# Versions and checksums are pinned here. To move to newer ones, put in what these print and run this again:
#   npm view swagger-ui-dist version dist.integrity
#   npm view redoc@2 version dist.integrity
# SHA256SUMS names the uncompressed files: a test holds what the binary embeds against it.
set -eu

swagger_ui=5.35.0
swagger_ui_integrity=sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==
redoc=2.5.4
redoc_integrity=sha512-M6jWhG1qoBnH6TFmzJnstyCZ87HmOY/UzDm78mHiYihEdlV/YcS9ogOo1NlElnJMeLsyxHFe2yFc4sNjHTrABQ==

assets=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "update.sh: $1" >&2
    exit 1
}

# fetch <package> <version> <integrity>: unpacks the package into $scratch/<package>.
fetch() {
    tarball=$scratch/$(cd "$scratch" && npm pack --silent "$1@$2")
    actual=sha512-$(openssl dgst -sha512 -binary "$tarball" | base64 | tr -d '\n')
    [ "$actual" = "$3" ] || fail "$1@$2 is $actual, but $3 is pinned"
    mkdir "$scratch/$1"
    tar -xzf "$tarball" -C "$scratch/$1" --strip-components 1
}

fetch swagger-ui-dist "$swagger_ui" "$swagger_ui_integrity"
fetch redoc "$redoc" "$redoc_integrity"

# patch <file> <text> <replacement> <how often the text must occur>; no text may hold a bar.
patch() {
    [ "$(grep -oF "$2" "$1" | wc -l)" -eq "$4" ] || fail "$(basename "$1") does not say $2 exactly $4 time(s)"
    sed -i "s|$2|$3|g" "$1"
}

# ReDoc shows its maker's logo from a CDN and has no option against it: a transparent pixel takes its place.
bundle=$scratch/redoc/bundles/redoc.standalone.js
patch "$bundle" 'https://cdn.redoc.ly/redoc/logo-mini.svg' \
    'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7' 1
# These two words stand in generated style sheets, where a translation cannot reach them.
patch "$bundle" "content: ' or " "content: ' ou " 2
patch "$bundle" "content: ' and " "content: ' e " 1

rm -rf "$assets/swagger-ui" "$assets/redoc"
mkdir "$assets/swagger-ui" "$assets/redoc"
cd "$scratch/swagger-ui-dist"
cp LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css "$assets/swagger-ui"
cd "$scratch/redoc"
cp LICENSE bundles/redoc.standalone.js bundles/redoc.standalone.js.LICENSE.txt "$assets/redoc"

cd "$assets"
chmod 644 swagger-ui/* redoc/*
sha256sum redoc/*.js swagger-ui/*.js swagger-ui/*.css >SHA256SUMS
# No name and no time in the gzip header: equal input makes an equal file.
gzip -9n redoc/*.js swagger-ui/*.js swagger-ui/*.css
