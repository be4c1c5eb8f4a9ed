#!/bin/sh
# Compile lock.in into lock.txt, one set of versions for Python 3.10 to 3.12.
#
# Left out are the CUDA libraries and triton, which torch itself pins and its CPU build does without, the opencv
# build that needs a window system, and a backport of typing that cityscapesscripts still asks for.
set -eu
cd "$(dirname "$0")"
constraints=$(mktemp)
compiled=$(mktemp)
trap 'rm -f "$constraints" "$compiled"' EXIT
echo 'setuptools<82' >"$constraints"
uv pip compile --universal --python-version 3.10 --fork-strategy fewest --build-constraints "$constraints" \
    --no-header --no-annotate --quiet lock.in --output-file "$compiled"
grep -vE '^(nvidia-|triton=|opencv-python=|typing=)' "$compiled" >lock.txt.part
mv lock.txt.part lock.txt
