#!/usr/bin/env bash
# Tries as many schedules as SEEDS says (10,000) of what can happen between the
# store, the dispatcher and the sockets, from SEED (1) on, shared out over the
# CPUs; the first 200 of each share twice, to see that a seed repeats. A seed that
# fails prints what happened:
#
#   SEED=4711 SEEDS=1 ./bench/prove-sim.sh -trace
set -euo pipefail
cd "$(dirname "$0")/../internal/dispatch"

SEEDS=${SEEDS:-10000} SEED=${SEED:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/simulation" .

load() { [ ! -r /proc/loadavg ] || printf 'load average %s: %s\n' "$1" "$(cut -d' ' -f1-3 /proc/loadavg)"; }
load before
began=$(date +%s)
shares=$(getconf _NPROCESSORS_ONLN)
[ "$SEEDS" -ge "$((shares * 100))" ] || shares=1
pids=()
for ((i = 0; i < shares; i++)); do
  from=$((SEED + SEEDS * i / shares)) to=$((SEED + SEEDS * (i + 1) / shares))
  GODEBUG=asyncpreemptoff=1 "$work/simulation" -test.v -test.timeout 2h -test.run '^TestNoScheduleLosesAnEvent$' \
    -seed "$from" -seeds "$((to - from))" -twice 200 "$@" >"$work/$i" &
  pids+=($!)
done
status=0
for i in "${!pids[@]}"; do
  wait "${pids[$i]}" || status=1
  grep -v -e '^=== ' -e '^    --- PASS' "$work/$i"
done
echo "$SEEDS seeds in $(($(date +%s) - began)) s"
load after
exit $status
