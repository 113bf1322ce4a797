# The short form of `make prove-power`: the power is cut at moments of what strace has
# seen the server do to its files, and nothing that was acknowledged may be gone.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

(cd "$E2E/.." && HOME=$GO_HOME go build -o "$WORK/bench" ./bench)
"$WORK/bench" power -short -kills 20 -binary "$OPENMAIL" -dir "$WORK"
