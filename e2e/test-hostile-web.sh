# The short form of `make prove-web`: webhooks that lead where they must not, and
# receivers that hold what they get.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
"$WORK/bench" web -short -binary "$OPENMAIL" -dir "$WORK"
