# A small internet of its own: two OpenMail servers, Postfix, and a mail server
# that knows no TLS, each in a network namespace with its own address and port
# 25, and a name server between them. It is all within one set of namespaces that
# ends with this script, however that ends, and has no way out.
if [ -z "${MAIL_WORLD:-}" ]; then
  if ! refusal=$(unshare --net --mount --pid --fork true 2>&1); then
    echo "this test makes network namespaces, for which it has to be root with CAP_SYS_ADMIN and CAP_NET_ADMIN: $refusal" >&2
    exit 1
  fi
  exec unshare --net --mount --pid --fork --kill-child --mount-proc env MAIL_WORLD=1 bash "$0"
fi
. "$(dirname "$0")/lib.sh"

WORLD=$E2E/world
HUB=10.77.0.1 ALPHA=10.77.0.11 BETA=10.77.0.12 GAMMA=10.77.0.13 PLAIN=10.77.0.14
RECORDS=$WORK/records
chmod 755 "$WORK" # Postfix's programs have users of their own

# place NAME ADDRESS is a namespace on the bridge.
place() {
  ip netns add "$1"
  ip link add "to-$1" type veth peer name eth0 netns "$1"
  ip link set "to-$1" master bridge up
  ip -n "$1" addr add "$2/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" link set lo up
  printf '#!/bin/sh\nexec ip netns exec %s "%s" "$@"\n' "$1" "$OPENMAIL" >"$WORK/openmail-$1"
  chmod +x "$WORK/openmail-$1"
}

mkdir -p /run/netns
mount -t tmpfs none /run/netns # the names of the places are for this script alone
ip link set lo up
ip link add bridge type bridge
ip addr add "$HUB/24" dev bridge
ip link set bridge up
place alpha "$ALPHA"
place beta "$BETA"
place gamma "$GAMMA"
place plain "$PLAIN"
[ -z "$(ip route show default)" ] || fail "there is a way out"

# Names.
cat >"$RECORDS" <<LIST
alpha.example MX 10 mx.alpha.example.
mx.alpha.example A $ALPHA
beta.example MX 10 mx.beta.example.
mx.beta.example A $BETA
gamma.example MX 10 mx.gamma.example.
mx.gamma.example A $GAMMA
_mta-sts.gamma.example TXT "v=STSv1; id=1;"
mta-sts.gamma.example A $HUB
delta.example MX 10 mx.delta.example.
mx.delta.example A $PLAIN
_25._tcp.mx.delta.example TLSA 3 1 1 $(printf '%064d' 7)
zeta.example MX 0 .
epsilon.example MX 10 mx.epsilon.example.
mx.epsilon.example A $PLAIN
_mta-sts.epsilon.example TXT "v=STSv1; id=1;"
mta-sts.epsilon.example A $HUB
LIST
printf 'nameserver %s\n' "$HUB" >"$WORK/resolv.conf"
mount --bind "$WORK/resolv.conf" /etc/resolv.conf
background "$PYTHON" "$WORLD/names.py" "$RECORDS" "$HUB"

# A CA that only this world believes, and the policies that its certificates protect.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=CA of the world" \
  -keyout "$WORK/ca.key" -out "$WORK/ca.crt" 2>/dev/null
# certificate FILE NAME…: a key and a certificate for these names.
certificate() {
  local file=$1
  shift
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" \
    -addext "subjectAltName=$(printf ',DNS:%s' "$@" | cut -c2-)" -addext basicConstraints=critical,CA:FALSE -keyout "$file.key" -out "$file.crt" 2>/dev/null
  cat "$file.key" "$file.crt" >"$file"
}
mkdir "$WORK/policies"
for domain in gamma epsilon; do
  printf 'version: STSv1\r\nmode: enforce\r\nmx: mx.%s.example\r\nmax_age: 86400\r\n' "$domain" >"$WORK/policies/$domain.example"
