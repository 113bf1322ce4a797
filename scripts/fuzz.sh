#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other.
# Usage: fuzz.sh 30s
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:?how long, such as 30s}
found=0
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    found=$((found + 1))
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
  done
done
echo "$found fuzz targets, $time each: nothing found"
