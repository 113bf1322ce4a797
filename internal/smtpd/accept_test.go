package smtpd

import (
	"net"
	"os"
	"syscall"
	"testing"
)

func TestShortagesDoNotEndTheServer(t *testing.T) {
	cases := []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}, true},
		{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ENOBUFS)}, true},
		{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EINVAL)}, false},
		{&net.OpError{Op: "accept", Err: net.ErrClosed}, false},
	}
	for _, c := range cases {
		if got := retryAccept(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