done
certificate "$WORK/policies.pem" mta-sts.gamma.example mta-sts.epsilon.example
background "$PYTHON" "$WORLD/policies.py" "$WORK/policies" "$WORK/policies.pem" "$HUB" 2>"$WORK/policies.log"
background ip netns exec plain "$PYTHON" "$WORLD/plain.py" "$WORK/plain" "$PLAIN"

# Postfix.
POSTFIX=$WORK/postfix
mkdir -p "$POSTFIX"/{spool,data,mail/carol/{cur,new,tmp},mail/later/{cur,new,tmp}}
sed "s#FOLDER#$POSTFIX#; s#ADDRESS#$GAMMA#; s#UID#$(id -u nobody)#; s#GID#$(id -g nobody)#" "$WORLD/main.cf" >"$POSTFIX/main.cf"
cp "$WORLD/master.cf" "$POSTFIX"
certificate "$POSTFIX/tls.pem" mx.gamma.example
echo 'later@gamma.example 450 4.2.0 Come back in a minute' >"$POSTFIX/access"
chown -R nobody "$POSTFIX/mail"
chown postfix "$POSTFIX/data"
background ip netns exec gamma postfix -c "$POSTFIX" start-fg >"$WORK/postfix.out" 2>&1
wait_for "Postfix" curl -s "smtp://$GAMMA" -X QUIT

# The OpenMail servers.
declare -A BASES KEYS STREAMS
# serve NAME ADDRESS [FLAG…] starts a server, or starts it again; at NAME speaks
# to it.
serve() {
  local name=$1 address=$2
  shift 2
  DATA=$WORK/$name HTTP_ADDR=$address:8080 SMTP_ADDR=$address:25 SERVER_LOG=$WORK/$name.log
  OPENMAIL=$WORK/openmail-$name OPENMAIL_LIMITS=off OPENMAIL_SMTP_DNS=$HUB:53 OPENMAIL_SMTP_ALLOW=10.77.0.0/24 \
    OPENMAIL_WEBHOOK_ALLOW=10.77.0.0/24 SSL_CERT_FILE=$WORK/ca.crt start_server --domain "$name.example" --hostname "mx.$name.example" "$@"
  BASES[$name]=$BASE KEYS[$name]=$KEY STREAMS[$name]=$STREAM
}
at() { BASE=${BASES[$1]} KEY=${KEYS[$1]} STREAM=${STREAMS[$1]}; }

# publish NAME: the keys that the server signs with, in strings of 255 bytes.
publish() {
  jq -r '.dkim[] | [.Name, .Type, (.Value | [scan(".{1,255}")] | map("\"" + . + "\"") | join(" "))] | join(" ")' "$WORK/$1/server.json" >>"$RECORDS"
}

