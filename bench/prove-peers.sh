#!/bin/sh
# One proof of docs/proofs.md. Flags: ./bench/prove-peers.sh -h
set -eu
cd "$(dirname "$0")/.."
go build -o bin/bench ./bench
exec bin/bench peers "$@"
