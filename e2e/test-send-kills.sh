# The short form of `make prove-send`: the server is killed while it takes and
# sends mail, at set moments and at random ones, and every key is one mail.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
"$WORK/bench" send -short -binary "$OPENMAIL" -dir "$WORK"
