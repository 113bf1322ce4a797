# Sending: conversations that stay one thread, the same request twice, forms, and
# a server that is killed between its answer and the delivery.
. "$(dirname "$0")/lib.sh"

start_server

# total INBOX N: the inbox has that many messages.
total() {
  call GET "/v1/inboxes/$1/messages?limit=100"
  [ "$(field .total)" = "$2" ]
}

# A conversation with a mailbox outside.
new_inbox jane
jane=$INBOX
"$PYTHON" "$E2E/tools/conversation.py" "$BASE" "$KEY" "$SMTP" "$jane" "$ADDRESS"

# A conversation between two inboxes: one thread on each side.
new_inbox ann
ann=$INBOX
new_inbox bob
bob=$INBOX
want 200 POST "/v1/inboxes/$ann/send" '{"to":"bob@openmail.localhost","subject":"Lunch?","body":"At noon?"}'
holds '(keys_unsorted | sort) == (["messageId","threadId","providerMessageId","status","id","inboxId","direction","createdAt"] | sort) and .messageId == .id'
THREAD=$(field .threadId)
wait_for "bob's first mail" total "$bob" 1
from=$bob to=ann@openmail.localhost
for n in 2 3 4 5 6 7 8 9 10; do
  call GET "/v1/inboxes/$from/threads"
  holds '.total == 1'
  want 200 POST "/v1/inboxes/$from/send" "{\"to\":\"$to\",\"body\":\"Mail $n\",\"threadId\":\"$(field '.data[0].id')\"}"
  wait_for "mail $n at ann" total "$ann" "$n"
  wait_for "mail $n at bob" total "$bob" "$n"
  if [ "$from" = "$bob" ]; then from=$ann to=bob@openmail.localhost; else from=$bob to=ann@openmail.localhost; fi
done
want 200 GET "/v1/threads/$THREAD/messages"
holds '(.data | length) == 10 and .subject == "Lunch?" and ([.data[] | .status] | unique) == ["received", "sent"]'
want 200 GET "/v1/inboxes/$bob/threads"
holds '.total == 1 and .data[0].messageCount == 10'

# The same request twice is one mail; another under the same key is refused.
letter='{"to":"bob@openmail.localhost","subject":"Once","body":"only"}'
want 200 POST "/v1/inboxes/$ann/send" "$letter" -H 'Idempotency-Key: 5f0c'
first=$BODY
want 200 POST "/v1/inboxes/$ann/send" "$letter" -H 'idempotency-key: 5f0c'
[ "$BODY" = "$first" ] || fail "answered $BODY, then $first"
want 409 POST "/v1/inboxes/$ann/send" '{"to":"bob@openmail.localhost","subject":"Twice","body":"only"}' -H 'Idempotency-Key: 5f0c'
holds '.error == "idempotency_conflict"'
for _ in 1 2 3 4 5 6 7 8; do
  curl -sS -o /dev/null -X POST -H "Authorization: Bearer $KEY" -H 'Idempotency-Key: twins' -H 'Content-Type: application/json' \
    --data "$letter" "$BASE/v1/inboxes/$ann/send" &
  twins+=($!)
done
wait "${twins[@]}"
wait_for "one of each" total "$bob" 12

# A form, its fields behind its files.
printf 'a,b\n1,2\n' >"$WORK/table.csv"
head -c 3000000 /dev/urandom >"$WORK/large.bin"
want 200 POST "/v1/inboxes/$ann/send" -F "attachments=@$WORK/table.csv;type=text/csv" -F "attachments=@$WORK/large.bin" \
  -F 'cc=Jane <jane@openmail.localhost>' -F 'cc=ann@openmail.localhost' --form-string 'body=<p>See the <b>table</b></p>' -F 'to=Bob <bob@openmail.localhost>' -F 'subject=Tables, Grüße'
MESSAGE=$(field .messageId)
wait_for "the form's mail" total "$bob" 13
want 200 GET "/v1/inboxes/$bob/messages?limit=1"
holds '.data[0] | .subject == "Tables, Grüße" and .bodyText == "See the table" and .cc == ["jane@openmail.localhost"] and ([.attachments[].sizeBytes] == [8, 3000000]) and .attachments[0].contentType == "text/csv"'
curl -sSL -H "Authorization: Bearer $KEY" -o "$WORK/back.bin" "$(field '.data[0].attachments[1].url')"
cmp "$WORK/large.bin" "$WORK/back.bin"
want 400 POST "/v1/inboxes/$ann/send" -F bcc=x@example.com -F to=a@example.com -F subject=x -F body=y
holds '.error == "unsupported_field" and .field == "bcc"'
printf 'a@example.com\r\nBcc: x@example.com' >"$WORK/injected"
want 400 POST "/v1/inboxes/$ann/send" -F "to=<$WORK/injected" -F subject=x -F body=y
holds '.error == "bad_request" and .field == "to"'

