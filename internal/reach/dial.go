package reach

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// Dialer opens connections. The zero Dialer is for destinations that the
// operator has set: no guard asks about them.
type Dialer struct {
	Guard    *Guard        // nil: none
	Resolver *net.Resolver // nil: the system's
}

// Dial connects to a host and port, as net.Dialer.DialContext does, where the
// guard permits; its refusal is a Refusal. A name that the operator opened
// needs no permission.
func (d Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Resolver: d.Resolver}
	if d.Guard != nil {
		opens, err := d.Guard.opens(addr)
		if err != nil {
			return nil, err
		}
		if !opens {
			dialer.Control = d.Guard.control
		}
	}
	return dialer.DialContext(ctx, network, addr)
}

func (g *Guard) opens(addr string) (bool, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return false, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return false, err
	}
	return g.OpensName(strings.ToLower(host), uint16(port)), nil
}

// control is the net.Dialer's: address is the one that is about to be
// connected to.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return g.address
	}
	return g.Permit(to)
}
