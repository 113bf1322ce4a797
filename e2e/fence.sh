# What the receipt of each WebSocket client proves, measured: a table in
# Markdown for docs/fence.md, and after it the load of the machine.
#
#   bash e2e/fence.sh [--short] [CLIENT…]
#
# --short: fewer events and shorter waits, as the tests have it. The script
# fails when a stopped client is said to have confirmed anything, and when a
# client proves less, or more, than docs/fence.md says.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

singles=20 burst=500 pause=3000 stop=5000
if [ "${1:-}" = --short ]; then
  singles=5 burst=200 pause=1000 stop=2000
  shift
fi

export OPENMAIL_LIMITS=off
start_server
new_inbox

# The clients: each is started with the URL and the event to go on after, and
# sets CLIENT to its process. STOPS lists what to stop to stop the client.

client_ws() { background node "$E2E/fence/ws.js" "$@" && CLIENT=$!; }
client_undici() { background node --experimental-websocket "$E2E/fence/undici.js" "$@" && CLIENT=$!; }
client_websockets() { background "$PYTHON" "$E2E/fence/websockets_client.py" "$@" && CLIENT=$!; }
client_aiohttp() { background "$PYTHON" "$E2E/fence/aiohttp_client.py" "$@" && CLIENT=$!; }
client_nginx() { client_ws "${1/"$HTTP_ADDR"/"127.0.0.1:$PROXY_PORT"}" "$2"; }

client_chromium() {
  rm -f "$WORK/page"
  background node "$E2E/fence/page.js" "$@" "$WORK/page"
  wait_for "the page" test -s "$WORK/page"
  background chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$(mktemp -d "$WORK/chromium.XXXXXX")" "$(cat "$WORK/page")" >"$WORK/chromium.log" 2>&1
  CLIENT=$!
}

start_proxy() {
  PROXY_PORT=$("$PYTHON" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  mkdir -p "$WORK/nginx"
  sed "s#FOLDER#$WORK/nginx#; s#PORT#$PROXY_PORT#; s#BACKEND#$HTTP_ADDR#" "$E2E/fence/nginx.conf" >"$WORK/nginx/nginx.conf"
  background nginx -p "$WORK/nginx" -c "$WORK/nginx/nginx.conf" -e "$WORK/nginx/error.log"
  wait_for "nginx" curl -sS "http://127.0.0.1:$PROXY_PORT/health"
}

version() {
  case $1 in
    ws) echo "Node ws $(node -p 'require("ws/package.json").version'), Node $(node -p process.versions.node)" ;;
    undici) echo "WebSocket of Node $(node -p process.versions.node) (undici $(node -p process.versions.undici))" ;;
    websockets) echo "Python websockets $("$PYTHON" -c 'import websockets; print(websockets.__version__)')" ;;
    aiohttp) echo "Python aiohttp $("$PYTHON" -c 'import aiohttp; print(aiohttp.__version__)')" ;;
    chromium) echo "$(chromium --version 2>/dev/null | cut -d' ' -f1,2), headless" ;;
    nginx) echo "Node ws behind $(nginx -v 2>&1 | sed 's/.*: //')" ;;
  esac
}

# family PID lists a process and all that descend from it.
family() {
  local pid
  echo "$1"
  for pid in $(pgrep -P "$1" || true); do family "$pid"; done
}

# renderers lists the processes of the browser in which pages run.
renderers() {
  local pid
  for pid in $(family "$CLIENT"); do
    if grep -qa -- --type=renderer "/proc/$pid/cmdline"; then echo "$pid"; fi
  done
}

start_client() {
  "client_$1" "$STREAM?token=$KEY" "${2:-}"
  wait_for "$1 to subscribe" sockets 1
}

stop_client() {
  kill $(family "$CLIENT") 2>/dev/null || true
  wait_for "the socket to go" sockets 0
}

took() {
  want 200 GET "/v1/events/$1/attempts"
  field '.data[-1].tookMs'
}

# receipts prints how many there were, and their times' sum in seconds.
receipts() {
  curl -sS "$BASE/metrics" | awk '/^openmail_receipt_seconds_count/ { n = $2 } /^openmail_receipt_seconds_sum/ { s = $2 } END { print n, s }'
}

# mean BEFORE AFTER is the mean between two of those, in milliseconds.
mean() { awk '{ printf "%.2f", ($4 - $2) / ($3 - $1) * 1000 }' <<<"$1 $2"; }

# one SUBJECT sends a mail: EVENT.
one() {
  mail "$ADDRESS" "$1"
  newest_event
}

measure_singles() {
  local n before most=0 ms
  one "warm up"
  wait_for "the receipt" event_state "$EVENT" delivered
  before=$(receipts)
  for n in $(seq "$singles"); do
    one "single $n"
    wait_for "the receipt" event_state "$EVENT" delivered
    ms=$(took "$EVENT")
    [ "$ms" -le "$most" ] || most=$ms
  done
  SINGLES="$(mean "$before" "$(receipts)") / $((most + 1))"
}

