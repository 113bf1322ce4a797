//go:build !linux

package ws

import (
	"net"
	"time"
)

func setUserTimeout(*net.TCPConn, time.Duration) {}
