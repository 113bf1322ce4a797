package extract

import (
	"os"
	"syscall"
)

// itself is this program, also when its file has been replaced since.
const itself = "/proc/self/exe"

// nobody is the user who owns nothing.
const nobody = 65534

// separation is how far a child is kept apart before it runs; each level asks
// less of the system than the one before.
type separation int32

const (
	apart       separation = iota // processes of its own that end with it, and a user who owns nothing
	asNobody                      // a user who owns nothing, where we are root
	sameProcess                   // a process group of its own
)

// attributes start a child in a session of its own, which ends when this
// process does.
func (s separation) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	root := os.Geteuid() == 0
	if s < sameProcess && root {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if s == apart {
		a.Cloneflags = syscall.CLONE_NEWPID
		if !root {
			a.Cloneflags |= syscall.CLONE_NEWUSER
			a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
			a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
		}
	}
	return a
}

// killAll ends a child and what it started.
func killAll(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL) // it may have ended by itself
}