serve alpha "$ALPHA"
ALPHA_PID=$SERVER_PID
serve beta "$BETA"
publish alpha
publish beta
# Beta's key is in a TLSA record, too.
PRINT=$(openssl s_client -connect "$BETA:25" -starttls smtp -servername mx.beta.example </dev/null 2>/dev/null |
  openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
echo "_25._tcp.mx.beta.example TLSA 3 1 1 $PRINT" >>"$RECORDS"

# total INBOX N: the inbox has that many messages.
total() {
  call GET "/v1/inboxes/$1/messages?limit=100"
  [ "$(field .total)" = "$2" ]
}

# became MESSAGE FILTER: the filter is true of its first delivery.
became() {
  call GET "/v1/messages/$1"
  jq -e ".deliveries[0] | $2" <<<"$BODY" >/dev/null
}

# send INBOX TO SUBJECT sends a mail: MESSAGE, THREAD.
send() {
  want 200 POST "/v1/inboxes/$1/send" "$(jq -nc --arg to "$2" --arg subject "$3" '{to: $to, subject: $subject, body: "A line."}')"
  MESSAGE=$(field .messageId) THREAD=$(field .threadId)
}

at beta
new_inbox bob
bob=$INBOX
start_listener
at alpha
new_inbox ann
ann=$INBOX

# Who says *later* is asked again in a minute; the rest goes on meanwhile.
send "$ann" later@gamma.example "Later"
LATER=$MESSAGE
wait_for "the deferral" became "$LATER" '.attempts == 1 and .lastAnswer != "" and .nextAttemptAt != null'
holds '.status == "pending" and (.deliveries[0] | .state == "pending" and .code == 450 and .enhancedCode == "4.2.0" and (.lastAnswer | test("Come back in a minute")))'

# A conversation between two servers: an event, and one thread on each side.
send "$ann" bob@beta.example "Lunch?"
CONVERSATION=$THREAD
wait_for "the event at beta" has "$WORK/stream" '"subject":"Lunch[?]"'
wait_for "the delivery" became "$MESSAGE" '.state == "sent" and .tls == "dane" and (.server | test("mx.beta.example"))'
at beta
want 200 GET "/v1/inboxes/$bob/messages"
RECEIVED=$(field '.data[0].id') REPLY_IN=$(field '.data[0].threadId')
me=beta inbox=$bob to=ann@alpha.example
for n in 2 3 4 5 6 7 8 9 10; do
  at "$me"
  [ "$me" = beta ] && thread=$REPLY_IN || thread=$CONVERSATION
  want 200 POST "/v1/inboxes/$inbox/send" "{\"to\":\"$to\",\"body\":\"Mail $n\",\"threadId\":\"$thread\"}"
  reply=$(field .messageId)
  if [ "$me" = beta ]; then
    wait_for "mail $n to leave beta" became "$reply" '.state == "sent" and .tls == "opportunistic"'
    me=alpha inbox=$ann to=bob@beta.example
    at alpha
    wait_for "mail $n at alpha" total "$ann" "$((n + 1))" # and the deferred one
  else
    me=beta inbox=$bob to=ann@alpha.example
    at beta
    wait_for "mail $n at beta" total "$bob" "$n"
  fi
done
at alpha
want 200 GET "/v1/threads/$CONVERSATION/messages"
holds '(.data | length) == 10 and .subject == "Lunch?"'
want 200 GET "/v1/inboxes/$ann/threads"
holds '.total == 2'
at beta
want 200 GET "/v1/inboxes/$bob/threads"
holds '.total == 1 and .data[0].messageCount == 10'

# The signatures hold for another's verifier, with keys out of the name server.
signed() { "$PYTHON" "$WORLD/signed.py" "$@"; }
curl -sS -H "Authorization: Bearer $KEY" "$BASE/v1/messages/$RECEIVED/raw" | signed alpha.example

# A conversation with somebody at Postfix.
at alpha
new_inbox jane
jane=$INBOX
"$PYTHON" "$WORLD/person.py" "$BASE" "$KEY" "$jane" jane@alpha.example "$GAMMA" carol@gamma.example "$POSTFIX/mail/carol"
want 200 GET "/v1/inboxes/$jane/threads"
holds '.total == 1 and .data[0].messageCount == 10'
want 200 GET "/v1/inboxes/$jane/messages?direction=outbound"
holds '[.data[] | .status] | unique == ["sent"]'
became "$(field '.data[0].id')" '.tls == "mta-sts"' || fail "not by its policy: $BODY"
for mail in "$POSTFIX"/mail/carol/new/*; do signed alpha.example <"$mail"; done

# And with somebody whose address has more than ASCII (RFC 6531).
new_inbox joe
"$PYTHON" "$WORLD/person.py" "$BASE" "$KEY" "$INBOX" joe@alpha.example "$GAMMA" jürgen@gamma.example "$POSTFIX/mail/jurgen"
for mail in "$POSTFIX"/mail/jurgen/new/*; do signed alpha.example <"$mail"; done

# Whom Postfix does not know: refused, reported, suppressed.
send "$ann" nobody@gamma.example "Anybody?"
reported() {
  call GET "/v1/threads/$1/messages"
  [ "$(field '.data | length')" = 2 ]
}
wait_for "the report" reported "$THREAD"
holds '.data[0].status == "failed" and (.data[1] | .direction == "inbound" and (.fromAddr | test("MAILER-DAEMON@alpha.example")))'
became "$MESSAGE" '.state == "failed" and .code == 550 and .enhancedCode == "5.1.1" and (.lastAnswer | test("User unknown"))' || fail "$BODY"
want 200 GET '/v1/events?limit=1'
holds '.data[0].threadId == $thread' --arg thread "$THREAD"
want 422 POST "/v1/inboxes/$ann/send" '{"to":"Nobody@gamma.example","subject":"Again","body":"?"}'
holds '.error == "recipient_suppressed"'

# Domains that take no mail are told of at once.
for domain in zeta.example nowhere.example; do
  want 422 POST "/v1/inboxes/$ann/send" "{\"to\":\"x@$domain\",\"subject\":\"?\",\"body\":\"?\"}"
  holds '.error == "no_mx_records" and .field == "to"'
done

# Whom Postfix takes, and then cannot deliver: it hands the mail on to beta, who
# knows nobody of that name.
send "$ann" moved@gamma.example "Still there?"
wait_for "Postfix's report" reported "$THREAD"
holds '.data[0].status == "failed" and (.data[1] | .direction == "inbound" and (.fromAddr | test("MAILER-DAEMON@gamma.example")))'
became "$MESSAGE" '.state == "failed" and .enhancedCode == "5.1.1" and .attempts == 1' || fail "$BODY"
want 200 GET '/v1/events?limit=1'
holds '.data[0].threadId == $thread' --arg thread "$THREAD"
want 200 GET /v1/suppressions
holds '[.data[].address] | sort == ["moved@gamma.example", "nobody@gamma.example"]'

# Where TLS is demanded and not offered, nothing is told.
for domain in delta epsilon; do
  send "$ann" "eve@$domain.example" "In clear"
  wait_for "the deferral of $domain" became "$MESSAGE" '.state == "pending" and .attempts == 1 and .enhancedCode == "4.7.4" and .nextAttemptAt != null'
done
has "$WORK/plain" EHLO
if has "$WORK/plain" '^(MAIL|RCPT|DATA|Subject)'; then fail "it was told: $(cat "$WORK/plain")"; fi

# Asked again, Postfix takes what it had deferred.
: >"$POSTFIX/access"
ip netns exec gamma postfix -c "$POSTFIX" reload 2>>"$WORK/postfix.out"
PATIENCE=90 wait_for "the second attempt" became "$LATER" '.state == "sent" and .attempts == 2'
[ "$(find "$POSTFIX/mail/later/new" -type f | wc -l)" = 1 ]

# By a relay: Postfix carries everything.
SERVER_PID=$ALPHA_PID stop_server
serve alpha "$ALPHA" --relay "smtp://$GAMMA:25"
at beta
before=$(curl -sS -H "Authorization: Bearer $KEY" "$BASE/v1/inboxes/$bob/messages" | jq .total)
at alpha
send "$ann" bob@beta.example "By Postfix"
wait_for "the relay to take it" became "$MESSAGE" '.state == "sent" and (.lastAnswer | test("queued as"))'
at beta
wait_for "the relayed mail" total "$bob" "$((before + 1))"
wait_for "its event" has "$WORK/stream" '"subject":"By Postfix"'
curl -sS -H "Authorization: Bearer $KEY" "$BASE/v1/messages/$(field '.data[0].id')/raw" >"$WORK/relayed"
has "$WORK/relayed" 'by mx.gamma.example \(Postfix\)'
signed alpha.example <"$WORK/relayed"

ip netns exec gamma postfix -c "$POSTFIX" stop 2>>"$WORK/postfix.out"
