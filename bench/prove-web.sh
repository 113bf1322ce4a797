#!/bin/sh
# One proof of docs/proofs.md. Flags: ./bench/prove-web.sh -h
# It makes networks, in a namespace that has no way out and ends with it.
set -eu
cd "$(dirname "$0")/.."
go build -o bin/bench ./bench
exec unshare --net --mount bin/bench web "$@"
