//go:build unix && !linux

package extract

import "syscall"

const itself = ""

type separation int32

const (
	apart       separation = iota
	sameProcess            = apart
)

// attributes start a child in a session of its own.
func (s separation) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// killAll ends a child and what it started.
func killAll(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL) // it may have ended by itself
}
