package ws

import (
	"net"
	"time"
)

// userTimeout is how long bytes may stay unacknowledged by the peer's kernel:
// the last reaper. A shorter one would kill clients that merely stop reading.
const userTimeout = 60 * time.Second

// tune sets what a long-lived, mostly silent connection needs. It is no fault
// when the platform cannot.
func tune(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: userTimeout, Interval: 15 * time.Second, Count: 4})
	setUserTimeout(tcp, userTimeout)
}
