#!/bin/sh
# Fetches the program of Claude Code for this machine from npm's registry, and checks it: a version that
# `checksums` names against that, any other one against what the registry says. Runs while an image is built.
#
#   fetch.sh VERSION FILE
set -eu
version=$1 to=$2
here=$(dirname "$0")
registry=https://registry.npmjs.org/@anthropic-ai
fail() { echo "E: $*" >&2; exit 1; }

case $(uname -m) in
  x86_64) platform=linux-x64 ;;
  aarch64) platform=linux-arm64 ;;
  *) fail "There is no Claude Code for $(uname -m)." ;;
esac
name=claude-code-$platform

wanted=$(awk -v version="$version" -v platform="$platform" '$1 == version && $2 == platform { print $3 }' "$here/checksums")
if [ -z "$wanted" ]; then
  about=$(curl -fsSL --retry 3 "$registry/$name/$version") || fail "npm's registry has no $name of version $version."
  wanted=$(printf '%s' "$about" | sed -n 's/.*"integrity": *"sha512-\([^"]*\)".*/\1/p')
fi
curl -fsSL --retry 3 -o "$to.tgz" "$registry/$name/-/$name-$version.tgz" ||
  fail "$name $version cannot be fetched from npm's registry."
found=$(openssl dgst -sha512 -binary "$to.tgz" | base64 -w0)
[ "$found" = "$wanted" ] || fail "$name $version is not what was published: its sha512 is $found."
tar -xzOf "$to.tgz" package/claude >"$to"
chmod 755 "$to"
rm "$to.tgz"
