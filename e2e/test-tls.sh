# TLS with the certificate in files, which another program renews, and with one
# that pebble, Let's Encrypt's own CA for tests, gives after it has looked at the
# ports of the server. Clients check the certificate.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

NAME=mx.ours.example

# certificate NAME FILE SAN: a self-signed certificate and its key, both in FILE.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
    -addext "subjectAltName=$3" -keyout "$2.key" -out "$2.crt" 2>/dev/null
  cat "$2.key" "$2.crt" >"$2.tmp"
  mv "$2.tmp" "$2"
}

# secure_port: where HTTPS listens.
secure_port() { jq -r '.https // empty' "$DATA/addresses.json" | sed 's/.*://'; }

# secure ROOTS PATH [FLAG…] asks over HTTPS, and checks the certificate.
secure() {
  local roots=$1 path=$2
  shift 2
  curl -sS --fail-with-body --cacert "$roots" --connect-to "$NAME:$HTTPS_PORT:127.0.0.1:$HTTPS_PORT" \
    -H "Authorization: Bearer $KEY" "$@" "https://$NAME:$HTTPS_PORT$path"
}

# starttls ROOTS [FLAG…]: STARTTLS with the certificate checked for the name.
starttls() {
  local roots=$1
  shift
  openssl s_client -connect "$SMTP" -starttls smtp -CAfile "$roots" -verify_return_error -verify_hostname "$NAME" \
    "$@" </dev/null >"$WORK/starttls" 2>&1 && grep -q 'Verification: OK' "$WORK/starttls"
}

# speaks ROOTS: everything works that a client with these roots wants.
speaks() {
  local roots=$1 subject
  secure "$roots" /v1/inboxes | jq -e '.data | length > 0' >/dev/null
  starttls "$roots" -servername "$NAME"
  starttls "$roots" -noservername # as most mail servers come
  NODE_EXTRA_CA_CERTS=$roots background node "$E2E/tools/listen.js" "wss://$NAME:$HTTPS_PORT/v1/ws" "$KEY" '{}' 127.0.0.1 >"$WORK/stream"
  LISTENER=$!
  wait_for "the listener over TLS" sockets 1
  subject="over TLS $(unique)"
  swaks --server "$SMTP" --tls --tls-verify --tls-ca-path "$roots" --tls-sni "$NAME" --from a@example.com --to "$ADDRESS" \
    --header "Subject: $subject" >"$WORK/swaks" || fail "$(cat "$WORK/swaks")"
  wait_for "the event over TLS" has "$WORK/stream" "$subject"
  stop_listener
}

# With files.
certificate "$NAME" "$WORK/one" "DNS:$NAME"
start_server --domain "$NAME" --https 127.0.0.1:0 --tls-cert "$WORK/one" --tls-key "$WORK/one"
HTTPS_PORT=$(secure_port)
new_inbox
speaks "$WORK/one.crt"
if secure /etc/ssl/certs/ca-certificates.crt /health 2>/dev/null; then fail "somebody vouches for it"; fi
cp "$WORK/one.crt" "$WORK/old.crt"
certificate "$NAME" "$WORK/one" "DNS:$NAME" # a renewal

# The plain port, while that is noticed: this machine is served, what a proxy
# here passes on from elsewhere is not, nor sent on with a key.
want 200 GET /v1/me
want 403 GET /v1/me '' -H 'X-Forwarded-For: 192.0.2.7'
holds '.error == "https_required"'
want 403 POST /v1/inboxes '{}' -H 'X-Forwarded-For: 192.0.2.7'
STATUS=$(curl -sS -o "$WORK/body" -w '%{http_code} %{redirect_url}' -H 'X-Forwarded-For: 192.0.2.7' "$BASE/openapi.json")
[ "$STATUS" = "308 https://$NAME:$HTTPS_PORT/openapi.json" ] || fail "redirected: $STATUS"
STATUS=$(curl -sS -o "$WORK/body" -w '%{http_code}%{redirect_url}' -H 'X-Forwarded-For: 192.0.2.7' "$BASE/v1/ws?token=$KEY")
[ "$STATUS" = 403 ] || fail "a key in the query: $STATUS"
if has "$WORK/body" "$KEY"; then fail "the answer holds the key"; fi
STATUS=$(curl -sS -o /dev/null -w '%{http_code}' -H 'X-Forwarded-For: 192.0.2.7' "$BASE/health")
[ "$STATUS" = 200 ] || fail "health: $STATUS"

