# The short form of `make prove-peers`: agents whose route, cable, process or reading
# ends while their sockets stay, and a webhook that gets their events in time.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
"$WORK/bench" peers -short -binary "$OPENMAIL" -dir "$WORK"
