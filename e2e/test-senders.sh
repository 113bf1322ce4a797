# Mail from Python's smtplib, swaks, curl and Postfix's smtp-source: every mail
# arrives once at every inbox, and its event has the documented fields.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox first
new_inbox second
second=$ADDRESS first=first@${ADDRESS#*@}
background node "$E2E/tools/listen.js" "$STREAM" "$KEY" >"$WORK/events"
wait_for "the listener" sockets 1

host=${SMTP%:*} port=${SMTP#*:}
"$PYTHON" "$E2E/tools/smtplib_mails.py" "$host" "$port" "$first" "$second" # 3 mails to both

printf 'some notes\n' >"$WORK/notes.txt"
swaks --server "$SMTP" --from swaks@example.com --to "$second" --header 'Subject: swaks plain' >"$WORK/swaks.1"
swaks --server "$SMTP" --tls --from swaks@example.com --to "$first" --header 'Subject: swaks tls' \
  --attach-type text/plain --attach "@$WORK/notes.txt" --attach-name notes.txt >"$WORK/swaks.2"
grep -q 'TLS started' "$WORK/swaks.2"
mail "$first" "curl plain"

# 400 mails over 8 connections at a time, and 100 by one that stays open.
smtp-source -s 8 -m 400 -l 2048 -f load@example.com -t "$second" "inet:$SMTP"
smtp-source -s 1 -d -m 100 -l 20000 -f load@example.com -t "$second" "inet:$SMTP"

want_events=$((3 * 2 + 3 + 500))
events() { grep '"event":"message.received"' "$WORK/events"; }
arrived() { [ "$(events | wc -l)" -ge "$want_events" ]; }
wait_for "$want_events events" arrived

# Once: as many different events, and different messages, as mails.
[ "$(events | wc -l)" = "$want_events" ] || fail "$(events | wc -l) events instead of $want_events"
[ "$(events | jq -r .event_id | sort -u | wc -l)" = "$want_events" ]
[ "$(events | jq -r .message.id | sort -u | wc -l)" = "$want_events" ]
want 200 GET "/v1/inboxes/$INBOX/messages?limit=1"
holds '.total == 3 + 1 + 500'

# Every event has these fields, spelled and ordered like this, and no others.
shape='def time: test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$");
  keys_unsorted == ["event","event_id","occurred_at","delivered_at","attempt","inbox_id","thread_id","message"]
  and (.event_id | startswith("evt_")) and (.inbox_id | startswith("inb_")) and (.thread_id | startswith("thr_"))
  and (.occurred_at | time) and (.delivered_at | time) and .attempt == 1
  and (.message | keys_unsorted == ["id","rfc_message_id","from","to","cc","subject","body_text","attachments","received_at","category","auto_replyable","envelope"]
    and (.received_at | time) and (.envelope | keys_unsorted == ["mail_from","rcpt_to","role"])
    and ([.attachments[] | keys_unsorted - ["parsedText","extractionMethod"] == ["filename","contentType","sizeBytes","url"]] | all))'
events | jq -e "$shape" >"$WORK/shapes" || fail "an event of another shape: $(events | jq -c "select(($shape) | not)" | head -1)"

# one SUBJECT FILTER: the jq filter is true of each event of that subject.
one() {
  events | jq -c --arg s "$1" 'select(.message.subject == $s)' >"$WORK/one"
  [ -s "$WORK/one" ] || fail "no event of $1"
  jq -se --arg base "$BASE" --arg first "$first" "all(.[]; $2)" "$WORK/one" >/dev/null || fail "$1: $(head -1 "$WORK/one")"
}

one "smtplib plain" '.message | .from == "joerg@example.com" and (.cc | length) == 1 and (.cc[0] | contains("carol@example.net"))
  and .body_text == ".a dot at the start\n..two\n.\nGrüße, 你好"
  and .envelope.mail_from == "joerg@example.com" and .envelope.rcpt_to == .to and .envelope.role == "to" and .attachments == []'
one "smtplib Größe 📎" '.message | .body_text == "See the files." and ([.attachments[] | .filename] == ["numbers.csv", "größe & more.bin"])
  and .attachments[0].contentType == "text/csv" and .attachments[1].sizeBytes == 10240
  and .attachments[1].url == $base + "/v1/attachments/" + .id + "/gr%C3%B6%C3%9Fe%20&%20more.bin"'
one "smtplib tls" '.message.to | startswith("first@") or startswith("second@")'
one "swaks plain" '.message.from == "swaks@example.com" and (.message.body_text | startswith("This is a test mailing"))'
one "swaks tls" '.message.attachments[0] | .filename == "notes.txt" and .contentType == "text/plain" and .sizeBytes == 11'
one "curl plain" '.message.body_text == "A line." and .message.to == $first'

# Every one has its receipt.
wait_for "all receipts" eval 'call GET "/v1/events?state=armed"; [ "$(field ".data | length")" = 0 ]'
want 200 GET '/v1/events?state=failed'
holds '.data == []'
