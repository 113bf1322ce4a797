# The short form of `make prove-sim`: what can happen between the store, the
# dispatcher and the sockets, in an order that a seed decides.
GO_HOME=$HOME # where Go has what it has built
. "$(dirname "$0")/lib.sh"

HOME=$GO_HOME SEEDS=300 "$E2E/../bench/prove-sim.sh"
