#!/bin/sh
# Puts Python with everything it needs, C library included, into one directory that runs in any Linux image of
# this architecture, whatever that has or lacks. Runs while an image is built; needs Debian's python3 and patchelf.
set -eu
to=$1
python=$(readlink -f /usr/bin/python3)
version=$(basename "$python")
mkdir -p "$to/bin" "$to/lib"
cp "$python" "$to/bin/python"
cp -r "/usr/lib/$version" "$to/lib/$version"

# What a plugin never imports, with the libraries that it would bring.
cd "$to/lib/$version"
rm -rf test idlelib tkinter turtledemo lib2to3 ensurepip pydoc_data distutils config-* EXTERNALLY-MANAGED \
  sitecustomize.py site-packages dist-packages sqlite3 xmlrpc wsgiref dbm curses
cd lib-dynload
rm -f readline.* _curses* _dbm.* nis.* _tkinter.* ossaudiodev.* _sqlite3.* audioop.* xx* _test* _ctypes_test.*
find "$to" -name __pycache__ -prune -exec rm -rf {} +

# What the loader finds for the interpreter and for every extension module.
find "$to" -name '*.so*' -exec ldd {} + -o -path "$to/bin/python" -exec ldd {} + |
  awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib/ { print $3 } $1 ~ /^\/.*ld-/ { print $1 }' | sort -u |
  while read -r library; do cp -L "$library" "$to/lib/"; done
loader=$(basename "$(patchelf --print-interpreter "$python")")
patchelf --set-interpreter "$to/lib/$loader" "$to/bin/python"
# RPATH, not RUNPATH: it holds for the libraries of libraries, too.
patchelf --force-rpath --set-rpath "$to/lib" "$to/bin/python"