unconfirmed() {
  call GET '/v1/events?limit=1&state=failed'
  [ "$(field '.data | length')" = 0 ] || return 0
  call GET '/v1/events?limit=1&state=armed'
  [ "$(field '.data | length')" != 0 ]
}
confirmed() { ! unconfirmed; }

# measure_burst NAME lets the client replay what came while it was not there.
measure_burst() {
  local before after
  newest_event
  stop_client
  smtp-source -s 4 -m "$burst" -l 1000 -f load@example.com -t "$ADDRESS" "inet:$SMTP"
  before=$(receipts)
  start_client "$1" "$EVENT"
  wait_for "all receipts" confirmed
  after=$(receipts)
  [ "$((${after% *} - ${before% *}))" = "$burst" ] || fail "$1: ${after% *} - ${before% *} receipts of $burst"
  BURST="all; $(mean "$before" "$after")"
}

# measure_handler SUBJECT sets HANDLER to when the receipt came, in milliseconds.
measure_handler() {
  one "$1 $pause"
  wait_for "the receipt" event_state "$EVENT" delivered
  HANDLER=$(took "$EVENT")
  # A receipt that came before the handler was done says nothing of its end.
  [ "$HANDLER" -ge $((pause * 9 / 10)) ] || sleep "$((pause / 1000))"
}

# measure_stopped PID… stops processes: STOPPED is "none" when no receipt came.
measure_stopped() {
  kill -STOP "$@"
  one "stopped"
  sleep "$((stop / 1000))" # what is measured is that nothing happens
  call GET "/v1/events/$EVENT"
  STOPPED=none
  if [ "$(field .state)" = armed ]; then
    call GET /v1/sockets
    holds '.data[0].unconfirmed == 1'
  else
    STOPPED="after $(took "$EVENT") ms"
  fi
  kill -CONT "$@"
  wait_for "the receipt after it went on" event_state "$EVENT" delivered
}

# measure_page_stopped stops the browser's page, not the browser: PAGE is how
# many of a burst of mails of 1,000 bytes got a receipt all the same.
measure_page_stopped() {
  local pids count
  pids=$(renderers)
  kill -STOP $pids
  smtp-source -s 4 -m "$burst" -l 1000 -f load@example.com -t "$ADDRESS" "inet:$SMTP"
  sleep "$((stop / 1000))"
  call GET /v1/sockets
  count=$((burst - $(field '.data[0] | .unconfirmed + .behind')))
  kill -CONT $pids
  wait_for "all receipts" confirmed
  PAGE="; with only the page's process stopped: for $count of $burst"
}

# withheld MS says whether a receipt waited for a handler of $pause ms.
withheld() {
  if [ "$1" -ge $((pause * 9 / 10)) ]; then echo "yes ($1 ms)"; else echo "no ($1 ms)"; fi
}

# expect NAME WHAT YES-OR-NO CELL compares with what docs/fence.md says.
expect() {
  [ "${4%% *}" = "$3" ] || fail "$1: $2: $4, and not $3"
}

measure() {
  local name=$1 block await PAGE=""
  start_client "$name"
  measure_singles
  measure_burst "$name"
  measure_handler block
  block=$(withheld "$HANDLER")
  measure_handler await
  await=$(withheld "$HANDLER")
  [ "$name" != chromium ] || measure_page_stopped
  measure_stopped $(family "$CLIENT")
  echo "| $(version "$name") | $SINGLES | $BURST | $block | $await | $STOPPED$PAGE |"
  case $name in
    ws | undici | nginx) expect "$name" "a handler that blocks" yes "$block" && expect "$name" "one that awaits" no "$await" ;;
    aiohttp) expect "$name" "a handler that blocks" yes "$block" && expect "$name" "one that awaits" yes "$await" ;;
    websockets | chromium) expect "$name" "a handler that blocks" no "$block" && expect "$name" "one that awaits" no "$await" ;;
  esac
  [ "$STOPPED" = none ] || fail "$name confirmed while it was stopped: $STOPPED"
  stop_client
}

clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(ws undici websockets aiohttp chromium nginx)
load=$(cut -d' ' -f1 /proc/loadavg)
echo "| Client | $singles single events: mean / at most, ms | $burst at once: confirmed; mean ms | Withheld while its handler blocks the thread ${pause} ms | while its handler awaits ${pause} ms | Receipt while stopped for $stop ms |"
echo "|---|---|---|---|---|---|"
for name in "${clients[@]}"; do
  [ "$name" != nginx ] || start_proxy
  measure "$name"
done
echo
echo "Load average of the machine before and after: $load, $(cut -d' ' -f1 /proc/loadavg), with $(nproc) processors."
