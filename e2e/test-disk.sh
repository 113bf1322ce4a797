# `make prove-disk`: fsyncs that fail end the server, and a full disk is answered with 452.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
"$WORK/bench" disk -binary "$OPENMAIL" -dir "$WORK"
