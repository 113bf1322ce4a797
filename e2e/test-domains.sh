# A domain of one's own, from its records to mail that comes in and goes out on
# it. The name server is a stub; no mail leaves the machine.
. "$(dirname "$0")/lib.sh"

: >"$WORK/records"
background "$PYTHON" "$E2E/tools/names.py" "$WORK/records" "$WORK/names"
wait_for "the name server" test -s "$WORK/names"
OPENMAIL_SMTP_DNS=$(cat "$WORK/names")
export OPENMAIL_SMTP_DNS OPENMAIL_RELAY=none OPENMAIL_HOSTNAME=mx.ours.example
start_server --domain ours.example

# publish writes the records of BODY where the name server reads them.
publish() { jq -r '.records[] | "\(.type) \(.name) \(.value)"' <<<"$BODY" >"$WORK/records"; }

# Nothing is there yet.
want 201 POST /v1/domains '{"domain":"acme.example"}'
DOMAIN=$(field .id)
holds '.status == "pending" and ([.records[].purpose] == ["ownership","mx","spf","dkim","dkim","dmarc"])'
records=$BODY
want 200 POST "/v1/domains/$DOMAIN/verify"
holds '.status == "pending" and (.reason | contains("Not found yet"))'
want 400 POST /v1/inboxes '{"domain":"acme.example"}'

# Two SPF records, and an old MX beside ours.
BODY=$records
publish
echo 'TXT acme.example v=spf1 include:old.example -all' >>"$WORK/records"
echo 'MX acme.example mx.old.example' >>"$WORK/records"
want 200 POST "/v1/domains/$DOMAIN/verify"
holds '.status == "failed" and ([.records[] | select(.reason != null) | .reason] | join(" ") | contains("2 SPF records") and contains("mx.old.example"))'

# As they are shown, they are right.
BODY=$records
publish
want 200 POST "/v1/domains/acme.example/verify"
holds '.status == "verified" and .reason == null and .verifiedAt != null and ([.records[].status] | unique) == ["verified"]'

# Mail comes in, and between inboxes it stays here.
want 201 POST /v1/inboxes '{"mailboxName":"jane","domain":"acme.example"}'
holds '.address == "jane@acme.example"'
jane=$(field .id)
new_inbox bob
mail jane@acme.example 'To a domain of its own'
arrived() { call GET "/v1/inboxes/$1/messages"; [ "$(field .total)" = "$2" ]; }
wait_for "the mail" arrived "$jane" 1
want 200 POST "/v1/inboxes/$INBOX/send" '{"to":"jane@acme.example","subject":"Hi","body":"Hello"}'
wait_for "the mail between inboxes" arrived "$jane" 2
want 200 POST "/v1/inboxes/$jane/send" '{"to":"bob@ours.example","subject":"Hi","body":"Hello"}'
holds '.providerMessageId | endswith("@acme.example>")'
wait_for "the mail back" arrived "$INBOX" 2 # with the one it has sent
holds '.data[0].envelope.mailFrom | test("^jane[+]bounce[.][a-z0-9]+@acme[.]example$")'

# Its mail goes elsewhere: it stays verified, says so, and mail to it no longer
# stays here.
sed -i 's/^MX acme.example .*/MX acme.example mx.elsewhere.example/' "$WORK/records"
want 200 POST "/v1/domains/$DOMAIN/verify"
holds '.status == "verified" and (.reason | contains("mx.elsewhere.example"))'
want 200 POST "/v1/inboxes/$INBOX/send" '{"to":"jane@acme.example","subject":"Hi","body":"Hello"}'
want 200 GET "/v1/messages/$(field .messageId)"
holds '.deliveries[0].state == "pending" and .deliveries[0].nextAttemptAt == null'

# What is used stays.
want 422 DELETE "/v1/domains/$DOMAIN"
want 204 DELETE "/v1/inboxes/$jane"
want 204 DELETE "/v1/domains/$DOMAIN"
want 404 GET "/v1/domains/$DOMAIN"
has "$SERVER_LOG" '"msg":"domain.checked"' || fail "no record of the checks"
if has "$SERVER_LOG" '"msg":"domain[.].*acme[.]example'; then fail "the log of the checks names the domain"; fi
