# The short forms of `make prove-handover`, `prove-stalled` and `prove-replay`: nothing is
# lost or doubled between sockets and a webhook, beside sockets that do not read, and at
# the seam between a replay and what comes in.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
for proof in handover stalled replay; do
  "$WORK/bench" $proof -short -binary "$OPENMAIL" -dir "$WORK"
done
