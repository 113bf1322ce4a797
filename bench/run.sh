#!/bin/sh
# Every proof one after the other. OUT=file gets a line of JSON for each figure.
set -eu
cd "$(dirname "$0")/.."
go build -o bin/bench ./bench
exec bin/bench all "$@"
