//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// detach has a command go on when this process and its terminal are gone.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// exited reports whether a child has ended. It takes its status.
func exited(pid int) bool {
	done, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	return err == nil && done == pid
}

// terminate asks a process to end.
func terminate(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) }
