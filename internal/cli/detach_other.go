//go:build !unix

package cli

import (
	"errors"
	"os/exec"
)

// detach leaves a command as it is: here nothing ties it to this process.
func detach(*exec.Cmd) {}

// exited does not know: whoever waits for a bridge waits for its lock.
func exited(int) bool { return false }

// terminate leaves the process alone: here a lock outlives a crash, and its number
// may be another program's by now.
func terminate(int) error { return errors.New("end it yourself") }
