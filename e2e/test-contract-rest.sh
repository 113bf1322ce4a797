# Every route of the REST interface with curl: its exact status, the spelling of
# its fields, and its errors.
. "$(dirname "$0")/lib.sh"

export OPENMAIL_SMTP_DNS=127.0.0.1:1 # nobody answers
start_server --webhook-allow 127.0.0.0/8
start_receiver 200

# keys FIELD… checks the names of BODY's fields, in any order.
keys() { holds '(keys_unsorted | sort) == ($names | split(" ") | sort)' --arg names "$*"; }

# is_error CODE [FIELD] checks the body of an error.
is_error() {
  holds '.error == $code and (.message | length > 0) and (.requestId | startswith("req_")) and (.field // "") == $field' --arg code "$1" --arg field "${2:-}"
  has "$WORK/header" "^X-Request-Id: $(field .requestId)" || fail "another request id in the header"
}

inbox_fields="id podId address displayName webhookUrl createdAt"
pod_fields="id clientId name isDefault createdAt"
message_fields="id threadId inboxId direction fromAddr toAddr headerTo deliveryRole cc subject bodyText bodyHtml attachments status createdAt
rfcMessageId inReplyTo references rawUrl sizeBytes envelope category autoReplyable hiddenText defects partial"
message_fields=$(tr '\n' ' ' <<<"$message_fields" | sed 's/ $//')
event_fields="id type podId inboxId threadId messageId state reason channel attempts nextAttemptAt occurredAt deliveredAt"

# Without a key, or with a bad one.
root=$KEY
for KEY in "" om_nothing "$root "x; do
  want 401 GET /v1/inboxes
  is_error unauthorized
done
KEY=$root
curl -sS -o "$WORK/body" -D "$WORK/header" -w '%{http_code}' "$BASE/v1/inboxes" | grep -q 401
want 404 GET /v1/nothing
is_error not_found
for path in start poll; do # a client without browser pairing asks for a key
  want 404 GET "/auth/cli/$path"
  is_error not_found
done
want 405 DELETE /v1/events
has "$WORK/header" '^Allow: GET'

# System.
for path in /health /ready; do
  [ "$(curl -sS -o /dev/null -w '%{http_code}' "$BASE$path")" = 200 ]
done
want 200 GET /v1/me
keys customerId plan apiKeyScope mcpScopes
holds '.apiKeyScope == "account" and .mcpScopes == null'
want 200 GET /v1/account
keys id name receiptDeadlineSeconds createdAt
want 200 PATCH /v1/account '{"receiptDeadlineSeconds":5}'
holds '.receiptDeadlineSeconds == 5'
want 400 PATCH /v1/account '{"receiptDeadlineSeconds":2}'
is_error bad_request receiptDeadlineSeconds
want 200 PATCH /v1/account '{"receiptDeadlineSeconds":null}'
holds '.receiptDeadlineSeconds == null'
want 200 GET /openapi.json
holds '.openapi | startswith("3.1")'
cp "$WORK/body" "$WORK/openapi.json"
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true node_modules/.bin/redocly lint --config redocly.yaml "$WORK/openapi.json"
routes=$(field '[.paths[][] | select(.operationId != "openSocket")] | length')