wait_for "the new files" has "$SERVER_LOG" certificate.loaded
speaks "$WORK/one.crt"
if starttls "$WORK/old.crt"; then fail "the old certificate is still served"; fi
stop_server

# With a CA.
(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/pebble" github.com/letsencrypt/pebble/v2/cmd/pebble)
free_port() { node -e 's=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
CA_PORT=$(free_port) ROOT_PORT=$(free_port)
certificate 127.0.0.1 "$WORK/ca" "IP:127.0.0.1"
jq -n --arg at "127.0.0.1:$CA_PORT" --arg roots "127.0.0.1:$ROOT_PORT" --arg file "$WORK/ca" --argjson http "${HTTP_ADDR##*:}" --argjson https "$HTTPS_PORT" \
  '{pebble: {listenAddress: $at, managementListenAddress: $roots, certificate: ($file + ".crt"), privateKey: ($file + ".key"), httpPort: $http, tlsPort: $https, keyAlgorithm: "ecdsa"}}' >"$WORK/pebble.json"
background node "$E2E/tools/dns.js" "$WORK/dns"
wait_for "the name server" test -s "$WORK/dns"

# Nobody is there yet: the server starts, and mail flows.
export OPENMAIL_ACME_DIRECTORY=https://127.0.0.1:$CA_PORT/dir OPENMAIL_ACME_ROOTS=$WORK/ca.crt OPENMAIL_ACME_EMAIL=operator@ours.example
with_acme=(--domain "$NAME" --https "127.0.0.1:$HTTPS_PORT" --acme on)
: >"$SERVER_LOG"
start_server "${with_acme[@]}"
wait_for "the failure" has "$SERVER_LOG" certificate.trouble
mail "$ADDRESS" "without a CA"
starttls "$DATA/smtp-tls.pem"
if has "$SERVER_LOG" operator@; then fail "the log holds the operator's address"; fi
stop_server

PEBBLE_VA_NOSLEEP=1 background "$WORK/pebble" -config "$WORK/pebble.json" -dnsserver "$(cat "$WORK/dns")" >"$WORK/pebble.log"
wait_for "pebble" curl -sSk -o "$WORK/root.crt" "https://127.0.0.1:$ROOT_PORT/roots/0"
: >"$SERVER_LOG"
start_server "${with_acme[@]}"
wait_for "the certificate" has "$SERVER_LOG" certificate.obtained
wait_for "its use" secure "$WORK/root.crt" /health
speaks "$WORK/root.crt"
secure "$WORK/root.crt" /metrics >"$WORK/body"
has "$WORK/body" "openmail_certificate_expires_seconds.name=.$NAME.,source=.acme."
stop_server
if has "$SERVER_LOG" 'PRIVATE|operator@'; then fail "the log holds a secret"; fi
[ -z "$(find "$DATA/acme" -perm /077)" ] || fail "others can read $(find "$DATA/acme" -perm /077)"

# The next start asks nobody, and has it from the first moment.
orders=$(grep -c 'POST /order-plz' "$WORK/pebble.log")
start_server "${with_acme[@]}"
secure "$WORK/root.crt" /health >"$WORK/body"
starttls "$WORK/root.crt" -noservername
stop_server
[ "$(grep -c 'POST /order-plz' "$WORK/pebble.log")" = "$orders" ] || fail "it ordered another one"

# Names that no CA gives anything for end the start, in words.
if "$OPENMAIL" serve --data "$WORK/other" --acme on >"$WORK/refused" 2>&1; then fail "it started"; fi
has "$WORK/refused" 'openmail.localhost is a name of this machine only' || fail "$(cat "$WORK/refused")"