# What leads nowhere is reported into the thread, with its event.
want 200 POST "/v1/inboxes/$ann/send" '{"to":"nobody@openmail.localhost","subject":"Anybody?","body":"?"}'
THREAD=$(field .threadId) MESSAGE=$(field .messageId)
reported() {
  call GET "/v1/threads/$THREAD/messages"
  [ "$(field '.data | length')" = 2 ]
}
wait_for "the report" reported
holds '.data[0].status == "failed" and (.data[1] | .direction == "inbound" and (.fromAddr | test("MAILER-DAEMON@openmail.localhost")) and (.bodyText | test("5[.]1[.]1")))'
want 200 GET "/v1/messages/$MESSAGE"
holds '.deliveries[0] | .state == "failed" and .enhancedCode == "5.1.1" and .attempts == 1'
want 200 GET '/v1/events?limit=1'
holds '.data[0].threadId == $thread' --arg thread "$THREAD"

# Mail to other domains waits, and says why.
want 200 POST "/v1/inboxes/$ann/send" '{"to":"carol@example.com","subject":"Far away","body":"?"}'
want 200 GET "/v1/messages/$(field .messageId)"
holds '.status == "pending" and (.deliveries[0] | .state == "pending" and .nextAttemptAt == null and (.lastAnswer | test("OPENMAIL_RELAY")))'

# The command line sends too.
export OPENMAIL_BASE_URL=$BASE OPENMAIL_API_KEY=$KEY
"$OPENMAIL" send --inbox-id "$ann" --to bob@openmail.localhost --subject CLI --body Hi --attach "$WORK/table.csv" --json | jq -e '.status == "pending"' >/dev/null
wait_for "the command line's mail" total "$bob" 14

# Killed between the answer and the delivery, over and over: each mail that was
# answered for arrives once.
new_inbox carl
carl=$INBOX
for round in 1 2 3 4 5; do
  for n in 1 2 3 4 5 6 7 8; do
    curl -sS -o /dev/null -w '%{http_code} '"$round.$n"'\n' -X POST -H "Authorization: Bearer $KEY" -H "Idempotency-Key: kill-$round-$n" \
      -H 'Content-Type: application/json' --data "{\"to\":\"carl@openmail.localhost\",\"subject\":\"kill $round.$n\",\"body\":\"x\"}" "$BASE/v1/inboxes/$ann/send" >>"$WORK/answers" 2>/dev/null &
  done
  while [ "$(grep -c "^200 $round[.]" "$WORK/answers")" -eq 0 ]; do :; done
  kill -KILL "$SERVER_PID"
  wait || true
  start_server
done
accepted=$(grep -c '^200' "$WORK/answers")
[ "$accepted" -ge 5 ] || fail "only $accepted were accepted"
arrived() {
  call GET "/v1/inboxes/$carl/messages?limit=100"
  jq -r '.data[].subject' <<<"$BODY" | sed 's/^kill //' | sort >"$WORK/arrived"
  [ -z "$(grep '^200' "$WORK/answers" | cut -d' ' -f2 | sort | comm -23 - <(sort -u "$WORK/arrived"))" ]
}
wait_for "what was answered for" arrived
settled() {
  call GET "/v1/inboxes/$ann/messages?direction=outbound&limit=100"
  [ "$(jq '[.data[] | select(.toAddr == "carl@openmail.localhost" and .status != "sent")] | length' <<<"$BODY")" = 0 ]
}
wait_for "every delivery to be written down" settled
arrived
[ -z "$(uniq -d "$WORK/arrived")" ] || fail "arrived twice: $(uniq -d "$WORK/arrived")"
# Who did not see the answer asks again with the same key: still one of each.
for round in 1 2 3 4 5; do
  for n in 1 2 3 4 5 6 7 8; do
    want 200 POST "/v1/inboxes/$ann/send" "{\"to\":\"carl@openmail.localhost\",\"subject\":\"kill $round.$n\",\"body\":\"x\"}" -H "Idempotency-Key: kill-$round-$n"
  done
done
wait_for "forty mails" total "$carl" 40
wait_for "every delivery to be written down" settled
arrived
[ "$(sort -u "$WORK/arrived" | wc -l)" = 40 ] || fail "$(wc -l <"$WORK/arrived") mails arrived"
stop_server