# Pods: the default one is there, and listed first; a clientId is as good as an id.
want 200 GET /v1/pods
holds '.total == 1 and (.data[0] | .isDefault and .clientId == null)'
DEFAULT_POD=$(field '.data[0].id')
want 201 POST /v1/pods
keys $pod_fields
want 201 POST /v1/pods '{"clientId":"acme 7/x","name":"Acme"}'
keys $pod_fields
holds '.clientId == "acme 7/x" and .name == "Acme" and .isDefault == false'
POD=$(field .id) POD_PATH=/v1/pods/acme%207%2Fx
want 409 POST /v1/pods '{"clientId":"acme 7/x"}'
is_error client_id_taken clientId
want 400 POST /v1/pods '{"nonsense":1}'
is_error bad_request nonsense
want 200 GET "$POD_PATH"
holds '.id == $id' --arg id "$POD"
want 404 GET /v1/pods/pod_nothing
is_error not_found
want 200 PATCH "$POD_PATH" '{"name":null}'
holds '.name == null and .clientId == "acme 7/x"'
want 200 GET '/v1/pods?limit=1'
holds '.total == 3 and .data[0].id == $id' --arg id "$DEFAULT_POD"
want 409 DELETE "/v1/pods/$DEFAULT_POD"
is_error default_pod
want 201 POST "$POD_PATH/api-keys" '{"name":"agent"}'
keys id name podId inboxId tokenPrefix last4 createdAt lastUsedAt token
holds '.podId == $id and .inboxId == null' --arg id "$POD"
pod_key=$(field .token) pod_key_id=$(field .id)
want 200 GET "$POD_PATH/api-keys"
holds '(.data | length) == 1 and (.data[0] | has("token") | not)'
KEY=$pod_key
want 200 GET /v1/me
holds '.apiKeyScope == {"podId": $id, "inboxId": null}' --arg id "$POD"
want 200 GET /v1/pods
holds '.total == 1'
want 201 POST /v1/inboxes '{"mailboxName":"acme-jane"}'
holds '.podId == $id' --arg id "$POD"
pod_inbox=$(field .id)
want 200 PATCH "/v1/inboxes/$pod_inbox" '{"displayName":"Jane"}'
want 201 POST "/v1/inboxes/$pod_inbox/api-keys" '{}'
holds '.podId == $id' --arg id "$POD"
want 200 GET "/v1/inboxes?podId=acme%207%2Fx"
holds '.total == 1'
for forbidden in "POST /v1/pods" "GET /v1/pods/$DEFAULT_POD" "GET /v1/inboxes?podId=$DEFAULT_POD" "DELETE /v1/inboxes/$pod_inbox" "DELETE $POD_PATH" \
  "POST $POD_PATH/api-keys" "GET /v1/api-keys" "GET /v1/webhook" "GET /v1/policy" "GET /v1/sockets"; do
  want 403 $forbidden
  is_error forbidden
done
want 403 POST /v1/inboxes "{\"podId\":\"$DEFAULT_POD\"}"
KEY=$root
want 409 DELETE "$POD_PATH"
is_error pod_not_empty
want 400 POST /v1/inboxes '{"podId":"nobody"}'
is_error invalid_pod podId
want 200 GET '/v1/inboxes?podId=nobody'
holds '. == {"data": [], "total": 0}'
want 204 DELETE "$POD_PATH/api-keys/$pod_key_id"
KEY=$pod_key
want 401 GET /v1/me
KEY=$root
want 204 DELETE "/v1/inboxes/$pod_inbox"
want 204 DELETE "$POD_PATH"
want 404 GET "/v1/pods/$POD"

# Domains: without a name server they wait.
domain_fields="id domain status reason podId createdAt verifiedAt checkedAt"
want 201 POST /v1/domains '{"domain":"Acme.example"}'
keys $domain_fields records
holds '.id | startswith("dom_")'
holds '.domain == "acme.example" and .status == "pending" and .podId == null and .verifiedAt == null'
holds '[.records[] | (keys_unsorted | sort)] | unique == [["name","priority","purpose","reason","required","status","type","value"]]'
holds '[.records[] | select(.type == "MX")] == [{"type":"MX","name":"acme.example","value":"openmail.localhost","priority":10,"purpose":"mx","required":true,"status":"pending","reason":null}]'
DOMAIN=$(field .id)
want 409 POST /v1/domains '{"domain":"acme.example"}'
is_error domain_exists domain
want 422 POST /v1/domains '{"domain":"co.uk"}'
is_error domain_blocked domain
want 422 POST /v1/domains '{"domain":"a.openmail.localhost"}'
is_error domain_blocked domain
want 400 POST /v1/domains '{"domain":"no domain"}'
is_error invalid_domain domain
want 400 POST /v1/domains '{"domain":"x.example","podId":"nobody"}'
is_error invalid_pod podId
want 400 POST /v1/domains '{"domain":"x.example","nonsense":1}'
want 200 GET /v1/domains
holds '.total == 1 and (.data[0] | (keys_unsorted | sort) == ($names | split(" ") | sort))' --arg names "$domain_fields"
want 200 GET "/v1/domains/$DOMAIN"
keys $domain_fields records
want 200 POST "/v1/domains/$DOMAIN/verify"
holds '.status == "pending" and (.reason | contains("Could not be checked"))'
want 400 POST /v1/inboxes '{"domain":"acme.example"}'
is_error invalid_domain domain
want 201 POST /v1/pods '{"clientId":"of-domain"}'
want 200 PATCH "/v1/domains/$DOMAIN" '{"podId":"of-domain"}'
holds '.podId | startswith("pod_")'
want 409 DELETE /v1/pods/of-domain
is_error pod_has_domains
want 200 PATCH "/v1/domains/$DOMAIN" '{"podId":null}'
holds '.podId == null'
want 204 DELETE /v1/pods/of-domain
want 204 DELETE "/v1/domains/$DOMAIN"
want 404 GET "/v1/domains/$DOMAIN"

