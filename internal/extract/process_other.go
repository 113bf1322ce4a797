//go:build !unix

package extract

import (
	"os"
	"syscall"
)

const itself = ""

type separation int32

const (
	apart       separation = iota
	sameProcess            = apart
)

func (s separation) attributes() *syscall.SysProcAttr { return nil }

// killAll ends a child.
func killAll(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // it may have ended by itself
	}
}
