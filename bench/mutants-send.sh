#!/bin/sh
# Breaks the program on purpose, one patch of bench/mutants at a time, and
# demands that prove-send finds what the patch says. A name runs one of them:
#
#   bench/mutants-send.sh [NAME…]
set -eu
cd "$(dirname "$0")/.."
go build -o bin/bench ./bench
work=$(mktemp -d bin/mutants.XXXXXX)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- $(ls bench/mutants | sed 's/\.patch$//')
status=0
for name; do
  patch=bench/mutants/$name.patch
  want=$(sed -n 's/^Expect: //p' "$patch")
  rm -rf "$work/src"
  mkdir "$work/src"
  git ls-files -z -- '*.go' go.mod go.sum 'internal/*' 'api/*' | xargs -0 cp --parents -t "$work/src"
  patch -s -p1 -d "$work/src" <"$patch"
  (cd "$work/src" && go build -buildvcs=false -o ../openmail ./cmd/openmail)
  if bin/bench send -short -seed 1 -binary "$work/openmail" >"$work/out" 2>&1; then
    echo "NOT FOUND  $name"
    status=1
  elif ! grep -F "$want" "$work/out" | grep -q MISSED; then
    echo "FOUND AS SOMETHING ELSE  $name, not \"$want\""
    tail -40 "$work/out"
    status=1
  else
    echo "found      $name: $(grep MISSED "$work/out" | sed 's/  */ /g; s/ ≤ 0 MISSED *//' | tr '\n' ';')"
  fi
done
exit $status