# Inboxes.
want 201 POST /v1/inboxes
keys $inbox_fields
holds '.address | test("^[a-z0-9]{8}@openmail[.]localhost$")'
want 201 POST /v1/inboxes '{}'
want 201 POST /v1/inboxes '{"mailboxName":"jane","displayName":"Jane Doe"}'
keys $inbox_fields
holds '.address == "jane@openmail.localhost" and .displayName == "Jane Doe" and (.createdAt | test("[.][0-9]{3}Z$"))'
INBOX=$(field .id) ADDRESS=$(field .address)
want 409 POST /v1/inboxes '{"mailboxName":"jane"}'
is_error address_taken mailboxName
for name in ab Jane -jane jane- 'ja ne' "$(printf 'a%.0s' {1..31})"; do
  want 400 POST /v1/inboxes "{\"mailboxName\":\"$name\"}"
  is_error invalid_mailbox_name mailboxName
done
want 400 POST /v1/inboxes '{"domain":"example.org"}'
is_error invalid_domain domain
want 400 POST /v1/inboxes '{"nonsense":1}'
is_error bad_request nonsense
want 400 POST /v1/inboxes '{not json'
is_error bad_request
want 200 GET '/v1/inboxes?limit=1&offset=1'
holds '(.data | length) == 1 and .total == 3'
want 200 GET '/v1/inboxes?limit=1000'
holds '.total == 3 and .data[0].id == $id' --arg id "$INBOX"
for limit in 0 -1 many; do
  want 400 GET "/v1/inboxes?limit=$limit"
  is_error bad_request limit
done
want 200 GET "/v1/inboxes/$INBOX"
keys $inbox_fields
want 404 GET /v1/inboxes/inb_nothing
is_error not_found
want 200 PATCH "/v1/inboxes/$INBOX" '{"displayName":null}'
holds '.displayName == null'
want 200 PATCH "/v1/inboxes/$INBOX" '{"displayName":"J."}'
holds '.displayName == "J."'
want 404 PATCH /v1/inboxes/inb_nothing '{"displayName":"J."}'

# Mail: a message with a file whose name has to be encoded, and an answer to it.
printf 'some notes\n' >"$WORK/notes.txt"
swaks --server "$SMTP" --from alice@example.com --to "$ADDRESS" --h-From 'Alice <alice@example.com>' --h-Subject 'Notes' \
  --header 'Message-Id: <first@example.com>' --attach-type text/plain --attach-name 'my notes & more.txt' --attach "@$WORK/notes.txt" >/dev/null
swaks --server "$SMTP" --from bob@example.com --to "$ADDRESS" --h-To 'other@example.net' --add-header "Cc: $ADDRESS" --h-Subject 'Re: Notes' \
  --add-header 'In-Reply-To: <first@example.com>' >/dev/null
