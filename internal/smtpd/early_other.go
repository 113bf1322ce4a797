//go:build !unix

package smtpd

import "net"

// sentEarly is only known where a socket can be looked into.
func sentEarly(net.Conn) bool { return false }
