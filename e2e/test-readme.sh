# The clients of the README, as they stand there but for the address: each prints
# the sender and the subject of a mail.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox
export OPENMAIL_API_KEY=$KEY

# block MARKER is the code that follows a marker in the README.
block() {
  awk -v marker="<!-- runs: $1 -->" '$0 == marker { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' \
    "$E2E/../README.md" | sed "s#ws://127.0.0.1:8025/v1/ws#$STREAM#"
}

# check NAME PID: the client that runs tells of a mail.
check() {
  wait_for "$1 to subscribe" sockets 1
  mail "$ADDRESS" "for $1"
  wait_for "the mail at $1" has "$WORK/$1.out" "^sender@example.com for $1\$"
  kill "$2"
  wait_for "$1 to go" sockets 0
}

block node >"$WORK/readme.js"
background node "$WORK/readme.js" >"$WORK/node.out" 2>&1
check node $!

block python >"$WORK/readme.py"
background "$PYTHON" "$WORK/readme.py" >"$WORK/python.out" 2>&1
check python $!