want 200 GET "/v1/inboxes/$INBOX/messages"
holds '.total == 2 and (.data | map(.subject) == ["Re: Notes", "Notes"])'
holds 'all(.data[]; (keys_unsorted | sort) == ($names | split(" ") | sort))' --arg names "$message_fields"
holds '.data[1] | .fromAddr == "Alice <alice@example.com>" and .toAddr == $to and .deliveryRole == "to" and .headerTo == $to and .direction == "inbound" and .status == "received"' --arg to "$ADDRESS"
holds '.data[0] | .deliveryRole == "cc" and .headerTo == "other@example.net" and .cc == [$to] and .inReplyTo == "<first@example.com>"' --arg to "$ADDRESS"
holds '.data[1].attachments[0] | .filename == "my notes & more.txt" and .contentType == "text/plain" and .sizeBytes == 11 and (.url | endswith("/my%20notes%20&%20more.txt"))'
MESSAGE=$(field '.data[1].id') THREAD=$(field '.data[1].threadId') LINK=$(field '.data[1].attachments[0].url')
holds '.data[0].threadId == .data[1].threadId'
want 200 GET "/v1/inboxes/$INBOX/messages?direction=outbound"
holds '.total == 0 and .data == []'
want 400 GET "/v1/inboxes/$INBOX/messages?direction=sideways"
is_error bad_request direction
want 404 GET /v1/inboxes/inb_nothing/messages
want 200 GET "/v1/messages/$MESSAGE"
keys $message_fields
want 404 GET /v1/messages/msg_nothing
want 200 GET "/v1/messages/$MESSAGE/raw"
has "$WORK/header" '^Content-Type: message/rfc822'
has "$WORK/body" '^Message-Id: <first@example.com>'

# Threads: both spellings, in the query and in the body.
want 200 GET "/v1/inboxes/$INBOX/threads"
holds '.total == 1 and (.data[0] | keys_unsorted | sort) == (["id","inboxId","subject","isRead","lastMessageAt","createdAt","messageCount"] | sort)'
holds '.data[0] | .isRead == false and .messageCount == 2'
want 200 GET "/v1/threads/$THREAD/messages"
keys threadId inboxId subject isRead data
holds '(.data | map(.subject)) == ["Notes", "Re: Notes"] and .isRead == false'
for body in '{"is_read":true}' '{"isRead":true}'; do
  want 200 PATCH "/v1/threads/$THREAD" '{"is_read":false}'
  [ "$BODY" = '{"ok":true}' ] || holds '. == {"ok": true}'
  want 200 PATCH "/v1/threads/$THREAD" "$body"
  for query in is_read=true isRead=true; do
    want 200 GET "/v1/inboxes/$INBOX/threads?$query"
    holds '.total == 1 and .data[0].isRead'
  done
  want 200 GET "/v1/inboxes/$INBOX/threads?is_read=false"
  holds '.total == 0'
done
want 400 PATCH "/v1/threads/$THREAD" '{}'
is_error bad_request is_read
want 404 PATCH /v1/threads/thr_nothing '{"is_read":true}'
want 400 GET "/v1/inboxes/$INBOX/threads?is_read=perhaps"
swaks --server "$SMTP" --from bob@example.com --to "$ADDRESS" --h-Subject 'again' --add-header 'References: <x@y> <first@example.com>' >/dev/null
want 200 GET "/v1/threads/$THREAD/messages"
holds '.isRead == false and (.data | length) == 3' # new mail: unread again

