#!/usr/bin/env bash
# Runs the end-to-end tests against the built binary: all of them, or those
# named. Each has a server of its own.
#
#   e2e/run.sh [NAME…]
#
# OPENMAIL_BIN: the binary (otherwise it is built). JOBS: how many tests run at
# a time (3). KEEP: keep the folders of the tests.

set -euo pipefail

E2E=$(cd "$(dirname "$0")" && pwd)
[ -z "${OPENMAIL_BIN:-}" ] || OPENMAIL_BIN=$(realpath "$OPENMAIL_BIN")
cd "$E2E"

LIMIT=300 # seconds that a test may take, on a busy machine
JOBS=${JOBS:-3}

# need COMMAND PACKAGE notes what is missing.
need() { command -v "$1" >/dev/null || missing+=("$2"); }

missing=()
need curl curl
need jq jq
need go golang
need node 'nodejs (20 or later)'
need npm npm
need sqlite3 sqlite3
need strace strace
need openssl openssl
need swaks swaks
need smtp-source postfix
need nginx nginx
need chromium chromium
need pdftotext poppler-utils
need tesseract tesseract-ocr
need pgrep procps
need ip iproute2
need unshare util-linux
/usr/bin/python3 -c 'import dkim, nacl.signing' 2>/dev/null || missing+=(python3-dkim python3-nacl)
/usr/bin/python3 -c 'import dns.message' 2>/dev/null || missing+=(python3-dnspython)
/usr/bin/python3 -c 'import websockets' 2>/dev/null || missing+=(python3-websockets)
/usr/bin/python3 -c 'import aiohttp' 2>/dev/null || missing+=(python3-aiohttp)
perl -MNet::SSLeay -e 1 2>/dev/null || missing+=(libnet-ssleay-perl)
if [ ${#missing[@]} -gt 0 ]; then
  printf 'missing: %s\n' "${missing[@]}" >&2
  exit 1
fi

if [ -z "${OPENMAIL_BIN:-}" ]; then
  (cd .. && go build -o bin/openmail ./cmd/openmail)
  OPENMAIL_BIN=$(cd .. && pwd)/bin/openmail
fi
export OPENMAIL_BIN
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --silent --no-audit --no-fund
fi

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in test-*.sh; do
    name=${file#test-}
    names+=("${name%.sh}")
  done
fi
for name in "${names[@]}"; do
  [ -f "test-$name.sh" ] || { echo "there is no test $name" >&2; exit 1; }
done

logs=$(mktemp -d "${TMPDIR:-/tmp}/openmail-e2e-logs.XXXXXX")
trap 'rm -rf "$logs"' EXIT

# run_one runs a test and tells in one line how it ended; of one that failed
# also the last lines that it wrote.
run_one() {
  local name=$1 start=$SECONDS status=0
  timeout -k 20 "$LIMIT" bash "test-$name.sh" >"$logs/$name" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    echo "ok    $name ($((SECONDS - start)) s)"
    return
  fi
  touch "$logs/failed-$name"
  [ "$status" -ne 124 ] || echo "took longer than $LIMIT s" >>"$logs/$name"
  printf 'FAIL  %s (%d s)\n%s\n' "$name" "$((SECONDS - start))" "$(tail -25 "$logs/$name" | sed 's/^/      /')"
}

running=0
for name in "${names[@]}"; do
  if [ "$running" -ge "$JOBS" ]; then
    wait -n
    running=$((running - 1))
  fi
  run_one "$name" &
  running=$((running + 1))
done
wait

failed=$(find "$logs" -name 'failed-*' | wc -l)
echo "$((${#names[@]} - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
