package ws

import (
	"context"
	"runtime/debug"
)

const (
	// storm is how many sockets must have been opened, and calm how many
	// sweeps must have passed since the last of them, for tidying to pay.
	storm = 1000
	calm  = 3
)

// tidy returns a function, to be called each second, that gives memory back
// to the system after a storm of connections, such as follows a restart: each
// handshake leaves about 8 KiB of net/http's buffers behind, more than its
// socket takes for the rest of its life.
func (s *Server) tidy() func(context.Context) {
	var seen, tidied int64
	var quiet int
	return func(context.Context) {
		opened := s.counters.opened.Load()
		quiet++
		if opened != seen {
			seen, quiet = opened, 0
		}
		if quiet >= calm && opened-tidied >= storm {
			tidied = opened
			debug.FreeOSMemory()
		}
	}
}