# Attachments: a redirect to a link on the same origin that works without a key.
want 302 GET "${LINK#"$BASE"}"
signed=$(sed -n 's/^Location: //Ip' "$WORK/header" | tr -d '\r')
case $signed in /v1/attachments/*signature=*) signed=$BASE$signed ;; "$BASE"/*signature=*) ;; *) fail "redirected to $signed" ;; esac
unsigned() { curl -sS -o "$WORK/file" -w '%{http_code}' "$@"; }
[ "$(unsigned "$signed")" = 200 ] && cmp "$WORK/file" "$WORK/notes.txt"
[ "$(unsigned -L -H "Authorization: Bearer $KEY" "$LINK")" = 200 ] && cmp "$WORK/file" "$WORK/notes.txt"
[ "$(unsigned "$LINK")" = 401 ]
[ "$(unsigned "${signed/expires=1/expires=2}")" = 401 ]
[ "$(unsigned "${signed/my%20notes/your%20notes}")" = 401 ]
[ "$(unsigned "${signed%?????}AAAAA")" = 401 ]
[ "$(unsigned "${signed/account=acc_/account=acc_x}")" = 401 ]
want 404 GET "/v1/attachments/$MESSAGE/nothing.txt"
want 200 GET "${LINK#"$BASE"}/text"
holds '. == {"inboxId":$inbox,"filename":"my notes & more.txt","contentType":"text/plain","extractionMethod":"text","text":"some notes"}' --arg inbox "$INBOX"
want 404 GET "/v1/attachments/$MESSAGE/nothing.txt/text"
is_error not_found
is_error not_found

# Events. Nobody listened: they failed, and can be sent again.
want 200 GET '/v1/events?limit=2'
holds '(.data | length) == 2 and (.next | type) == "string"'
holds '(.data[0] | keys_unsorted | sort) == ($names | split(" ") | sort)' --arg names "$event_fields"
holds '.data[0] | .state == "failed" and .reason == "no_route" and .type == "message.received"'
EVENT=$(field '.data[0].id')
want 200 GET "/v1/events?limit=2&cursor=$(field .next)"
holds '(.data | length) == 1 and .next == null'
want 400 GET '/v1/events?cursor=made-up'
is_error bad_request cursor
want 200 GET "/v1/events?state=failed&inboxId=$INBOX&type=message.received&since=2020-01-01T00:00:00Z"
holds '(.data | length) == 3'
want 200 GET '/v1/events?until=2020-01-01T00:00:00Z'
holds '.data == [] and .next == null'
want 400 GET '/v1/events?state=lost'
want 200 GET "/v1/events/$EVENT"
keys $event_fields payload
holds '.payload.event == "message.received" and .payload.event_id == .id and .payload.inbox_id == .inboxId'
want 404 GET /v1/events/evt_nothing
want 200 GET "/v1/events/$EVENT/attempts"
holds '. == {"data": []}'
want 404 GET /v1/events/evt_nothing/attempts

# The webhook: the secret is shown once.
want 404 GET /v1/webhook
want 400 POST /v1/webhook/test
is_error no_webhook_url
want 400 POST /v1/webhook/rotate-secret
for url in ftp://example.com not-a-url http://169.254.169.254/ http://10.0.0.1/ 'http://[::ffff:10.0.0.1]/'; do
  want 422 PUT /v1/webhook "{\"url\":\"$url\"}"
  is_error invalid_webhook_url url
done
want 200 PUT /v1/webhook "{\"url\":\"$HOOK/hook\"}"
keys url enabled disabledReason createdAt webhookSecret
field .webhookSecret >"$WORK/secret"
want 200 PUT /v1/webhook "{\"url\":\"$HOOK/hook\"}"
keys url enabled disabledReason createdAt
want 200 GET /v1/webhook
holds '.enabled and .disabledReason == null'
want 200 POST /v1/webhook/test
keys ok message status tookMs response
want 202 POST "/v1/events/$EVENT/redeliver"
keys id state
want 404 POST /v1/events/evt_nothing/redeliver
want 202 POST /v1/events/redeliver '{"state":"failed"}'
holds '. == {"count": 2}'
wait_for "the posts" posted 4
jq -es 'all(.[]; .verified)' "$WORK/posts" >/dev/null
want 200 GET "/v1/events/$EVENT/attempts"
holds '.data[0] | (keys_unsorted | sort) == (["n","channel","at","tookMs","status","outcome","error","remote","response"] | sort)'
want 200 POST /v1/webhook/next-secret
keys webhookSecret
want 200 POST /v1/webhook/activate-secret
want 409 POST /v1/webhook/activate-secret
is_error conflict
want 200 POST /v1/webhook/rotate-secret
keys webhookSecret
want 204 DELETE /v1/webhook
[ -z "$BODY" ]
want 204 DELETE /v1/webhook '{}'

# A webhook of one inbox: its own secret, and before the account's.
for url in ftp://example.com http://10.0.0.1/; do
  want 422 PATCH "/v1/inboxes/$INBOX" "{\"webhookUrl\":\"$url\"}"
  is_error invalid_webhook_url webhookUrl
done
want 400 POST "/v1/inboxes/$INBOX/webhook/test"
is_error no_webhook_url
want 400 POST "/v1/inboxes/$INBOX/webhook/rotate-secret"
is_error no_webhook_url
want 200 PATCH "/v1/inboxes/$INBOX" "{\"webhookUrl\":\"$HOOK/inbox\"}"
keys $inbox_fields webhookSecret
want 200 PATCH "/v1/inboxes/$INBOX" "{\"webhookUrl\":\"$HOOK/inbox\"}"
keys $inbox_fields
want 200 POST "/v1/inboxes/$INBOX/webhook/rotate-secret"
keys webhookSecret
field .webhookSecret >"$WORK/secret"
want 200 POST "/v1/inboxes/$INBOX/webhook/test"
holds '.ok and (.message | length > 0)'
wait_for "the test of the inbox's webhook" posted 5
want 202 POST "/v1/events/$EVENT/redeliver"
wait_for "the post to the inbox's webhook" posted 6
jq -es 'all(.[4:][]; .verified)' "$WORK/posts" >/dev/null || fail "not signed with the inbox's secret"
want 201 POST /v1/inboxes "{\"webhookUrl\":\"$HOOK/other\"}"
keys $inbox_fields webhookSecret
want 204 DELETE "/v1/inboxes/$(field .id)"
want 200 PATCH "/v1/inboxes/$INBOX" '{"webhookUrl":""}'
holds '.webhookUrl == null'

# Policy and quarantine.
want 200 GET /v1/policy
holds '.scope == "account" and .inbound == {"mode":"none","effectiveMode":"none","rules":[]} and .outbound == .inbound'
want 201 POST /v1/policy/rules '{"type":"block","value":"Example.ORG","direction":"inbound"}'
keys id type value direction scope setBy createdAt
holds '.value == "example.org"'
rule=$(field .id)
want 409 POST /v1/policy/rules '{"type":"block","value":"example.org"}'
is_error rule_exists value
want 400 POST /v1/policy/rules '{"type":"block","value":"@@"}'
swaks --server "$SMTP" --from spam@example.org --to "$ADDRESS" --h-Subject 'spam' >/dev/null
swaks --server "$SMTP" --from more@example.org --to "$ADDRESS" --h-Subject 'more spam' >/dev/null
want 200 GET /v1/quarantine
holds '.total == 2 and (.data[0] | keys_unsorted | sort) == (["id","inboxId","fromAddr","subject","reason","ruleId","sizeBytes","createdAt","expiresAt"] | sort)'
holds '.data[0] | .reason == "blocked_by_rule" and .ruleId == $rule' --arg rule "$rule"
first=$(field '.data[1].id') second=$(field '.data[0].id')
want 200 GET "/v1/quarantine/$first"
want 200 POST "/v1/quarantine/$first/release"
keys messageId threadId eventId
want 200 GET "/v1/messages/$(field .messageId)"
holds '.subject == "spam"'
want 204 DELETE "/v1/quarantine/$second"
want 404 GET "/v1/quarantine/$second"
want 404 POST "/v1/quarantine/$second/release"
want 204 DELETE "/v1/policy/rules/$rule"
want 404 DELETE "/v1/policy/rules/$rule"
want 200 PUT /v1/policy/mode '{"mode":"allowlist","direction":"inbound"}'
holds '.inbound.mode == "allowlist"'
want 400 PUT /v1/policy/mode '{"mode":"maybe","direction":"inbound"}'
want 200 PUT /v1/policy '{"inbound":{"mode":"none","rules":[{"type":"allow","value":"a@b.co"}]}}'
holds '.inbound.mode == "none" and (.inbound.rules | map(.value)) == ["a@b.co"]'
inherited=$(field '.inbound.rules[0].id')
want 200 GET "/v1/policy?inboxId=$INBOX"
holds '.scope == "inbox" and .inbound.mode == "inherit" and .inbound.effectiveMode == "none" and .inbound.rules[0].scope == "account"'
want 403 DELETE "/v1/policy/rules/$inherited?inboxId=$INBOX"
is_error inherited_rule
want 400 GET "/v1/policy?inboxId=$INBOX&podId=acme"
is_error bad_request inboxId
want 200 PUT "/v1/policy?inboxId=$INBOX" '{"outbound":{"mode":"allowlist","rules":[{"type":"allow","value":"*.example.com"}]}}'
want 201 POST "/v1/policy/rules?inboxId=$INBOX" '{"type":"block","value":"bad.example.com","direction":"outbound"}'
for refused in '"to":"eve@evil.example"' '"to":"a@b.example.com","cc":["eve@evil.example"]' '"to":"a@b.example.com","replyTo":"eve@evil.example"'; do
  want 403 POST "/v1/inboxes/$INBOX/send" "{$refused,\"subject\":\"Hi\",\"body\":\"Hello\"}"
  holds '.error == "recipient_not_permitted" and (.field | IN("to", "cc", "replyTo")) and .recipient == "eve@evil.example" and .type == "not_on_allowlist"'
done
want 403 POST "/v1/inboxes/$INBOX/send" '{"to":"a@bad.example.com","subject":"Hi","body":"Hello"}'
holds '.error == "recipient_not_permitted" and .type == "blocked_by_rule"'
want 200 GET "/v1/policy/audit?inboxId=$INBOX&action=refused&direction=outbound"
holds '.total == 2 and (.data | map([.address, .times])) == [["a@bad.example.com",1],["eve@evil.example",3]]'
holds '.data[0] | (keys_unsorted | sort) == (["id","action","direction","scope","podId","inboxId","keyId","ruleId","type","value","mode","address","reason","times","heldId","createdAt"] | sort)'
want 200 GET "/v1/policy/audit?action=policy_replaced&since=2020-01-01T00:00:00Z&limit=1"
holds '.total == 2 and .data[0].added == {"count":1,"first":["allow *.example.com"]} and .data[0].scope == "inbox"'
want 200 PUT "/v1/policy?inboxId=$INBOX" '{"outbound":{"mode":"inherit","rules":[]}}'

# Usage and feedback.
want 200 GET "/v1/usage?group_by=inbox"
keys from to groupBy inboxes total totals
holds '.groupBy == "inbox" and (.inboxes | length) == .total and (.inboxes[] | select(.inboxId == $id) | .inbound > 0 and .storedBytes > 0)' --arg id "$INBOX"
holds '(.inboxes[0] | (keys_unsorted | sort)) == (["inboxId","address","inbound","outbound","attachmentBytes","storedBytes"] | sort)'
want 400 GET "/v1/usage?from=2020-01-01&to=2026-01-01"
is_error bad_request from
want 201 POST /v1/feedback '{"type":"bug","message":"It broke.","context":{"endpoint":"GET /v1/me","errorCode":"internal_error"}}'
holds '. == {"ok":true}'
want 400 POST /v1/feedback '{"type":"praise","message":"Fine."}'
is_error bad_request type
want 200 GET /v1/feedback
holds '.total == 1 and .data[0].message == "It broke." and .data[0].context.errorCode == "internal_error"'

# Sending: the union of both shapes, and where each recipient stands.
want 200 POST "/v1/inboxes/$INBOX/send" '{"to":"A B <a@example.com>","cc":["jane.two@openmail.localhost"],"subject":"Hi","body":"Hello","nonsense":1}'
keys messageId threadId providerMessageId status id inboxId direction createdAt
holds '.status == "pending" and .direction == "outbound" and .messageId == .id and .inboxId == $id' --arg id "$INBOX"
sent=$(field .id)
want 200 GET "/v1/messages/$sent"
keys ${message_fields/envelope/deliveries}
holds '.direction == "outbound" and .toAddr == "a@example.com" and .headerTo == null and .deliveryRole == null and (.deliveries[0] | (keys_unsorted | sort) ==
  (["recipient","state","attempts","code","enhancedCode","lastAnswer","server","tls","lastAttemptAt","nextAttemptAt"] | sort))'
want 200 GET "/v1/inboxes/$INBOX/messages?direction=outbound"
holds '.total == 1 and .data[0].id == $id' --arg id "$sent"
for field in to subject body; do
  want 400 POST "/v1/inboxes/$INBOX/send" "$(jq -nc --arg not "$field" '{to: "a@example.com", subject: "Hi", body: "Hello"} | del(.[$not])')"
  is_error bad_request "$field"
done
want 400 POST "/v1/inboxes/$INBOX/send" '{"to":"a@example.com","subject":"Hi","body":"Hello","bcc":["b@example.com"]}'
is_error unsupported_field bcc
want 404 POST "/v1/inboxes/$INBOX/send" '{"to":"a@example.com","body":"Hello","threadId":"thr_nothing"}'
is_error not_found
want 200 GET /v1/suppressions
holds '.total == 0 and .data == []'
sqlite3 -cmd '.timeout 10000' "$DATA/openmail.db" "insert into suppression select id, 'gone@example.com', 'bounce', 'no such user', 1 from account"
want 422 POST "/v1/inboxes/$INBOX/send" '{"to":"Gone@example.com","subject":"Hi","body":"Hello"}'
is_error recipient_suppressed to
holds '.type == "bounce"'
want 200 GET /v1/suppressions
holds '.data[0] | (keys_unsorted | sort) == ["address","createdAt","reason","type"]'
want 204 DELETE /v1/suppressions/gone@example.com
want 404 DELETE /v1/suppressions/gone@example.com

# Keys: the token is shown once; an inbox key reaches its inbox.
want 201 POST /v1/api-keys '{"name":"second"}'
keys id name podId inboxId tokenPrefix last4 createdAt lastUsedAt token
id=$(field .id)
want 200 GET /v1/api-keys
holds 'all(.data[]; has("token") | not) and (has("total") | not)'
want 204 DELETE "/v1/api-keys/$id"
want 404 DELETE /v1/api-keys/key_nothing
want 201 POST "/v1/inboxes/$INBOX/api-keys" '{}'
inbox_key=$(field .token) inbox_key_id=$(field .id)
want 200 GET "/v1/inboxes/$INBOX/api-keys"
holds '.data | length == 1'
KEY=$inbox_key
want 200 GET /v1/inboxes
holds '.total == 1'
want 200 GET /v1/me
holds '.apiKeyScope.inboxId == $id' --arg id "$INBOX"
for forbidden in "POST /v1/inboxes" "DELETE /v1/inboxes/$INBOX" "GET /v1/webhook" "POST /v1/webhook/rotate-secret" \
  "GET /v1/policy" "GET /v1/api-keys" "GET /v1/suppressions" "POST /v1/inboxes/$INBOX/api-keys" "DELETE /v1/messages/$MESSAGE" "DELETE /v1/threads/$THREAD"; do
  want 403 $forbidden
  is_error forbidden
done
KEY=$root
want 204 DELETE "/v1/inboxes/$INBOX/api-keys/$inbox_key_id"
KEY=$inbox_key
want 401 GET /v1/inboxes
KEY=$root

# Sockets and tickets.
start_listener
want 200 GET /v1/sockets
holds '.data[0] | (keys_unsorted | sort) == (["id","remote","connectedAt","subscribed","inboxIds","eventTypes","behind","unconfirmed","lastReceiptAt"] | sort)'
socket=$(field '.data[0].id')
want 404 DELETE /v1/sockets/sck_nothing
want 204 DELETE "/v1/sockets/$socket"
want 201 POST /v1/ws/ticket
keys ticket expiresAt
want 426 GET /v1/ws

# What is deleted is gone.
want 204 DELETE "/v1/messages/$MESSAGE"
want 404 GET "/v1/messages/$MESSAGE"
[ "$(unsigned "$signed")" = 404 ]
want 204 DELETE "/v1/threads/$THREAD"
want 404 GET "/v1/threads/$THREAD/messages"
want 204 DELETE "/v1/inboxes/$INBOX"
want 404 GET "/v1/inboxes/$INBOX"
want 200 GET /v1/inboxes
holds '.total == 2'

# Every route was asked for.
asked=$(jq -rs '[.[] | select(.msg == "http.request" and .route != "none" and .route != "/openapi.json" and .status < 400) | .method + " " + .route] | unique | length' "$SERVER_LOG")
[ "$asked" = "$routes" ] || fail "$asked routes of $routes answered well"
