package extract_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"openmail"
	"openmail/internal/extract"
)

// script is a reader of PDF that does what it should not.
func script(t *testing.T, python string) extract.Tools {
	t.Helper()
	dir := t.TempDir()
	// Whoever the child runs as must be able to reach it.
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o755))
	}
	path := filepath.Join(dir, "pdftotext")
	check(t, os.WriteFile(path, []byte("#!/usr/bin/python3\n"+python), 0o755))
	return extract.Tools{PDFToText: path}
}

func TestAReaderReachesNeitherNetworkNorFilesNorTheServer(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "file-key")
	check(t, os.WriteFile(secret, []byte("secret"), 0o644))
	check(t, os.Chmod(filepath.Dir(secret), 0o755))
	check(t, os.Setenv("OPENMAIL_TEST_CANARY", "canary"))
	tools := script(t, `
import os, socket, resource, subprocess
def attempt(what, f):
    try: print(what, "->", f())
    except Exception as e: print(what, "->", type(e).__name__)
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", 1)))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("tcp6", lambda: socket.socket(socket.AF_INET6))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("read", lambda: open("`+secret+`").read())
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("write", lambda: open("x", "w").write("x"))
attempt("write tmp", lambda: open("/tmp/openmail-escaped", "w").write("x"))
attempt("parent", lambda: open("/proc/%d/environ" % os.getppid()).read())
attempt("mkdir", lambda: os.mkdir("d"))
print("folder", os.listdir("/usr") != [], len(os.environ), "OPENMAIL_TEST_CANARY" in os.environ)
print("cpu", resource.getrlimit(resource.RLIMIT_CPU)[1], "data", resource.getrlimit(resource.RLIMIT_DATA)[1] >> 20, "files", resource.getrlimit(resource.RLIMIT_NOFILE)[1], "size", resource.getrlimit(resource.RLIMIT_FSIZE)[1], "nice", os.nice(0))
attempt("memory", lambda: len(bytearray(600 << 20)))
print("uid 0:", os.getuid() == 0)
`)
	p, l := newPool(t, tools)
	got := p.Read(within(t, 20*time.Second), "acc_1", file("a.pdf", pdf("x")), 0)
	want := `tcp -> PermissionError
udp -> PermissionError
tcp6 -> PermissionError
unix -> PermissionError
netlink -> PermissionError
read -> PermissionError
passwd -> PermissionError
write -> FileNotFoundError
write tmp -> PermissionError
parent -> PermissionError
mkdir -> FileNotFoundError
folder True 2 False
cpu 60 data 512 files 64 size 0 nice ` + fmt.Sprint(niceness(t)+5) + `
memory -> MemoryError
uid 0: False`
	if got.Text != want {
		t.Errorf("%s:\n%s\nwant\n%s\n%s", got.Method, got.Text, want, l)
	}
}

func TestAReaderThatIsLateGoesWithAllThatItStarted(t *testing.T) {
	tools := script(t, `
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(600)
time.sleep(600)
`)
	p, _ := newPool(t, tools)
	start := time.Now()
	if got := p.Read(within(t, time.Second), "acc_1", file("a.pdf", pdf("x")), 0); got.Method != "timeout" || time.Since(start) > 5*time.Second {
		t.Errorf("%+v after %v", got, time.Since(start))
	}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	check(t, err)
	for _, name := range all {
		if b, _ := os.ReadFile(name); bytes.Contains(b, []byte(tools.PDFToText)) {
			t.Errorf("still running: %q", b)
		}
	}
}

func TestAReaderThatWritesForEverIsCut(t *testing.T) {
	p, _ := newPool(t, script(t, "while True: print('ü' * 1000)"))
	got := p.Read(within(t, 20*time.Second), "acc_1", file("a.pdf", pdf("x")), 0)
	if got.Method != "pdf" || !strings.HasPrefix(got.Text, "üüü") {
		t.Errorf("%s, %d bytes", got.Method, len(got.Text))
	}
}

// A server may run with less priority than others, as by Nice= of systemd: its
// children stand back behind it, and may not be asked to come forward.
func TestAReaderStandsBackBehindAServerThatStandsBackItself(t *testing.T) {
	p, l := newPool(t, script(t, "import os; print('nice', os.nice(0))"))
	servers := niceness(t) + 6
	done := make(chan openmail.Extracted, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: nobody else runs on it
		check(t, unix.Setpriority(unix.PRIO_PROCESS, 0, servers))
		done <- p.Read(within(t, 20*time.Second), "acc_1", file("a.pdf", pdf("x")), 0)
	}()
	if got, want := <-done, fmt.Sprint("nice ", servers+5); got.Text != want {
		t.Errorf("%s: %q, want %q\n%s", got.Method, got.Text, want, l)
	}
}

// niceness is that of this process.
func niceness(t *testing.T) int {
	t.Helper()
	inverse, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	check(t, err)
	return 20 - inverse
}
