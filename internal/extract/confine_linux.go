package extract

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// niceness is how far children stand back behind the server.
const niceness = 5

// addressSpace bounds what is mapped. It is above what Go reserves without
// using it; RLIMIT_DATA bounds what can be used.
const addressSpace = 8 << 30

// confine sets the limits of this process, which its children inherit. The
// limits on resources must hold; what else the system has not is missing from
// the result.
func confine(o order) (c Confinement, err error) {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_DATA: o.Memory, unix.RLIMIT_AS: addressSpace, unix.RLIMIT_CPU: o.CPU,
		unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 64, unix.RLIMIT_MEMLOCK: 0,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return 0, fmt.Errorf("limit %d: %w", resource, err)
		}
	}
	if err := standBack(); err != nil {
		return 0, fmt.Errorf("stand back: %w", err)
	}
	if denyFiles(o.Tools) == nil {
		c |= NoFiles
	}
	if denyNetwork() == nil {
		c |= NoNetwork
	}
	return c, nil
}

// standBack is behind where the server stands, which may be low itself: nobody
// comes forward again.
func standBack() error {
	inverse, err := unix.Getpriority(unix.PRIO_PGRP, 0) // 20 less the niceness: see getpriority(2)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PGRP, 0, 20-inverse+niceness)
}

// What Landlock tells apart.
const (
	fileWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	fileRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE
	fileList    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fileExecute = fileList | unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// needed is what programs need of the file system.
func needed(t Tools) map[string]uint64 {
	paths := map[string]uint64{
		"/usr": fileExecute, "/lib": fileExecute, "/lib64": fileExecute, "/bin": fileExecute,
		"/opt": fileExecute, "/nix/store": fileExecute, "/gnu/store": fileExecute,
		"/etc/ld.so.cache": fileRead, "/etc/fonts": fileList, "/etc/alternatives": fileList,
		"/sys/devices/system/cpu": fileList, "/dev/urandom": fileRead,
		"/dev/null": fileRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE,
	}
	for _, tool := range []string{t.PDFToText, t.Tesseract} {
		if tool != "" {
			paths[filepath.Dir(tool)] = fileExecute
		}
	}
	return paths
}

// denyFiles leaves this process nothing of the file system but what programs
// need to run (Landlock, Linux 5.13). It must reach every thread, which Go can
// do where it is not linked with C.
func denyFiles(t Tools) error {
	rules := unix.LandlockRulesetAttr{Handled_access_fs: fileWrite | fileExecute}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	for path, access := range needed(t) {
		if err := allow(int(fd), path, access); err != nil {
			return err
		}
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// allow adds a rule for a path; none where there is no such path.
func allow(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// denyNetwork makes this process and all that it starts unable to open a
// socket, to look into other processes, and to call in ways that would get
// around that (seccomp(2)).
func denyNetwork() error {
	arch, foreign, ok := machine()
	if !ok {
		return errors.New("no filter for this machine")
	}
	filter := withoutSockets(arch, foreign)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}

	// The filter is put on all threads by the one that asks for it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}

// withoutSockets is a filter that refuses some calls, and ends who calls in
// another way than this machine's.
func withoutSockets(arch, foreign uint32) []unix.SockFilter {
	const number, architecture = 0, 4 // offsets in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: architecture},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: foreign, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
	}
	for _, call := range []uint32{
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_IO_URING_SETUP,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	} {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)})
	}
	return append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

// machine is how seccomp names this machine, and the number from which system
// calls belong to another way of calling (x32).
func machine() (arch, foreign uint32, ok bool) {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64, 0x40000000, true
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64, 0x40000000, true
	}
	return 0, 0, false
}
