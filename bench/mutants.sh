#!/usr/bin/env bash
# Breaks the program on purpose, one patch of bench/mutants at a time, and demands
# that the proof whose folder it lies in finds it, as what the patch says. Names
# choose: bench/mutants.sh [PROOF | PROOF/NAME]…
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
go build -o bin/bench ./bench
work=$(mktemp -d "$PWD/bin/mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Each proof, in a short form, of the source in $work/src.
server() { (cd "$work/src" && go build -buildvcs=false -o "$work/openmail" ./cmd/openmail); }
prove_send() { server && bin/bench send -short -seed 1 -binary "$work/openmail"; }
prove_kill() { server && bin/bench kill -short -seed 1 -kills 6 -binary "$work/openmail"; }
prove_power() { server && bin/bench power -short -seed 1 -binary "$work/openmail"; }
prove_disk() { server && bin/bench disk -seed 1 -binary "$work/openmail"; }
prove_peers() { server && bin/bench peers -short -seed 1 -binary "$work/openmail"; }
prove_handover() { server && bin/bench handover -short -seed 1 -binary "$work/openmail"; }
prove_stalled() { server && bin/bench stalled -runs 1 -binary "$work/openmail"; }
prove_replay() { server && bin/bench replay -binary "$work/openmail"; }
prove_web() { server && bin/bench web -short -binary "$work/openmail"; }
prove_machine() { (cd "$work/src" && go test -count=1 -run 'TestEveryReachable' ./internal/delivery); }
prove_sim() { SEEDS=600 "$work/src/bench/prove-sim.sh" -twice 0; }

[ $# -gt 0 ] || set -- $(cd bench/mutants && ls)
patches=()
for name; do
  if [ -d "bench/mutants/$name" ]; then patches+=("bench/mutants/$name"/*.patch); else patches+=("bench/mutants/$name.patch"); fi
done
status=0 found=0
for patch in "${patches[@]}"; do
  name=${patch#bench/mutants/} name=${name%.patch} proof=${patch#bench/mutants/} proof=${proof%%/*}
  want=$(sed -n 's/^Expect: //p' "$patch")
  rm -rf "$work/src" && mkdir "$work/src"
  git ls-files -z -- '*.go' go.mod go.sum 'internal/*' 'api/*' bench/prove-sim.sh | xargs -0 cp --parents -t "$work/src"
  patch -s -p1 -d "$work/src" <"$patch"
  began=$SECONDS
  if "prove_$proof" >"$work/out" 2>&1; then
    echo "NOT FOUND  $name"
    status=1
  elif ! grep -e MISSED -e WRONG -e _test.go: "$work/out" | grep -F "$want" >"$work/found"; then
    echo "FOUND AS SOMETHING ELSE  $name, not \"$want\""
    grep -e MISSED -e WRONG -e _test.go: "$work/out" | head -20 || tail -20 "$work/out"
    status=1
  else
    found=$((found + 1))
    echo "found in $((SECONDS - began)) s  $name: $(sed -n 1p "$patch")"
  fi
done
echo "$found of ${#patches[@]} ways of breaking it were found"
exit $status
