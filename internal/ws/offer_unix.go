//go:build unix

package ws

import "syscall"

// canOffer: the kernel can be asked to take what it can at once.
const canOffer = true

// writeOnce writes what fd takes without waiting; -1 when it takes nothing.
func writeOnce(fd uintptr, b []byte) int {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return n
		}
	}
}
