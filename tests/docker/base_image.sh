#!/bin/sh
# Makes the base image that images are built from where no registry can be reached: a minimal Debian,
# by debootstrap. Takes under a minute, once; does nothing where the engine has it already. Needs root.
set -eu
tag=${1:-claude-container-base:bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

exec 9>"${TMPDIR:-/tmp}/claude-container-base.lock"
flock 9
docker image inspect "$tag" >/dev/null 2>&1 && exit 0

root=$(mktemp -d /var/tmp/claude-container-base.XXXXXX)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 1
}
# This machine's own authorities, where it reaches package registries through a proxy of its own.
if [ -d /usr/local/share/ca-certificates ]; then
  cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
fi
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["/bin/sh"]' - "$tag"
