//go:build unix

package smtpd

import (
	"net"
	"syscall"
)

// sentEarly reports whether the client has sent something though nobody has
// greeted it yet, as only those do who do not listen. It looks at what has
// arrived and waits for nothing.
func sentEarly(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	early := false
	err = rc.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		early = err == nil && n > 0
		return true
	})
	return err == nil && early
}
